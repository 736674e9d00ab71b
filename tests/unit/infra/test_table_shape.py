"""How a table is read in SQL: in ranges of its key, with names that need quotes."""

from infra.canonical import MysqlColumn
from infra.mysql_side import KeyRange
from infra.table_shape import TableShape


def shape(kind: str, *key: str) -> TableShape:
    return TableShape("odd `name`", (MysqlColumn("id", kind, kind), MysqlColumn("100%", "int", "int")), key)


def test_a_table_is_read_by_ranges_of_its_first_key_column_if_its_order_is_the_same_as_that_of_literals() -> None:
    assert shape("int", "id").range_column == "id"
    assert shape("varchar", "id", "100%").range_column == "id"
    assert shape("enum", "id").range_column is None, "MySQL orders labels by their number, and compares them as texts"
    assert shape("double", "id").range_column is None, "a float that is shown is not the float that is stored"


def test_ranges_leave_no_row_out_and_none_twice() -> None:
    ranges = [KeyRange("100%", low, high) for low, high in ((None, 5), (5, 9), (9, None))]
    assert [one.condition for one in ranges] == ["`100%%` <= %s", "`100%%` > %s AND `100%%` <= %s", "`100%%` > %s"]
    assert [one.parameters for one in ranges] == [[5], [5, 9], [9]]
    assert KeyRange(None, None, None).condition == "TRUE"


def test_a_rows_text_names_every_column_and_the_keys_only_the_key() -> None:
    one = shape("int", "id")
    assert one.row_sql() == "CONCAT_WS('|', COALESCE(`id`, '~'), COALESCE(`100%`, '~'))"
    assert one.key_sql() == "CONCAT_WS('|', `id`)"
