import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.cli.sql.files.parquet_footer import footer_length, without_zones
from schemas.hive.lake_tables import arrow_schema
from schemas.logical_types import INSTANT, column_of_hive
from schemas.warehouse_layout import Kind
from spark.storage.parquet import ParquetWriter

# Fewer and more than 15 columns: longer lists have another header.
FEW_COLUMNS = pa.schema(
    [("note", pa.string()), ("at", INSTANT), ("price", pa.decimal128(10, 2))]
)
ARCHIVE_COLUMNS = arrow_schema(
    Kind.CHANGES,
    [column_of_hive("id", "bigint"), column_of_hive("orderedAt", "timestamp")],
)


def file_of(schema: pa.Schema) -> bytes:
    writer = ParquetWriter(schema)
    writer.write_rows(schema.empty_table())
    return writer.finish()


def with_plain_timestamps(data: bytes) -> bytes:
    length = footer_length(data)
    assert length is not None
    return data[:-length] + without_zones(data[-length:])


def without_zone(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, without_zone(field.type)) for field in kind])
    return pa.timestamp("us") if kind == INSTANT else kind


@pytest.mark.parametrize("schema", [FEW_COLUMNS, ARCHIVE_COLUMNS], ids=["few", "archive"])
def test_only_timestamps_have_another_type(schema: pa.Schema) -> None:
    data = file_of(schema)
    changed = with_plain_timestamps(data)
    stored = pq.read_schema(io.BytesIO(data))
    expected = [(field.name, without_zone(field.type)) for field in stored]
    assert [(field.name, field.type) for field in pq.read_schema(io.BytesIO(changed))] == (
        expected
    )
    assert len(changed) == len(data)


def test_a_file_of_another_writer_keeps_its_values() -> None:
    rows = pa.table({"at": pa.array([1_000_001, None], INSTANT), "n": [1, 2]})
    output = io.BytesIO()
    pq.write_table(rows, output)
    changed = pq.read_table(
        io.BytesIO(with_plain_timestamps(output.getvalue())),
        use_threads=False,
        arrow_extensions_enabled=False,
    )
    assert changed["at"].cast(pa.int64()).to_pylist() == [1_000_001, None]
    assert changed["n"].to_pylist() == [1, 2]


def test_a_timestamp_without_a_zone_stays() -> None:
    data = file_of(pa.schema([("at", pa.timestamp("us"))]))
    assert with_plain_timestamps(data) == data


@pytest.mark.parametrize("tail", [b"", b"PAR1", b"\x00" * 20, b"\x01\x00\x00\x00PARX"])
def test_what_does_not_end_as_parquet_has_no_footer(tail: bytes) -> None:
    assert footer_length(tail) is None


@pytest.mark.parametrize("footer", [b"\x15", b"\x19", b"\x1e\x00", b"\x29\xfc"])
def test_bytes_that_are_no_footer_are_refused(footer: bytes) -> None:
    with pytest.raises(ValueError, match="footer"):
        without_zones(footer)
