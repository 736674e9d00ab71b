"""The archive: one row per record."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas.errors import ContractError
from schemas.logical_types import Column, plain
from schemas.warehouse_layout import Kind, Source
from spark.archive.archive_rows import ArchiveRows, archive_table, day_of
from spark.log.row_decoder import Unreadable

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
    rows = ArchiveRows()
    change: dict[str, Any] = {
        "op": "c",
        "source": {"gtid": "a:1"},
        "before": None,
        "after": {"order_id": 5},
    }
    rows.add_record(Record(0), 7, change, None)  # type: ignore[arg-type]
    rows.add_record(Record(1, None), 7, None, None)  # type: ignore[arg-type]
    rows.add_record(Record(2, b"{}"), 7, None, "not Avro: magic byte 0x7b")  # type: ignore[arg-type]
    created, tombstone, garbage = archive_table(ORDERS, COLUMNS, rows, 12).to_pylist()
    assert (
        created["topic"],
        created["offset"],
        created["schema_id"],
        created["op"],
        created["after"],
    ) == (ORDERS.topic, 0, 7, "c", {"order_id": 5})
    assert [row["version"] for row in (created, tombstone, garbage)] == [12, 12, 12]
    assert created["logged_at"].isoformat() == "2026-03-29T23:30:00.123000+00:00"
    assert (
        tombstone["value"],
        tombstone["op"],
        tombstone["after"],
        tombstone["error"],
    ) == (
        None,
        None,
        None,
        None,
    )
    assert (garbage["value"], garbage["schema_id"], garbage["error"]) == (
        b"{}",
        None,
        "not Avro: magic byte 0x7b",
    )


def test_a_record_belongs_to_the_utc_day_on_which_it_was_logged() -> None:
    assert day_of(Record(0)) == "2026-03-29"  # type: ignore[arg-type]


def test_an_unreadable_record_is_no_broken_contract() -> None:
    assert not issubclass(Unreadable, ContractError)
