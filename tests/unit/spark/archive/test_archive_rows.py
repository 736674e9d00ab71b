"""The archive: one row per record, and what a merge plans with."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from infra.errors import ContractError
from schemas.logical import Column, plain
from schemas.warehouse import Kind, Source
from spark.archive import Rows, archive_table, day_of
from spark.decoding import Unreadable
from spark.parquet import ParquetWriter, read_table, row_groups
from spark.spans import ANY_KEY, KeySpan, span_of

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
COLUMNS = (Column("order_id", plain(pa.int64(), "bigint")),)


@dataclass
class Record:
    """What the archive asks of a Kafka message."""

    at: int
    data: bytes | None = b"\x00\x00\x00\x00\x07body"
    time_ms: int = 1774827000123

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 1, self.time_ms

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes | None:
        return self.data


def test_a_record_is_archived_with_its_place_its_bytes_and_what_they_say() -> None:
    rows = Rows()
    change: dict[str, Any] = {"op": "c", "source": {"gtid": "a:1"}, "before": None, "after": {"order_id": 5}}
    rows.add(Record(0), 7, change, None)  # type: ignore[arg-type]
    rows.add(Record(1, None), 7, None, None)  # type: ignore[arg-type]
    rows.add(Record(2, b"{}"), 7, None, "not Avro: magic byte 0x7b")  # type: ignore[arg-type]
    created, tombstone, garbage = archive_table(ORDERS, COLUMNS, rows, 12).to_pylist()
    assert (created["topic"], created["offset"], created["schema_id"], created["op"], created["after"]) == (ORDERS.topic, 0, 7, "c", {"order_id": 5})
    assert [row["version"] for row in (created, tombstone, garbage)] == [12, 12, 12]
    assert created["logged_at"].isoformat() == "2026-03-29T23:30:00.123000+00:00"
    assert (tombstone["value"], tombstone["op"], tombstone["after"], tombstone["error"]) == (None, None, None, None)
    assert (garbage["value"], garbage["schema_id"], garbage["error"]) == (b"{}", None, "not Avro: magic byte 0x7b")


def test_a_record_belongs_to_the_utc_day_on_which_it_was_logged() -> None:
    assert day_of(Record(0)) == "2026-03-29"  # type: ignore[arg-type]


def test_an_unreadable_record_is_no_broken_contract() -> None:
    assert not issubclass(Unreadable, ContractError)


def test_many_small_writes_make_few_row_groups_with_all_rows() -> None:
    schema = pa.schema([("id", pa.int64())])
    writer = ParquetWriter(schema)
    for number in range(1000):
        writer.write(pa.table({"id": [number]}, schema))
    data = writer.finish()
    assert writer.rows == 1000
    assert len(list(row_groups(data, "/f"))) == 1
    assert read_table(data, "/f", ["id", "missing"]).column("id").to_pylist() == list(range(1000))


@pytest.mark.parametrize(
    ("keys", "span"),
    [(pa.array([3, 1, 2]), KeySpan(1, 3)), (pa.array(["a"]), ANY_KEY), (pa.array([], pa.int64()), None)],
)
def test_a_span_holds_its_keys(keys: pa.Array, span: KeySpan | None) -> None:
    assert span_of(keys) == span


def test_spans_meet_where_they_share_a_key_and_any_key_meets_all() -> None:
    assert KeySpan(1, 5).meets(KeySpan(5, 9))
    assert not KeySpan(1, 4).meets(KeySpan(5, 9))
    assert ANY_KEY.meets(KeySpan(5, 9))
    assert KeySpan(1, 2).wider(KeySpan(8, 9)) == KeySpan(1, 9)
    assert KeySpan(1, 2).wider(ANY_KEY) == ANY_KEY
    assert KeySpan(1, 2).wider(None) == KeySpan(1, 2)
