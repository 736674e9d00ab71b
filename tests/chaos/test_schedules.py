"""Random schedules of faults against the live counts: whatever happens, every row equals a recount of the topics.

A long run is `python -m tests.chaos.schedules --count 500` against a running stack; this is a sample of it, in which every kind of fault
is at least once, and then Kafka and Cassandra are killed. Two other ways of counting must be seen to miscount.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from infra.settings import Settings
from tests.chaos.schedules.controls import Control, CounterColumns, FaustTable
from tests.chaos.schedules.play import Play, Verdict
from tests.chaos.schedules.removal import alone, unique
from tests.chaos.schedules.runner import Runner
from tests.chaos.schedules.schedule import KINDS, schedule
from tests.chaos.schedules.world import Servers, world
from tests.conftest import Stack

# The faults of each schedule by its seed.
WORKERS = {
    1: ["pause", "more partitions", "join"],
    2: ["rewind", "cut connection"],
    3: ["late write", "skew"],
    4: ["kill", "lost answer", "zombie"],
    5: ["slow answers", "leave"],
    6: ["kill for long", "no connection", "write of zombie"],
}
SERVERS = {7: ["kafka", "cassandra", "kill"]}
TRIES = 3


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    """Of a stack that has no schedules but these."""
    with alone(stack.settings):
        yield stack.settings


@pytest.fixture(scope="module")
def verdicts(settings: Settings) -> dict[int, Verdict]:
    """The verdicts on the sample, by seed."""
    found: dict[int, Verdict] = {}
    for sample, worlds in ((WORKERS, 2), (SERVERS, 1)):
        plans = [schedule(seed, kinds) for seed, kinds in sample.items()]
        Runner(settings, plans, lambda verdict: found.update({verdict.seed: verdict})).run(worlds)
    return found


def test_the_sample_has_every_kind_of_fault() -> None:
    assert {kind for kinds in (WORKERS | SERVERS).values() for kind in kinds} == set(KINDS)


@pytest.mark.parametrize("seed", WORKERS | SERVERS)
def test_whatever_happens_to_workers_and_servers_every_row_equals_the_recount(seed: int, verdicts: dict[int, Verdict]) -> None:
    verdict = verdicts[seed]
    print(verdict.line(), *verdict.evidence, sep="\n")
    assert not verdict.wrong, verdict.line()
    assert verdict.rows > 500


@pytest.fixture(scope="module")
def miscounts(settings: Settings) -> dict[str, list[str]]:
    """What each of the other ways of counting gets wrong."""
    controls = [CounterColumns(settings, unique(8)), FaustTable(settings, unique(9))]
    with ThreadPoolExecutor(len(controls)) as pool:
        found = pool.map(lambda control, kinds: first_miscount(settings, control, kinds), controls, (["cut connection", "kill"], ["kill", "kill"]))
        return {control.module: wrong for control, wrong in zip(controls, found, strict=True)}


def first_miscount(settings: Settings, control: Control, kinds: Sequence[str]) -> list[str]:
    """The rows that a control gets wrong in one of a few schedules. Without faults it counts right: what is seen is the faults' work."""
    with world(settings, control, Servers()) as made:
        calm = Play(made, replace(schedule(100, plain=True), faults=[])).run()
        assert not calm.wrong, calm.line()
        for seed in range(101, 101 + TRIES):
            verdict = Play(made, schedule(seed, kinds, plain=True)).run()
            print(verdict.line())
            if verdict.wrong:
                return verdict.wrong
    return []


@pytest.mark.parametrize("control", [CounterColumns.module, FaustTable.module])
def test_another_way_of_counting_is_seen_to_miscount(control: str, miscounts: dict[str, list[str]]) -> None:
    assert miscounts[control]
    assert all(line.startswith("product ") for line in miscounts[control]), miscounts[control]
