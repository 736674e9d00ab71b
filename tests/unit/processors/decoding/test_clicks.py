import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import pytest

from infra.errors import ContractError, Unavailable
from processors.clicks import LOG_APPEND_TIME, ClickDecoder, TimeRule
from schemas.events import CONTRACTS
from schemas.topics import PRODUCT_VIEW

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000
HOUR_MS = 3_600_000
CLICK = {"event_id": "a", "user_id": 1, "product_id": 7, "source": "web", "viewed_at": NOON}
NULLABLE = {
    "type": "record", "name": "Old",
    "fields": [{"name": "user_id", "type": "long"}, {"name": "product_id", "type": ["null", "long", "string", "boolean"]}, {"name": "viewed_at",
               "type": ["null", "long", {"type": "long", "logicalType": "timestamp-millis"}]}],
}  # fmt: skip
SCHEMAS: dict[int, Any] = {1: CONTRACTS[PRODUCT_VIEW], 2: NULLABLE, 3: {"type": "string"}}


class Registry:
    def schema(self, schema_id: int) -> Any:
        if schema_id == 99:
            raise Unavailable("registry")
        if schema_id not in SCHEMAS:
            raise ContractError(f"schema id {schema_id} is unknown")
        return SCHEMAS[schema_id]


@dataclass(frozen=True)
class Record:
    content: bytes | None
    at: int = 0
    place: int = 2
    logged_ms: int = NOON_MS
    kind: int = LOG_APPEND_TIME

    def partition(self) -> int:
        return self.place

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return self.kind, self.logged_ms


def value(record: Any, schema_id: int = 1) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMAS[schema_id]), record)
    return b"\0" + schema_id.to_bytes(4, "big") + stream.getvalue()


def decoder(horizon_ms: int = HOUR_MS, ahead_ms: int = HOUR_MS) -> ClickDecoder:
    return ClickDecoder(Registry(), "product_id", TimeRule(horizon_ms, ahead_ms))  # type: ignore[arg-type]


def test_clicks_come_as_columns_in_the_order_of_the_log() -> None:
    later = CLICK | {"product_id": 8, "viewed_at": NOON + timedelta(milliseconds=1), "event_id": "żółw"}
    old = {"user_id": 3, "product_id": ("long", 9), "viewed_at": NOON}
    found = decoder().decode([Record(value(CLICK), 4), Record(value(later), 5), Record(value(old, 2), 6)])
    clicks, unreadable = found.clicks, found.unreadable
    columns = [clicks.partition, clicks.offset, clicks.subject, clicks.user, clicks.viewed_ms]
    assert [column.tolist() for column in columns] == [[2, 2, 2], [4, 5, 6], [7, 8, 9], [1, 1, 3], [NOON_MS, NOON_MS + 1, NOON_MS]]
    assert unreadable == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"product_id": 7}', "not Avro: magic byte 0x7b"),
        (None, "no value: a tombstone is no click"),
        (b"", "not Avro: 0 bytes, fewer than the 5 of the header"),
        (b"\0\0\0\x27\x0f body", "schema id 9999 is unknown"),
        (value(CLICK)[:-1], "not a record of schema id 1"),
        (value(CLICK) + b"\0", "not a record of schema id 1: 1 bytes too many"),
        (value("text", 3), "a str instead of a record"),
        (value({"user_id": 1, "product_id": None, "viewed_at": NOON}, 2), "product_id is None, which is no id"),
        (value({"user_id": 1, "product_id": ("string", "7"), "viewed_at": NOON}, 2), "product_id is '7', which is no id"),
        (value({"user_id": 1, "product_id": ("boolean", True), "viewed_at": NOON}, 2), "product_id is True, which is no id"),
        (value({"user_id": 1, "product_id": ("long", 7), "viewed_at": None}, 2), "viewed_at is None, which is no instant"),
    ],
)
def test_a_record_that_is_no_click_is_set_aside_with_its_reason(content: bytes | None, reason: str) -> None:
    found = decoder().decode([Record(content), Record(value(CLICK), at=9)])
    clicks, unreadable = found.clicks, found.unreadable
    assert clicks.offset.tolist() == [9]
    assert [letter.reason.startswith(reason) for letter in unreadable] == [True], unreadable


@pytest.mark.parametrize(("early_ms", "is_late"), [(HOUR_MS, False), (HOUR_MS + 1, True)])
def test_a_click_counts_until_the_horizon_and_is_set_aside_as_late_beyond_it(early_ms: int, is_late: bool) -> None:
    found = decoder().decode([Record(value(CLICK), 1), Record(value(CLICK), 2, logged_ms=NOON_MS + early_ms)])
    clicks, unreadable = found.clicks, found.unreadable
    assert clicks.offset.tolist() == ([1] if is_late else [1, 2])
    assert [letter.late for letter in unreadable] == [True] * is_late


def test_a_click_from_the_far_future_is_set_aside_as_absurd() -> None:
    future = CLICK | {"viewed_at": NOON + timedelta(days=400)}
    found = decoder().decode([Record(value(CLICK), 1), Record(value(future), 2)])
    clicks, unreadable = found.clicks, found.unreadable
    assert clicks.offset.tolist() == [1]
    assert [(letter.late, "absurd time" in letter.reason) for letter in unreadable] == [(False, True)]


def test_how_late_a_click_is_shows_by_its_own_record_whatever_stands_beside_it() -> None:
    producers_clock = 1
    times = [NOON_MS, NOON_MS + 3 * HOUR_MS, NOON_MS]  # a producer's clock may go back
    clicks = decoder().decode([Record(value(CLICK), at, logged_ms=at_ms, kind=producers_clock) for at, at_ms in enumerate(times)]).clicks
    assert clicks.offset.tolist() == [0, 2]


def test_the_offset_after_the_last_of_each_partition_is_committed_also_if_that_one_is_no_click() -> None:
    found = decoder().decode([Record(value(CLICK), 5, place=0), Record(value(CLICK), 9, place=1), Record(b"{}", 8, place=0)])
    assert found.following == {0: 9, 1: 10}


def test_a_registry_that_is_away_makes_no_record_unreadable() -> None:
    with pytest.raises(Unavailable):
        decoder().decode([Record(b"\0\0\0\0\x63 body")])
