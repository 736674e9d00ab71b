"""Random schedules of DDL statements and writes: Hive equals MySQL in between and at the end.

A long run is
`./kappa test --running-stack tests/chaos/test_ddl_schedules.py --ddl-schedules=300 --ddl-seed=N`;
one schedule of it again is `--ddl-only=NUMBER`.
"""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.chaos.ddl_schedules.rounds import (
    SIDE_BY_SIDE,
    Result,
    Round,
    other_database,
)
from tests.conftest import Stack


def chosen_numbers(options: pytest.Config) -> list[int]:
    """Return the numbers of the schedules to play."""
    only = str(options.getoption("--ddl-only"))
    if only:
        return [int(number) for number in only.split(",")]
    return list(range(int(options.getoption("--ddl-schedules"))))


def summary(results: Sequence[Result]) -> str:
    """Return how many statements were played, and what came of the tables."""
    outcomes = Counter[str]()
    statements = Counter[str]()
    for result in results:
        outcomes.update(result.outcomes)
        outcomes["wrong"] += len(result.wrong)
        statements["accepted"] += result.player.accepted.total()
        statements["refused"] += result.player.refused.total()
    return f"{len(results)} schedules: {dict(outcomes)}, statements {dict(statements)}"


@pytest.mark.timeout(0)
def test_after_random_statements_about_tables_hive_has_mysqls_rows(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    seed = int(request.config.getoption("--ddl-seed"))
    numbers = chosen_numbers(request.config)
    results: list[Result] = []
    with other_database(stack.settings):
        for first in range(0, len(numbers), SIDE_BY_SIDE):
            chosen = numbers[first : first + SIDE_BY_SIDE]
            results += Round(stack.settings, seed, chosen).run()
            print(summary(results), flush=True)
    wrong = [result.report() for result in results if result.wrong]
    assert not wrong, "\n\n".join(wrong)
