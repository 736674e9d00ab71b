"""Schemas that others have published, whole and under writes: Hive equals MySQL, no table stops.

It runs on request only, best against a running stack; docs/contributing.md describes the folder:
`./kappa test --long --running-stack tests/chaos/test_public_schemas.py --public-schemas=FOLDER`;
some of the schemas are `--public-only='debezium_*'`.
"""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.chaos.ddl_schedules.comparison import Warehouse
from tests.chaos.ddl_schedules.marker import wait_until_shown
from tests.chaos.public_schemas.schema_folder import schemas
from tests.chaos.public_schemas.schema_trial import (
    CAUGHT_UP_SECONDS,
    SchemaTrial,
    TrialResult,
    published_tables,
)
from tests.conftest import Stack


@pytest.mark.long
@pytest.mark.timeout(0)
def test_every_table_of_a_public_schema_is_in_hive_with_mysqls_rows(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    folder = str(request.config.getoption("--public-schemas"))
    if not folder:
        pytest.skip(
            "on request: --public-schemas=FOLDER, with a folder of SQL files per schema"
        )
    seconds = float(request.config.getoption("--public-write-seconds"))
    pattern = str(request.config.getoption("--public-only"))
    known = schemas(Path(folder), seconds)
    chosen = [schema for schema in known if fnmatch(schema.name, pattern)]
    assert chosen, f"no schema in {folder} has a name like {pattern}"
    results: list[TrialResult] = []
    for schema in chosen:
        trial = SchemaTrial(
            stack.settings, schema.name, schema.scripts, schema.write_seconds
        )
        results.append(trial.run())
        print(results[-1].report(), flush=True)
    print(summary(results), flush=True)
    wrong = [result.report() for result in results if result.wrong]
    assert not wrong, "\n\n".join(wrong)
    warehouse = Warehouse(stack.settings)
    wait_until_shown(warehouse, CAUGHT_UP_SECONDS)
    dropped = {name for result in results for name in result.names}
    left = dropped.intersection(published_tables(warehouse))
    assert not left, f"dropped in MySQL, but still in Hive: {sorted(left)}"


def summary(results: list[TrialResult]) -> str:
    """Return the sums of all schemas."""
    tables = sum(result.tables for result in results)
    rows = sum(result.rows for result in results)
    refused = sum(len(result.refused) for result in results)
    reread = sum(len(result.reread) for result in results)
    wrong = sum(len(result.wrong) for result in results)
    return (
        f"{len(results)} schemas, {tables} tables, {rows} rows: {wrong} wrong, "
        f"{reread} read again, {refused} statements refused by MySQL"
    )
