"""Which tables wait until their columns are compared with MySQL's."""

from pathlib import Path

import pytest

from connectors.control.checked_columns import (
    HOLD_SECONDS,
    CheckedColumnsFile,
    ColumnChecks,
    Wait,
    unchecked_tables,
)
from connectors.debezium.binlog_watch.watch_state import DdlStatement


def newest(statements: list[DdlStatement], checked: dict[str, str]) -> dict[str, str]:
    unchecked = unchecked_tables(statements, checked)
    return {table: one.newest.gtid for table, one in unchecked.items()}


CREATE = DdlStatement(gtid="a:1", names=("orders",), before="a:0")
ALTER = DdlStatement(gtid="a:2", names=("user", "orders"), before="a:1")
OTHER = DdlStatement(gtid="a:3", names=("products",), before="a:1-2")
IF_ABSENT = DdlStatement(gtid="a:4", names=("orders",), only_if_absent=True)
TRUNCATE = DdlStatement(gtid="a:5", names=("orders",), is_truncate=True)


@pytest.mark.parametrize(
    ("checked", "expected"),
    [
        ({}, {"orders": "a:2", "user": "a:2", "products": "a:3"}),
        ({"orders": "a:1"}, {"orders": "a:2", "user": "a:2", "products": "a:3"}),
        ({"orders": "a:2", "user": "a:2"}, {"products": "a:3"}),
        ({"orders": "a:2", "user": "a:2", "products": "a:3"}, {}),
    ],
)
def test_a_table_waits_after_its_newest_statement(
    checked: dict[str, str], expected: dict[str, str]
) -> None:
    assert newest([CREATE, ALTER, OTHER], checked) == expected


def test_a_truncate_leaves_the_columns_as_they_are() -> None:
    assert newest([CREATE, TRUNCATE], {"orders": "a:1"}) == {}


def test_a_statement_that_does_nothing_is_repeated() -> None:
    assert newest([CREATE, IF_ABSENT], {"orders": "a:1"}) == {}
    assert newest([IF_ABSENT], {"orders": "a:1"}) == {}


@pytest.mark.parametrize("checked", [{}, {"orders": "a:1"}], ids=["new", "known"])
def test_it_counts_where_the_table_may_have_been_absent(checked: dict[str, str]) -> None:
    drop = DdlStatement(gtid="a:3", names=("orders",))
    assert newest([CREATE, drop, IF_ABSENT], checked) == {"orders": "a:4"}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    CheckedColumnsFile(tmp_path).write({"größen": "a:1"})
    assert CheckedColumnsFile(tmp_path).read() == {"größen": "a:1"}


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_file_has_all_tables_compared_again(tmp_path: Path, content: str) -> None:
    file = CheckedColumnsFile(tmp_path)
    assert file.read() == {}
    file.write({"orders": "a:1"})
    (tmp_path / "run" / "checked_columns.json").write_text(content)
    assert file.read() == {}


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> CheckedColumnsFile:
    return CheckedColumnsFile(tmp_path)


def test_no_version_goes_beyond_the_first_statement_after_which_columns_are_compared(
    file: CheckedColumnsFile, clock: Clock
) -> None:
    checks = ColumnChecks(file, clock)
    file.write({"orders": "a:1"})
    assert checks.wait([CREATE], lambda _: True) == Wait()
    assert checks.wait([CREATE, ALTER, OTHER], lambda _: True) == Wait("a:1")
    file.write({"orders": "a:2", "user": "a:2"})
    assert checks.wait([CREATE, ALTER, OTHER], lambda _: True) == Wait("a:1-2")
    file.write({"orders": "a:2", "user": "a:2", "products": "a:3"})
    assert checks.wait([CREATE, ALTER, OTHER], lambda _: True) == Wait()


def test_a_comparison_that_takes_long_is_waited_for_by_its_table_only(
    file: CheckedColumnsFile, clock: Clock
) -> None:
    checks = ColumnChecks(file, clock)
    assert checks.wait([CREATE], lambda _: True) == Wait("a:0")
    clock.seconds = HOLD_SECONDS
    assert checks.wait([CREATE, OTHER], lambda _: True) == Wait(
        "a:1-2", frozenset({"orders"})
    )
    file.write({"orders": "a:1", "products": "a:3"})
    again = DdlStatement(gtid="a:4", names=("orders",), before="a:1-3")
    assert checks.wait([CREATE, OTHER, again], lambda _: True) == Wait("a:1-3")


def test_a_table_that_is_not_captured_is_not_waited_for(
    file: CheckedColumnsFile, clock: Clock
) -> None:
    assert ColumnChecks(file, clock).wait([CREATE], lambda _: False) == Wait()


def test_a_statement_whose_place_is_not_known_makes_its_table_wait(
    file: CheckedColumnsFile, clock: Clock
) -> None:
    old = DdlStatement(gtid="a:1", names=("orders",))
    wait = ColumnChecks(file, clock).wait([old], lambda _: True)
    assert wait == Wait(tables=frozenset({"orders"}))
