"""Tables with the columns of another schema."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from schemas.errors import ContractError
from schemas.logical_types import INSTANT
from spark.merge.projection import concatenate, project, struct_fields
from tests.unit.spark.change_log import SCHEMA


def test_columns_are_matched_by_name_and_a_missing_one_is_null() -> None:
    old = pa.table({"gone": [1], "name": ["a"], "id": pa.array([1], pa.int32())})
    assert project(
        old, pa.schema([("id", pa.int64()), ("new", pa.string()), ("name", pa.string())])
    ).to_pylist() == [{"id": 1, "new": None, "name": "a"}]


def test_older_values_that_do_not_fit_a_new_type_are_refused_by_column() -> None:
    with pytest.raises(ContractError, match="column id changed from string to int64"):
        project(pa.table({"id": ["x"]}), SCHEMA)


def test_the_text_of_a_datetime_becomes_an_instant_of_utc() -> None:
    rows = pa.table({"at": ["2026-07-01 12:00:00"]})
    (row,) = project(rows, pa.schema([("at", INSTANT)])).to_pylist()
    assert row["at"] == datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.20", "1.2"),
        ("-0.05", "-0.05"),
        ("100.00", "100"),
        ("0.00", "0"),
        ("10.50", "10.5"),
        (None, None),
    ],
)
def test_a_decimal_becomes_the_text_that_it_has_with_more_digits(
    value: str | None, text: str | None
) -> None:
    decimals = [None if value is None else Decimal(value)]
    rows = pa.table({"price": pa.array(decimals, pa.decimal128(10, 2))})
    (row,) = project(rows, pa.schema([("price", pa.string())])).to_pylist()
    assert row["price"] == text
    whole = pa.table({"price": pa.array([Decimal(1200)], pa.decimal128(10, 0))})
    (row,) = project(whole, pa.schema([("price", pa.string())])).to_pylist()
    assert row["price"] == "1200"


def test_a_null_struct_has_null_fields() -> None:
    image = pa.array([{"id": 1, "name": "a"}, None], pa.struct(list(SCHEMA)))
    rows = struct_fields(pa.chunked_array([image.slice(0, 1), image.slice(1)]))
    assert rows.to_pylist() == [{"id": 1, "name": "a"}, {"id": None, "name": None}]


def test_no_tables_are_an_empty_one() -> None:
    table = pa.table({"id": [1], "name": ["a"]}, SCHEMA)
    assert concatenate([], SCHEMA) == SCHEMA.empty_table()
    assert concatenate([table, table], SCHEMA).num_rows == 2
