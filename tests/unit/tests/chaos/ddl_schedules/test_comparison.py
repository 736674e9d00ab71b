import pytest

from tests.chaos.ddl_schedules.comparison import comparable, in_hive, in_mysql
from tests.chaos.ddl_schedules.table_state import ColumnState


def column(column_type: str) -> ColumnState:
    return ColumnState(name="a`b", type=column_type)


@pytest.mark.parametrize(
    ("column_type", "in_source", "in_warehouse"),
    [
        ("float", 4294970000.0, 4294969856.0),
        ("float", None, None),
        ("date", "0000-00-00", None),
        ("datetime(3)", "2020-00-01 00:00:00.000", None),
        ("year", 0, None),
        ("bit(1)", 1, True),
        ("varbinary(4)", b"\x00\xff", b"\x00\xff"),
        ("vector(2)", "0000803FCDCC8C3F", "[1.0,1.1]"),
        ("vector(2)", "0000803FCDCC8C3F", [1.0, 1.1]),
        ("json", '{"a": [1e7, 1.5]}', '{"a": [10000000, 1.5]}'),
    ],
)
def test_a_value_is_the_same_in_mysql_and_hive(
    column_type: str, in_source: object, in_warehouse: object
) -> None:
    columns = [column(column_type)]
    assert comparable(columns, [(in_source,)]) == comparable(columns, [(in_warehouse,)])


@pytest.mark.parametrize(
    ("column_type", "in_source", "in_warehouse"),
    [
        ("float", 1.5, 1.6),
        ("date", "2020-01-01", None),
        ("year", 2020, None),
        ("varchar(9)", "0000-00-00", None),
        ("varchar(9)", "a ", "a"),
        ("int", None, 0),
        ("vector(1)", "0000803F", "[1.1]"),
        ("json", '{"a": 1}', '{"a": "1"}'),
    ],
)
def test_another_value_is_a_difference(
    column_type: str, in_source: object, in_warehouse: object
) -> None:
    columns = [column(column_type)]
    assert comparable(columns, [(in_source,)]) != comparable(columns, [(in_warehouse,)])


def test_values_without_a_common_form_are_read_by_an_expression() -> None:
    assert in_mysql(column("bit(9)")) == "`a``b` + 0"
    shape = "CONCAT(SUBSTRING(HEX(`a``b`), 9), '@', ST_SRID(`a``b`))"
    assert in_mysql(column("point")) == shape
    assert in_mysql(column("geomcollection")) == shape
    in_warehouse = "concat(hex(`a_b`.wkb), '@', coalesce(`a_b`.srid, 0))"
    assert in_hive(column("point"), "a_b") == in_warehouse
    assert in_mysql(column("int")) == "`a``b`"
