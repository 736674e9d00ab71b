"""The SQL of the rows after a key."""

from dataclasses import replace

import pyarrow as pa
import pytest

from connectors.mysql.column_types import ColumnFacts, read_column
from connectors.mysql.key_ranges import KeyColumn, KeyValue, key_ranges
from connectors.mysql.table_description import KeyPart, MysqlTable
from tests.unit.connectors.mysql.column_facts import FACTS, facts, read_column_of


def table(*columns: ColumnFacts, key: tuple[KeyPart, ...] = ()) -> MysqlTable:
    return MysqlTable(
        database="d",
        name="t%`",
        columns=tuple(read_column(column, "table t") for column in columns),
        key_index="PRIMARY" if key else "",
        key_parts=key,
    )


INT = facts("int", "int")
NAME = "FROM `d`.`t%```"


def test_without_a_key_all_rows_are_one_query() -> None:
    assert key_ranges(table(INT)).sql() == f"SELECT `c` {NAME}"
    assert (
        key_ranges(table(INT)).sql(partition="p0") == f"SELECT `c` {NAME} PARTITION (`p0`)"
    )


def test_the_first_rows_of_an_index_and_the_rows_after_a_key() -> None:
    columns = [replace(INT, name=name) for name in ("x", "b", "a")]
    parts = (KeyPart("a"), KeyPart("b", is_descending=True))
    ranges = key_ranges(table(*columns, key=parts))
    begin = f"SELECT `x`, `b`, `a` {NAME} PARTITION (`p`) FORCE INDEX (`PRIMARY`)"
    end = "ORDER BY `a`, `b` DESC LIMIT 5"
    key = ranges.last_key(
        [pa.array([b"0", number], pa.binary()) for number in (b"9", b"2", b"1")]
    )
    conditions = ["", "WHERE `a` > 1 ", "WHERE `a` = 1 AND `b` < 2 "]
    for depth, where in enumerate(conditions):
        sql = ranges.sql(partition="p", last_key=key, depth=depth, rows=5)
        assert sql == f"{begin} {where}{end}"


def test_a_key_whose_exact_value_is_no_column_is_selected_too() -> None:
    columns = [
        replace(facts("enum", "enum('x')", charset="utf8mb4"), name="e"),
        replace(INT, name="n"),
        replace(facts("float", "float"), name="f"),
    ]
    ranges = key_ranges(table(*columns, key=tuple(map(KeyPart, "enf"))))
    assert ranges.selected == ("`e`", "`n`", "`f`", "`e` + 0", "CAST(`f` AS DOUBLE)")
    values = (b"x", b"1", b"0.1", b"7", b"0.10000000149011612")
    key = ranges.last_key([pa.array([value], pa.binary()) for value in values])
    assert key == (
        KeyValue(b"7", b"x"),
        KeyValue(b"1", b"1"),
        KeyValue(b"0.10000000149011612", b"0.1"),
    )


# (type, expression, a value of it, the literal)
LITERALS = [
    ("INT", "`c`", b"-7", "-7"),
    ("INT UNSIGNED ZEROFILL", "`c`", b"0000000007", "0000000007"),
    ("BIGINT UNSIGNED", "`c`", b"18446744073709551615", "18446744073709551615"),
    ("DECIMAL(10,2) UNSIGNED", "`c`", b"0.05", "0.05"),
    ("FLOAT", "CAST(`c` AS DOUBLE)", b"0.10000000149011612", "0.10000000149011612e0"),
    ("DOUBLE", "`c`", b"1e300", "1e300"),
    ("DOUBLE", "`c`", b"0.5", "0.5e0"),
    ("BIT(9)", "`c` + 0", b"510", "510"),
    ("DATE", "`c`", b"0000-00-00", "DATE'0000-00-00'"),
    ("DATETIME", "`c`", b"2020-01-01 00:00:00", "TIMESTAMP'2020-01-01 00:00:00'"),
    ("TIMESTAMP", "`c`", b"2020-01-01 00:00:00", "TIMESTAMP'2020-01-01 00:00:00'"),
    ("TIME(6)", "`c`", b"-838:59:58.999999", "TIME'-838:59:58.999999'"),
    ("YEAR", "`c`", b"2000", "2000"),
    ("VARCHAR(50)", "`c`", b"it's", "_utf8mb4 x'69742773'"),
    (
        "VARCHAR(10) CHARACTER SET sjis",
        "CAST(`c` AS BINARY)",
        b"\x93\xfa",
        "_sjis x'93fa'",
    ),
    ("BINARY(5)", "`c`", b"\x00\xff\x00\x00\x00", "x'00ff000000'"),
    ("VARBINARY(10)", "`c`", b"", "x''"),
    ("ENUM('a','it''s','x,y','ż')", "`c` + 0", b"2", "2"),
    ("SET('a','b c','ż')", "`c` + 0", b"5", "5"),
]


@pytest.mark.parametrize(("mysql", "expression", "value", "literal"), LITERALS)
def test_a_literal_has_the_type_of_its_column(
    mysql: str, expression: str, value: bytes, literal: str
) -> None:
    column = KeyColumn(read_column_of(mysql))
    assert column.expression == expression
    assert column.is_behind(KeyValue(value, b"")) == f"`c` > {literal}"
    assert column.equals(KeyValue(value, b"")) == f"`c` = {literal}"


def test_a_label_is_equal_by_its_text_and_behind_by_its_number() -> None:
    column = KeyColumn(read_column_of("SET('a','b c','ż')"), is_descending=True)
    value = KeyValue(b"4", "ż".encode())
    assert column.equals(value) == "`c` = _utf8mb4 x'c5bc'"
    assert column.is_behind(value) == "`c` < 4"


def test_every_type_that_can_be_a_key_has_a_literal_among_the_cases() -> None:
    tested = {FACTS[mysql].type for mysql, *_ in LITERALS}
    same_as_others = {"tinyint", "smallint", "mediumint", "bigint", "char"}
    no_whole_keys = {"json", "vector"}
    for column_facts in FACTS.values():
        if column_facts.type.endswith(("text", "blob")):
            no_whole_keys.add(column_facts.type)
        if read_column(column_facts, "t").column.type.hive.startswith("struct"):
            no_whole_keys.add(column_facts.type)
    all_types = {column_facts.type for column_facts in FACTS.values()}
    assert all_types - no_whole_keys - same_as_others - tested == set()
