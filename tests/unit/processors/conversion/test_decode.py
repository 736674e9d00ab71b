"""What of the log concerns the conversion: views that count, and orders that were placed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.registry import Decoder, Encoder, SchemaRegistry
from infra.errors import ContractError, Unavailable
from processors.clicks import ClickDecoder, TimeRule
from processors.conversion_records import Placed, placed_by, views_of
from schemas import events, topics

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000


@dataclass(frozen=True)
class Record:
    content: Any
    at: int = 0
    logged_ms: int = NOON_MS
    place: int = 0

    def partition(self) -> int:
        return self.place

    def offset(self) -> int:
        return self.at

    def value(self) -> Any:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return 2, self.logged_ms


@dataclass(frozen=True)
class Decoded:
    record: Any


class Changes:
    """A decoder of changes that are there as they are; text is a reason why a value is no change."""

    def decode(self, value: Any) -> Decoded:
        if isinstance(value, str):
            raise ContractError(value)
        if isinstance(value, Exception):
            raise value
        return Decoded(value)


def change(op: str, order: Any = 4711, product: Any = 7, user: Any = 1, at: Any = "2026-03-01T12:00:00Z") -> dict[str, Any]:
    row = {"order_id": order, "user_id": user, "product_id": product, "orderedAt": at, "status": "0"}
    return {"op": op, "before": None if op in "cr" else row, "after": None if op == "d" else row}


def placed(*contents: Any) -> Placed:
    decoder: Any = Changes()
    assert isinstance(Decoder, type)
    return placed_by([Record(content, at) for at, content in enumerate(contents)], decoder)


def rows(found: Placed) -> list[tuple[int, ...]]:
    orders = found.orders
    columns = (orders.order, orders.product, orders.user, orders.ordered_ms)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_orders_inserted_and_orders_that_a_snapshot_found_were_placed() -> None:
    assert rows(placed(change("c", 1), change("r", 2, product=8, user=9))) == [(1, 7, 1, NOON_MS), (2, 8, 9, NOON_MS)]


def test_what_becomes_of_an_order_does_not_matter() -> None:
    found = placed(change("c"), change("u"), change("d"), None, {"op": "t", "before": None, "after": None})
    assert (rows(found), found.unreadable) == ([(4711, 7, 1, NOON_MS)], [])


def test_an_instant_reads_the_same_in_any_zone() -> None:
    assert rows(placed(change("c", at="2026-03-01T14:00:00+02:00")))[0][3] == NOON_MS
    assert rows(placed(change("c", at="2026-03-01T12:00:00.250Z")))[0][3] == NOON_MS + 250


@pytest.mark.parametrize(
    "wrong",
    [
        "not Avro", [], {"product_id": 7}, {"op": "c", "after": None}, change("c", order=None), change("c", user="1"),
        change("c", product=True),
        change("c", order=2**63), change("c", at=None), change("c", at=1_772_366_400), change("c", at="yesterday"),
        change("c", at="2026-03-01T12:00:00"),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_read_is_named_and_the_others_are_read(wrong: Any) -> None:
    found = placed(change("c", 1), wrong, change("c", 2))
    assert [row[0] for row in rows(found)] == [1, 2]
    (where,) = found.unreadable
    assert where.startswith("[0]@1: ")


def test_a_registry_that_is_away_makes_no_change_unreadable() -> None:
    with pytest.raises(Unavailable):
        placed(Unavailable("the registry is away"))


def test_it_is_noted_how_far_orders_are_dated_ahead_of_the_log() -> None:
    assert placed(change("c"), change("c", at="2026-03-01T12:30:00Z"), change("c", at="2026-03-01T11:00:00Z")).ahead_ms == 30 * 60_000


class Registry(SchemaRegistry):
    """A registry with one schema."""

    def __init__(self) -> None:
        super().__init__("http://nowhere.invalid")

    def register(self, subject: str, schema: Any) -> int:
        return 3

    def schema(self, schema_id: int) -> Any:
        if schema_id != 3:
            raise ContractError(f"schema id {schema_id} is unknown")
        return events.CONTRACTS[topics.PRODUCT_VIEW]


def looks(*records: Record, starts: dict[int, int] | None = None) -> list[tuple[int, int, int]]:
    decoder = ClickDecoder(Registry(), "product_id", TimeRule(horizon_ms=7 * 86_400_000, ahead_ms=3_600_000))
    seen = views_of(records, decoder, starts or {})
    return list(zip(seen.product.tolist(), seen.user.tolist(), seen.viewed_ms.tolist(), strict=True))


def view(product: int = 7, user: int = 1, at: datetime = NOON) -> bytes:
    encoder = Encoder(Registry(), "productview-value", events.CONTRACTS[topics.PRODUCT_VIEW])
    return encoder.encode({"event_id": "e", "user_id": user, "product_id": product, "source": "web", "viewed_at": at})


def test_only_views_that_count_can_convert() -> None:
    late, absurd = NOON - timedelta(days=7, milliseconds=1), NOON + timedelta(hours=1, milliseconds=1)
    records = [Record(content) for content in (view(), b"nonsense", None, view(at=late), view(at=absurd), view(8, 2, NOON - timedelta(days=7)))]
    assert looks(*records) == [(7, 1, NOON_MS), (8, 2, NOON_MS - 7 * 86_400_000)]


def test_a_generation_counts_views_from_its_own_start_on() -> None:
    records = [Record(view(product), at, place=place) for product, at, place in ((1, 4, 0), (2, 5, 0), (3, 4, 1), (4, 0, 2))]
    assert [product for product, _, _ in looks(*records, starts={0: 5, 1: 9})] == [2, 4]
