"""The archive's columns in Hive."""

import pyarrow as pa
import pytest

from schemas.hive.lake_tables import TYPE_LENGTH, arrow_schema, hive_columns
from schemas.logical_types import Column, plain
from schemas.warehouse_layout import Kind

MOST_COLUMNS = 4096  # of a table in MySQL


def wide_table(columns: int) -> list[Column]:
    return [
        Column(f"a_column_with_a_rather_long_name_{number:04}", plain(pa.int64(), "bigint"))
        for number in range(columns)
    ]


@pytest.mark.parametrize("count", [1, 381, 798, 799, 1017, MOST_COLUMNS])
def test_hive_has_the_first_columns_of_a_table_wider_than_its_metastore_holds(
    count: int,
) -> None:
    columns = wide_table(count)
    types = dict(hive_columns(Kind.CHANGES, columns))
    assert types["before"] == types["after"]
    assert len(types["after"]) <= TYPE_LENGTH
    fields = types["after"].removeprefix("struct<").removesuffix(">").split(",")
    all_fields = [f"{column.name}:bigint" for column in columns]
    assert fields == all_fields[: len(fields)]
    next_fields = all_fields[len(fields) : len(fields) + 1]
    longer_type = f"struct<{','.join([*fields, *next_fields])}>"
    assert fields == all_fields or len(longer_type) > TYPE_LENGTH


def test_the_files_have_all_columns_of_the_widest_table() -> None:
    schema = arrow_schema(Kind.CHANGES, wide_table(MOST_COLUMNS))
    assert schema.field("after").type.num_fields == MOST_COLUMNS
