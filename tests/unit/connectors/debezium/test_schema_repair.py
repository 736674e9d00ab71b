"""Which tables are compared with MySQL's own description."""

import pytest

from connectors.debezium.binlog_findings import DdlStatement, WatchState
from connectors.debezium.schema_repair import tables_since

STATEMENTS = (
    DdlStatement(gtid="a:1", names=("orders",)),
    DdlStatement(gtid="a:2", names=("user", "orders")),
    DdlStatement(gtid="a:3", names=("products",)),
)


@pytest.mark.parametrize(
    ("checked", "expected"),
    [
        ("", {"orders", "user", "products"}),
        ("a:1", {"orders", "user", "products"}),
        ("a:2", {"products"}),
        ("a:3", set()),
    ],
)
def test_the_tables_of_statements_since_the_last_check(
    checked: str, expected: set[str]
) -> None:
    assert tables_since(WatchState(statements=STATEMENTS), checked) == expected
