"""The key of a table, and whether two descriptions are of the same table."""

from dataclasses import replace
from typing import Any

import pytest

from connectors.mysql.client import SqlRefused
from connectors.mysql.column_types import read_column
from connectors.mysql.table_description import (
    KeyPart,
    MysqlTable,
    TableChanged,
    choose_key,
    describe_table,
)
from tests.unit.connectors.mysql.column_facts import facts


def index(name: str, column: str | None, **changes: Any) -> dict[str, Any]:
    """Return a row of SHOW INDEX."""
    row = {
        "Non_unique": 0,
        "Key_name": name,
        "Column_name": column,
        "Collation": "A",
        "Sub_part": None,
        "Null": "",
        "Visible": "YES",
    }
    return row | changes


KEYS = [
    ("no index", [], ("", (), False)),
    (
        "the primary key",
        [index("PRIMARY", "b"), index("PRIMARY", "a", Collation="D"), index("u", "c")],
        ("PRIMARY", (KeyPart("b"), KeyPart("a", is_descending=True)), True),
    ),
    (
        "the first unique key without NULL",
        [
            index("n", "x", Null="YES"),
            index("i", "z", Non_unique=1),
            index("u", "y"),
            index("v", "z"),
        ],
        ("u", (KeyPart("y"),), True),
    ),
    (
        "a unique key of an expression is none",
        [index("f", "a"), index("f", None)],
        ("", (), False),
    ),
    (
        "a prefix has no ranges",
        [index("p", "a", Sub_part=3)],
        ("p", (KeyPart("a"),), False),
    ),
    (
        "an invisible index has no ranges",
        [index("h", "a", Visible="NO")],
        ("h", (KeyPart("a"),), False),
    ),
]


@pytest.mark.parametrize(
    ("rows", "expected"), [case[1:] for case in KEYS], ids=[case[0] for case in KEYS]
)
def test_the_key_is(rows: list[dict[str, Any]], expected: tuple[Any, ...]) -> None:
    assert choose_key(rows) == expected


def table() -> MysqlTable:
    columns = (read_column(facts("decimal", "decimal(4,1)", digits=4, scale=1), "table t"),)
    return MysqlTable(database="d", name="t", columns=columns, key=("c",), created_at=1)


def test_two_descriptions_of_one_table_are_the_same() -> None:
    assert table().is_same(table())


@pytest.mark.parametrize(
    "other",
    [
        None,
        replace(table(), created_at=2),
        replace(table(), partitions=("p0",)),
        replace(table(), key=()),
        replace(table(), columns=(read_column(facts("int", "int"), "table t"),)),
    ],
)
def test_another_definition_is_another_table(other: MysqlTable | None) -> None:
    assert not table().is_same(other)


class RefusingConnection:
    """Refuses queries and savepoints, each with an error number."""

    def __init__(self, query_errno: int, savepoint_errno: int = 0) -> None:
        self._query_errno = query_errno
        self._savepoint_errno = savepoint_errno
        self.statements: list[str] = []

    def query(self, *_: Any) -> None:
        raise SqlRefused("refused", "", self._query_errno)

    def execute(self, sql: str) -> None:
        self.statements.append(sql.split()[0])
        if self._savepoint_errno and sql.startswith("ROLLBACK"):
            raise SqlRefused("no savepoint", "", self._savepoint_errno)


def test_a_table_that_is_gone_since_the_snapshot_has_changed_and_keeps_no_lock() -> None:
    connection = RefusingConnection(1146)
    with pytest.raises(TableChanged, match="table t changed"):
        describe_table(connection, "d", "t")
    assert connection.statements == ["SAVEPOINT", "ROLLBACK"]


def test_another_refusal_is_told_also_outside_of_a_transaction() -> None:
    with pytest.raises(SqlRefused) as raised:
        describe_table(RefusingConnection(1142, 1305), "d", "t")
    assert raised.value.errno == 1142
