"""Parquet files: what is written is read again, encoded by what the columns hold."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.logical_types import INSTANT
from spark.storage.parquet import (
    BY_DIFFERENCES,
    ParquetWriter,
    encodings,
    read_row_groups,
    read_table,
)

ORDER = pa.struct([("order_id", pa.int64()), ("status", pa.string())])
SCHEMA = pa.schema(
    [
        ("order_id", pa.int64()),
        ("orderedAt", INSTANT),
        ("day", pa.date32()),
        ("status", pa.string()),
        ("note", pa.string()),
        ("price", pa.float64()),
        ("gift", pa.bool_()),
        ("after", ORDER),
    ]
)


def orders(count: int) -> pa.Table:
    """Orders with numbers at both ends of what a column holds, and nulls."""
    numbers = [None, -(2**63), 2**63 - 1, *range(3, count)]
    return pa.table(
        {
            "order_id": numbers,
            "orderedAt": [
                None,
                datetime(1, 1, 1, tzinfo=UTC),
                datetime(9999, 12, 31, tzinfo=UTC),
                *[datetime(2026, 1, 1, tzinfo=UTC)] * (count - 3),
            ],
            "day": [
                None,
                date(1, 1, 1),
                date(9999, 12, 31),
                *[date(2026, 1, 1)] * (count - 3),
            ],
            "status": [None, *["0", "1"] * count][:count],
            "note": [None, *[f"note {number}" for number in range(1, count)]],
            "price": [None, *[number / 3 for number in range(1, count)]],
            "gift": [None, *[True, False] * count][:count],
            "after": [
                None,
                *[{"order_id": number, "status": "1"} for number in numbers[1:]],
            ],
        },
        schema=SCHEMA,
    )


def written(table: pa.Table) -> bytes:
    file = ParquetWriter(table.schema)
    file.write_rows(table)
    return file.finish()


def test_orders_are_read_as_they_were_written_whatever_their_encoding() -> None:
    rows = orders(2000)
    assert read_table(written(rows), "/f").equals(rows)
    assert read_table(written(rows.slice(0, 0)), "/f").equals(rows.slice(0, 0))


def test_numbers_and_times_have_a_delta_encoding_and_repeated_texts_a_dictionary() -> None:
    file = pq.ParquetFile(pa.BufferReader(written(orders(2000))))
    columns = [
        file.metadata.row_group(0).column(number)
        for number in range(file.metadata.num_columns)
    ]
    found = {column.path_in_schema: column.encodings for column in columns}
    assert {path for path, encoded in found.items() if BY_DIFFERENCES in encoded} == {
        "order_id",
        "orderedAt",
        "day",
        "after.order_id",
    }
    assert {path for path, encoded in found.items() if "RLE_DICTIONARY" in encoded} == {
        "status",
        "price",
        "after.status",
    }


def test_a_column_named_like_one_in_a_struct_is_not_taken_for_it() -> None:
    clash = pa.table(
        {
            "after.order_id": ["x"],
            "after": pa.array([{"order_id": 1, "status": "1"}], ORDER),
        }
    )
    assert encodings(clash)["column_encoding"] == {}
    assert read_table(written(clash), "/f").equals(clash)


def test_many_small_writes_make_few_row_groups_with_all_rows() -> None:
    schema = pa.schema([("id", pa.int64())])
    writer = ParquetWriter(schema)
    for number in range(1000):
        writer.write_rows(pa.table({"id": [number]}, schema))
    data = writer.finish()
    assert writer.rows == 1000
    assert len(list(read_row_groups(data, "/f"))) == 1
    assert read_table(data, "/f", ["id", "missing"]).column("id").to_pylist() == list(
        range(1000)
    )
