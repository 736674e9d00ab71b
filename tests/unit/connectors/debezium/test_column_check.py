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
    "truth": ColumnFacts("c", "tinyint", "tinyint(1)"),
    "float": ColumnFacts("c", "float", "float"),
    "rounded": ColumnFacts("c", "float", "float(10,3)", digits=10, scale=3),
    "national": ColumnFacts("c", "varchar", "varchar(9)", charset="utf8mb3"),
    "blob": ColumnFacts("c", "mediumblob", "mediumblob"),
    "shapes": ColumnFacts("c", "geomcollection", "geomcollection"),
    "sign": ColumnFacts("c", "enum", "enum('unsigned')", charset="utf8mb4"),
    "time": ColumnFacts("c", "time", "time(6)", fraction=6),
    "datetime": ColumnFacts("c", "datetime", "datetime(3)", fraction=3),
    "timestamp": ColumnFacts("c", "timestamp", "timestamp"),
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
        ("int", column("INTEGER"), True),
        ("int", column("INT4 SIGNED"), True),
        ("int", column("MEDIUMINT"), False),
        ("unsigned", column("BIGINT UNSIGNED"), True),
        ("unsigned", column("INT8 UNSIGNED ZEROFILL"), True),
        ("unsigned", column("BIGINT"), False),
        ("unsigned", column("INTEGER UNSIGNED"), False),
        # Debezium logs true for every number but 0.
        ("truth", column("BOOLEAN"), False),
        ("truth", column("TINYINT"), True),
        ("double", column("DOUBLE"), True),
        ("double", column("DOUBLE PRECISION"), True),
        ("double", column("REAL"), False),
        # Their type in the log begins with FLOAT, so that they are taken to have six digits.
        ("double", column("FLOAT", length=30), False),
        ("double", column("FLOAT8"), False),
        ("float", column("FLOAT"), True),
        ("float", column("FLOAT4"), False),
        # Values in the log are rounded to the scale.
        ("float", column("FLOAT", length=10, scale=3), False),
        ("rounded", column("FLOAT", length=10, scale=3), True),
        ("rounded", column("FLOAT"), False),
        ("decimal", column("DECIMAL", length=10, scale=2), True),
        ("decimal", column("NUMERIC UNSIGNED", length=10, scale=2), False),
        ("decimal", column("NUMERIC", length=10, scale=2), True),
        ("decimal", column("FIXED", length=10, scale=2), True),
        ("decimal", column("DEC", length=10, scale=0), False),
        ("decimal", column("DECIMAL", length=10), False),
        ("text", column("VARCHAR", charsetName="utf8mb4"), True),
        ("text", column("VARCHAR"), True),
        ("text", column("VARCHAR", charsetName="latin1"), False),
        ("text", column("CHARACTER VARYING"), True),
        ("national", column("NATIONAL VARCHAR", charsetName="utf8"), True),
        ("national", column("VARCHAR", charsetName="utf8mb3"), True),
        ("national", column("VARCHAR", charsetName="utf8mb4"), False),
        ("national", column("NCHAR", charsetName="utf8"), False),
        ("blob", column("LONG VARBINARY"), True),
        ("blob", column("LONG VARCHAR"), False),
        ("shapes", column("GEOMETRYCOLLECTION"), True),
        ("sign", column("ENUM", enumValues=["'unsigned'"]), True),
        ("time", column("TIME", length=6), True),
        ("time", column("TIME"), False),
        ("datetime", column("DATETIME", length=3), True),
        ("datetime", column("DATETIME", length=6), True),
        ("datetime", column("DATETIME", length=-1), False),
        ("timestamp", column("TIMESTAMP"), True),
        ("timestamp", column("DATETIME"), False),
        ("int", column("a type that MySQL does not have"), False),
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
