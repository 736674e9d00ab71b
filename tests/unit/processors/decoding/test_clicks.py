from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processors.decoding.clicks import LOG_APPEND_TIME, ClickDecoder
from processors.decoding.late_clicks import TimeRule
from schemas.errors import ContractError, Unavailable
from schemas.events import CONTRACTS
from schemas.topics import PRODUCT_VIEW
from tests.unit.processors.click_values import encode

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000
HOUR_MS = 3_600_000
PRODUCER_CLOCK = 1  # Kafka's timestamp type CREATE_TIME
CLICK = {"event_id": "a", "user_id": 1, "product_id": 7, "source": "web", "viewed_at": NOON}
TIMESTAMP = {"type": "long", "logicalType": "timestamp-millis"}
NULLABLE = {
    "type": "record",
    "name": "Old",
    "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "product_id", "type": ["null", "long", "string", "boolean"]},
        {"name": "viewed_at", "type": ["null", "long", TIMESTAMP]},
    ],
}
CONTRACT_ID = 1
NULLABLE_ID = 2
STRING_ID = 3
UNAVAILABLE_ID = 99
SCHEMAS: dict[int, Any] = {
    CONTRACT_ID: CONTRACTS[PRODUCT_VIEW],
    NULLABLE_ID: NULLABLE,
    STRING_ID: {"type": "string"},
}


class Registry:
    def schema(self, schema_id: int) -> Any:
        if schema_id == UNAVAILABLE_ID:
            raise Unavailable("registry")
        if schema_id not in SCHEMAS:
            raise ContractError(f"schema id {schema_id} is unknown")
        return SCHEMAS[schema_id]


@dataclass(frozen=True)
class Record:
    content: bytes | None
    at: int = 0
    partition_number: int = 2
    logged_ms: int = NOON_MS
    time_type: int = LOG_APPEND_TIME

    def partition(self) -> int:
        return self.partition_number

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return self.time_type, self.logged_ms


def value(record: Any, schema_id: int = CONTRACT_ID) -> bytes:
    return encode(record, SCHEMAS[schema_id], schema_id)


def nullable(product_id: Any, viewed_at: Any = NOON) -> bytes:
    """Return a click of the schema with unions, which is decoded record by record."""
    click = {"user_id": 3, "product_id": product_id, "viewed_at": viewed_at}
    return value(click, NULLABLE_ID)


def decoder(horizon_ms: int = HOUR_MS, ahead_ms: int = HOUR_MS) -> ClickDecoder:
    registry: Any = Registry()
    return ClickDecoder(registry, "product_id", TimeRule(horizon_ms, ahead_ms))


def test_clicks_come_as_columns_in_the_order_of_the_log() -> None:
    later = NOON + timedelta(milliseconds=1)
    # Text that is not ASCII is decoded record by record.
    second = CLICK | {"product_id": 8, "viewed_at": later, "event_id": "żółw"}
    records = [
        Record(value(CLICK), 4),
        Record(value(second), 5),
        Record(nullable(("long", 9)), 6),
    ]
    decoded = decoder().decode(records)
    clicks = decoded.clicks
    assert clicks.partition.tolist() == [2, 2, 2]
    assert clicks.offset.tolist() == [4, 5, 6]
    assert clicks.subject.tolist() == [7, 8, 9]
    assert clicks.user.tolist() == [1, 1, 3]
    assert clicks.viewed_ms.tolist() == [NOON_MS, NOON_MS + 1, NOON_MS]
    assert decoded.rejected_records == []
    assert decoded.record_count == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"product_id": 7}', "not Avro: magic byte 0x7b"),
        (None, "no value: a tombstone is not a click"),
        (b"", "not Avro: 0 bytes, fewer than the 5 of the header"),
        (b"\0\0\0\x27\x0f body", "schema id 9999 is unknown"),
        (value(CLICK)[:-1], "not a record of schema id 1"),
        (value(CLICK) + b"\0", "not a record of schema id 1: 1 bytes too many"),
        (value("text", STRING_ID), "a str instead of a record"),
        (nullable(None), "product_id is None, not an id"),
        (nullable(("string", "7")), "product_id is '7', not an id"),
        (nullable(("boolean", True)), "product_id is True, not an id"),
        (nullable(("long", 7), viewed_at=None), "viewed_at is None, not an instant"),
    ],
)
def test_a_record_that_is_not_a_click_is_rejected_with_its_reason(
    content: bytes | None, reason: str
) -> None:
    decoded = decoder().decode([Record(content), Record(value(CLICK), at=9)])
    assert decoded.clicks.offset.tolist() == [9]
    (rejected,) = decoded.rejected_records
    assert rejected.reason.startswith(reason)
    assert not rejected.late


@pytest.mark.parametrize(("early_ms", "is_late"), [(HOUR_MS, False), (HOUR_MS + 1, True)])
def test_a_click_counts_until_the_horizon_and_is_rejected_as_late_beyond_it(
    early_ms: int, is_late: bool
) -> None:
    second = Record(value(CLICK), 2, logged_ms=NOON_MS + early_ms)
    decoded = decoder().decode([Record(value(CLICK), 1), second])
    assert decoded.clicks.offset.tolist() == ([1] if is_late else [1, 2])
    assert [rejected.late for rejected in decoded.rejected_records] == [True] * is_late


def test_a_click_from_the_far_future_is_rejected_as_absurd() -> None:
    future = CLICK | {"viewed_at": NOON + timedelta(days=400)}
    decoded = decoder().decode([Record(value(CLICK), 1), Record(value(future), 2)])
    assert decoded.clicks.offset.tolist() == [1]
    (rejected,) = decoded.rejected_records
    assert "absurd time" in rejected.reason
    assert not rejected.late


def test_each_click_is_late_by_the_log_time_of_its_own_record() -> None:
    # A producer's clock may go back.
    logged_times = [NOON_MS, NOON_MS + 3 * HOUR_MS, NOON_MS]
    records = [
        Record(value(CLICK), offset, logged_ms=logged_ms, time_type=PRODUCER_CLOCK)
        for offset, logged_ms in enumerate(logged_times)
    ]
    assert decoder().decode(records).clicks.offset.tolist() == [0, 2]


def test_the_next_offset_of_a_partition_follows_its_last_record_even_if_that_is_no_click() -> (
    None
):
    records = [
        Record(value(CLICK), 5, partition_number=0),
        Record(value(CLICK), 9, partition_number=1),
        Record(b"{}", 8, partition_number=0),
    ]
    assert decoder().decode(records).next_offsets == {0: 9, 1: 10}


def test_while_the_registry_does_not_answer_no_record_is_rejected() -> None:
    with pytest.raises(Unavailable):
        decoder().decode([Record(b"\0\0\0\0\x63 body")])
