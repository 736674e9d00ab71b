"""Whether Debezium's description of a table is MySQL's."""

from typing import Any

import pytest

from connectors.debezium.column_check import description, is_same, statements
from connectors.mysql.column_types import ColumnFacts, read_column
from connectors.mysql.table_description import MysqlTable

Column = dict[str, Any]
FACTS = {
    "int": ColumnFacts("c", "int", "int"),
    "unsigned": ColumnFacts("c", "bigint", "bigint unsigned", digits=20),
    "double": ColumnFacts("c", "double", "double"),
    "decimal": ColumnFacts("c", "decimal", "decimal(10,2)", digits=10, scale=2),
    "text": ColumnFacts("c", "varchar", "varchar(9)", charset="utf8mb4"),
    "labels": ColumnFacts("c", "enum", "enum('x','it''s')", charset="utf8mb4"),
    "escapes": ColumnFacts("c", "enum", r"enum('a\\b','ends\\')", charset="utf8mb4"),
    "bits": ColumnFacts("c", "bit", "bit(9)", digits=9),
}


def table(*facts: ColumnFacts, key: tuple[str, ...] = ()) -> MysqlTable:
    columns = tuple(read_column(column, "table t") for column in facts)
    return MysqlTable(database="shop", name="t`x", columns=columns, key=key)


def column(kind: str, name: str = "c", **more: Any) -> Column:
    return {"name": name, "typeName": kind, "charsetName": None, "enumValues": [], **more}


@pytest.mark.parametrize(
    ("facts", "described", "expected"),
    [
        ("int", column("INT"), True),
        ("int", column("INT", name="C"), True),
        ("int", column("INT", name="d"), False),
        ("int", column("INTEGER"), False),
        ("unsigned", column("BIGINT UNSIGNED"), True),
        ("unsigned", column("BIGINT"), False),
        ("double", column("DOUBLE"), True),
        ("double", column("REAL"), False),
        ("decimal", column("DECIMAL", length=10, scale=2), True),
        ("decimal", column("DECIMAL", length=10), False),
        ("text", column("VARCHAR", charsetName="utf8mb4"), True),
        ("text", column("VARCHAR"), True),
        ("text", column("VARCHAR", charsetName="latin1"), False),
        ("labels", column("ENUM", enumValues=["'x'", "'it''s'"]), True),
        ("labels", column("ENUM", enumValues=["'x '", "'it''s'"]), False),
        ("escapes", column("ENUM", enumValues=[r"'a\\b'", r"'ends\\'"]), True),
        # Of a session with NO_BACKSLASH_ESCAPES.
        ("escapes", column("ENUM", enumValues=[r"'a\b'", r"'ends\'"]), False),
        ("bits", column("BIT", length=9), True),
        ("bits", column("BIT", length=8), False),
    ],
)
def test_a_column_is_read_as_mysql_means_it(
    facts: str, described: Column, expected: bool
) -> None:
    model = {"defaultCharsetName": "utf8mb4", "columns": [described]}
    assert is_same(model, table(FACTS[facts])) is expected


@pytest.mark.parametrize(
    ("length", "is_kept_as_is", "is_hashed"),
    [(9, True, True), (20, True, False), (None, True, False)],
)
def test_the_length_of_a_text_counts_if_it_is_hashed(
    length: int | None, is_kept_as_is: bool, is_hashed: bool
) -> None:
    model = {"defaultCharsetName": "utf8mb4", "columns": [column("VARCHAR", length=length)]}
    text = table(FACTS["text"])
    assert is_same(model, text) is is_kept_as_is
    assert is_same(model, text, frozenset({"c"})) is is_hashed


@pytest.mark.parametrize(("length", "expected"), [(None, True), (-1, True), (10, False)])
def test_a_hashed_text_without_a_length_has_none_in_debezium(
    length: int | None, expected: bool
) -> None:
    model = {"defaultCharsetName": "utf8mb4", "columns": [column("TEXT", length=length)]}
    note = table(ColumnFacts("c", "text", "text", charset="utf8mb4"))
    assert is_same(model, note, frozenset({"c"})) is expected


def test_a_table_with_another_number_of_columns_is_another_one() -> None:
    model = {"defaultCharsetName": None, "columns": [column("INT")]}
    assert not is_same(model, table(FACTS["int"], FACTS["double"]))


ID = ColumnFacts("id", "int", "int", nullable=False)
CODE = ColumnFacts("code", "int", "int", nullable=False)


@pytest.mark.parametrize(
    ("debezium_key", "facts", "mysql_key", "expected"),
    [
        ([], (ID, CODE), ("id",), True),
        (["ID"], (ID, CODE), ("id",), True),
        (["code", "id"], (ID, CODE), ("id",), True),
        (["code"], (ID, CODE), (), False),
        (["code"], (ID, CODE), ("id",), False),
        (["id"], (ID, CODE), ("id", "code"), False),
        (["c"], (ID, FACTS["int"]), (), True),
    ],
    ids=[
        "none",
        "the same",
        "a longer one",
        "a dropped one",
        "another one",
        "a shorter one",
        "one with NULLs",
    ],
)
def test_debezium_s_key_must_tell_mysql_s_rows_apart(
    debezium_key: list[str],
    facts: tuple[ColumnFacts, ...],
    mysql_key: tuple[str, ...],
    expected: bool,
) -> None:
    columns = [column("INT", name=each.name) for each in facts]
    model = {"columns": columns, "primaryKeyColumnNames": debezium_key}
    assert is_same(model, table(*facts, key=mysql_key)) is expected


def test_debezium_learns_the_columns_and_the_key_and_nothing_else() -> None:
    described = table(
        ColumnFacts("id`", "int", "int unsigned", nullable=False),
        FACTS["text"],
        key=("id`",),
    )
    assert statements(described) == (
        "DROP TABLE IF EXISTS `t``x`",
        "CREATE TABLE `t``x` (`id``` int unsigned NOT NULL, "
        "`c` varchar(9) CHARACTER SET utf8mb4 NULL, PRIMARY KEY (`id```))",
    )


def test_a_table_without_a_key_gets_none() -> None:
    assert "KEY" not in statements(table(FACTS["int"]))[1]


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_after_its_statements_debezium_knows_the_table(facts: ColumnFacts) -> None:
    assert is_same(description(table(facts)), table(facts))
