"""Which tables wait until their columns are compared with MySQL's."""

from pathlib import Path

import pytest

from connectors.control.checked_columns import CheckedColumnsFile, unchecked_tables
from connectors.debezium.binlog_findings import DdlStatement

CREATE = DdlStatement(gtid="a:1", names=("orders",))
ALTER = DdlStatement(gtid="a:2", names=("user", "orders"))
OTHER = DdlStatement(gtid="a:3", names=("products",))
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
    assert unchecked_tables([CREATE, ALTER, OTHER], checked) == expected


def test_a_truncate_leaves_the_columns_as_they_are() -> None:
    assert unchecked_tables([CREATE, TRUNCATE], {"orders": "a:1"}) == {}


def test_a_statement_that_does_nothing_is_repeated() -> None:
    assert unchecked_tables([CREATE, IF_ABSENT], {"orders": "a:1"}) == {}
    assert unchecked_tables([IF_ABSENT], {"orders": "a:1"}) == {}


@pytest.mark.parametrize("checked", [{}, {"orders": "a:1"}], ids=["new", "known"])
def test_it_counts_where_the_table_may_have_been_absent(checked: dict[str, str]) -> None:
    drop = DdlStatement(gtid="a:3", names=("orders",))
    assert unchecked_tables([CREATE, drop, IF_ABSENT], checked) == {"orders": "a:4"}


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
