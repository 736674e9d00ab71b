from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from infra.errors import ContractError, Unavailable
from processors.decoding import Clicks, decode

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000


@dataclass(frozen=True)
class Record:
    content: Any
    at: int = 0

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return self.at

    def value(self) -> Any:
        return self.content


def as_it_is(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


def test_clicks_come_as_columns_in_the_order_of_the_log() -> None:
    records = [Record({"product_id": 7, "viewed_at": NOON}, 4), Record({"product_id": 8, "viewed_at": NOON + timedelta(milliseconds=1)}, 5)]
    clicks, unreadable = decode(records, "product_id", as_it_is)
    assert clicks == Clicks([2, 2], [4, 5], [7, 8], [NOON_MS, NOON_MS + 1])
    assert unreadable == []


def test_one_instant_counts_alike_in_every_zone() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    clicks, _ = decode([Record({"product_id": 7, "viewed_at": there})], "product_id", as_it_is)
    assert clicks.viewed_ms == [NOON_MS]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ContractError("not Avro: magic byte 0x7b"), "not Avro: magic byte 0x7b"),
        (None, "no value: a tombstone is no click"),
        ("text", "a str instead of a record"),
        ({"viewed_at": NOON}, "product_id is None, which is no id"),
        ({"product_id": "7", "viewed_at": NOON}, "product_id is '7', which is no id"),
        ({"product_id": True, "viewed_at": NOON}, "product_id is True, which is no id"),
        ({"product_id": 7, "viewed_at": NOON_MS}, f"viewed_at is {NOON_MS}, which is no instant"),
        ({"product_id": 7}, "viewed_at is None, which is no instant"),
    ],
)
def test_a_record_that_is_no_click_is_set_aside_with_its_reason(content: Any, reason: str) -> None:
    good = Record({"product_id": 7, "viewed_at": NOON}, at=9)
    clicks, unreadable = decode([Record(content), good], "product_id", as_it_is)
    assert clicks.offsets == [9]
    assert [letter.reason for letter in unreadable] == [reason]


def test_a_registry_that_is_away_makes_no_record_unreadable() -> None:
    with pytest.raises(Unavailable):
        decode([Record(Unavailable("registry"))], "product_id", as_it_is)
