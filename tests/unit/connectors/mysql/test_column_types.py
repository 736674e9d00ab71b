"""A column of MySQL has the type in the log that docs/types.md states."""

import pyarrow as pa
import pytest

from connectors.mysql.column_types import ColumnFacts, read_column
from schemas.errors import ContractError
from schemas.mysql_types import LINES, Line
from tests.unit.connectors.mysql.column_facts import FACTS, facts, read_column_of


@pytest.mark.parametrize("line", LINES, ids=[line.mysql for line in LINES])
def test_each_type_of_the_pages_has_the_type_of_its_records(line: Line) -> None:
    read_type = read_column_of(line.mysql).column.type
    assert read_type.arrow == line.type.arrow
    assert read_type.hive == line.type.hive


def test_the_facts_are_those_of_the_types_of_the_pages() -> None:
    assert list(FACTS) == [line.mysql for line in LINES]


@pytest.mark.parametrize(
    ("column_facts", "arrow"),
    [
        (facts("decimal", "decimal(65,30)", digits=65, scale=30), pa.string()),
        (facts("decimal", "decimal(39,0)", digits=39, scale=0), pa.string()),
        (facts("decimal", "decimal(30,30)", digits=30, scale=30), pa.decimal128(30, 30)),
        (facts("double", "double(10,2)", digits=10, scale=2), pa.float64()),
        (facts("mediumint", "mediumint unsigned zerofill", digits=7), pa.int32()),
        (facts("bit", "bit(63)", digits=63), pa.int64()),
        (facts("datetime", "datetime(4)", fraction=4), pa.timestamp("us", "UTC")),
        (facts("enum", "enum('unsigned')", charset="latin1"), pa.string()),
    ],
)
def test_other_sizes_follow(column_facts: ColumnFacts, arrow: pa.DataType) -> None:
    assert read_column(column_facts, "table t").column.type.arrow == arrow


def test_a_column_has_its_name_and_may_be_null_as_in_mysql() -> None:
    not_null = ColumnFacts("2nd name", "int", "int", nullable=False)
    read = read_column(not_null, "table t")
    assert read.name == "2nd name"
    assert read.column.name == "2nd name"
    assert not read.column.nullable
    assert read.select_sql == "`2nd name`"


def test_a_bit_is_selected_as_a_number() -> None:
    assert read_column_of("BIT(9)").select_sql == "`c` + 0"


def test_an_unknown_type_is_refused_by_name() -> None:
    unknown = ColumnFacts("when", "interval", "interval year")
    with pytest.raises(ContractError, match="table t: column when has the type interval"):
        read_column(unknown, "table t")
