"""How a table is read in SQL: in ranges of its key, with names that need quotes."""

import pytest

from infra.verify.warehouse.canonical_values import MysqlColumn
from infra.verify.warehouse.mysql_rows import KeyRange
from infra.verify.warehouse.table_shape import TableShape, protected_column
from schemas.capture_rules import ColumnRule


def shape(kind: str, *key: str) -> TableShape:
    return TableShape(
        "odd `name`",
        (MysqlColumn("id", kind, kind), MysqlColumn("100%", "int", "int")),
        key,
    )


def test_a_table_is_read_in_key_ranges_if_mysql_orders_the_key_as_it_compares_it() -> None:
    assert shape("int", "id").range_column == "id"
    assert shape("varchar", "id", "100%").range_column == "id"
    assert shape("enum", "id").range_column is None, (
        "MySQL orders labels by their number, and compares them as texts"
    )
    assert shape("double", "id").range_column is None, (
        "a float that is shown is not the float that is stored"
    )


def test_ranges_leave_no_row_out_and_none_twice() -> None:
    ranges = [KeyRange("100%", low, high) for low, high in ((None, 5), (5, 9), (9, None))]
    assert [one.condition for one in ranges] == [
        "`100%%` <= %s",
        "`100%%` > %s AND `100%%` <= %s",
        "`100%%` > %s",
    ]
    assert [one.parameters for one in ranges] == [[5], [5, 9], [9]]
    assert KeyRange(None, None, None).condition == "TRUE"


def test_a_rows_text_names_every_column_and_the_keys_only_the_key() -> None:
    one = shape("int", "id")
    assert one.row_sql() == "CONCAT_WS('|', COALESCE(`id`, '~'), COALESCE(`100%`, '~'))"
    assert one.key_sql() == "CONCAT_WS('|', COALESCE(`id`, '~'))"


@pytest.mark.parametrize(
    ("columns", "key", "identity", "distinct"),
    [
        ([("id", "int"), ("v", "text")], ("id",), ("id",), True),
        ([("id", "int"), ("v", "text")], (), ("id", "v"), False),
        ([("id", "float"), ("v", "text")], ("id",), ("id", "v"), False),
        ([("id", "int"), ("v", "json")], (), ("id",), False),
        ([("v", "json")], (), (), False),
    ],
    ids=[
        "a key",
        "no key",
        "a key of floats",
        "documents have two spellings",
        "only these",
    ],
)
def test_rows_are_identified_by_their_key_or_by_all_columns(
    columns: list[tuple[str, str]],
    key: tuple[str, ...],
    identity: tuple[str, ...],
    distinct: bool,
) -> None:
    table = TableShape(
        "t", tuple(MysqlColumn(name, kind, kind) for name, kind in columns), key
    )
    assert (table.identity, table.has_distinct_keys) == (identity, distinct)
    assert table.range_column == (key[0] if key and distinct else None)
    assert table.key_sql().count("COALESCE") == len(identity)


def test_the_zero_dates_of_a_row_are_counted() -> None:
    columns = (MysqlColumn("id", "int", "int"), MysqlColumn("made", "year", "year"))
    assert TableShape("t", columns, ("id",)).zero_dates_sql() == "0 + IFNULL(`made` = 0, 0)"


@pytest.mark.parametrize(
    ("rule", "length", "expression"),
    [
        (ColumnRule.KEEP, 30, "`name`"),
        (ColumnRule.MASK, 30, "'***'"),
        (
            ColumnRule.HASH,
            30,
            "SUBSTRING(SHA2(CONCAT(x'7361', CAST(CONVERT(`name` USING utf8mb4) AS BINARY)), 256), "
            "1, 30)",
        ),
    ],
)
def test_the_proof_compares_what_the_rules_make_of_a_column(
    rule: ColumnRule, length: int, expression: str
) -> None:
    column = MysqlColumn("name", "varchar", "varchar(30)", length=length)
    protected = protected_column(column, rule, "sa")
    assert protected.value_sql == expression
    text = TableShape("user", (protected,), ()).text_sql("name")
    assert text.count(expression) == 2, "the length of the text, and the text"


@pytest.mark.parametrize(("length", "digits"), [(3, 3), (65_535, 64), (None, 64)])
def test_a_hash_has_as_many_digits_as_fit(length: int | None, digits: int) -> None:
    column = MysqlColumn("note", "text", "text", length=length)
    assert protected_column(column, ColumnRule.HASH, "s").length == digits
