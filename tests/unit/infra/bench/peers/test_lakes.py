"""The script of the peers on Spark, without Spark: what it imports, and the SQL that it sends."""

import runpy
import subprocess
import sys
from typing import Any

import pytest

from infra.bench.warehouse.merge import SCRIPT

IMPORTS = (
    f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}); "
    "print([name for name in sys.modules if name in ('infra', 'spark', 'schemas')])"
)


def test_the_script_imports_nothing_of_the_project() -> None:
    process = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        capture_output=True,
        text=True,
        cwd=SCRIPT.parent,
        env={},
    )
    assert process.stdout.strip() == "[]", process.stderr


class Session:
    """A Spark session that keeps its statements."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def sql(self, statement: str) -> None:
        self.statements.append(statement)


@pytest.mark.parametrize("updates_only", [False, True])
def test_a_merge_names_the_days_and_needs_no_outer_join_for_updates_alone(
    updates_only: bool,
) -> None:
    script = runpy.run_path(str(SCRIPT))
    session = Session()
    table: Any = script["Iceberg"](session, "/bench")
    table.merge(["2026-01-01", "2026-01-02"], updates_only)
    (statement,) = session.statements
    assert statement.startswith(
        "MERGE INTO ice.bench.orders t USING changes c ON t.order_id = c.order_id AND "
        "t.order_date = c.order_date AND t.order_date IN ('2026-01-01', '2026-01-02') "
    )
    assert "WHEN MATCHED THEN UPDATE SET t.order_id = c.order_id, " in statement
    assert ("THEN DELETE" in statement, "THEN INSERT" in statement) == (
        not updates_only,
        not updates_only,
    )
