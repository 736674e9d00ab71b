"""The records that concern the conversion: views that count, and orders that were placed."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from processors.conversion.decode import PlacedOrders, decode_orders, decode_views
from processors.conversion.interval_join import Orders
from processors.decoding.clicks import ClickDecoder
from processors.decoding.late_clicks import TimeRule
from schemas import events, shop_tables, topics
from schemas.errors import ContractError, Unavailable
from schemas.shop_tables import ORDERS, Column

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
WEEK_MS = 7 * 24 * HOUR_MS
SCHEMA_ID = 3


@dataclass(frozen=True)
class Record:
    content: Any
    at: int = 0
    logged_ms: int = NOON_MS
    partition_number: int = 0

    def partition(self) -> int:
        return self.partition_number

    def offset(self) -> int:
        return self.at

    def value(self) -> Any:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return 2, self.logged_ms


@dataclass(frozen=True)
class DecodedRecord:
    record: Any


class ChangeDecoder:
    """Returns values as they are; text is the reason why a value cannot be decoded."""

    def decode(self, value: Any) -> DecodedRecord:
        if isinstance(value, str):
            raise ContractError(value)
        if isinstance(value, Exception):
            raise value
        return DecodedRecord(value)


def change(
    op: str,
    order: Any = 4711,
    product: Any = 7,
    user: Any = 1,
    at: Any = "2026-03-01T12:00:00Z",
) -> dict[str, Any]:
    row = {
        "order_id": order,
        "user_id": user,
        "product_id": product,
        "orderedAt": at,
        "status": "0",
    }
    before = None if op in "cr" else row
    after = None if op == "d" else row
    return {"op": op, "before": before, "after": after}


def decoded(*contents: Any) -> PlacedOrders:
    decoder: Any = ChangeDecoder()
    records = [Record(content, offset) for offset, content in enumerate(contents)]
    return decode_orders(records, decoder)


def rows(orders: Orders) -> list[tuple[int, ...]]:
    columns = (orders.order, orders.product, orders.user, orders.ordered_ms)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_orders_inserted_and_orders_that_a_snapshot_found_were_placed() -> None:
    placed = decoded(change("c", 1), change("r", 2, product=8, user=9))
    assert rows(placed.orders) == [(1, 7, 1, NOON_MS), (2, 8, 9, NOON_MS)]


def test_later_changes_of_an_order_do_not_matter() -> None:
    truncation = {"op": "t", "before": None, "after": None}
    placed = decoded(change("c"), change("u"), change("d"), None, truncation)
    assert rows(placed.orders) == [(4711, 7, 1, NOON_MS)]
    assert placed.unreadable == []


def test_an_instant_reads_the_same_in_any_zone() -> None:
    placed = decoded(
        change("c", at="2026-03-01T14:00:00+02:00"),
        change("c", at="2026-03-01T12:00:00.250Z"),
    )
    assert placed.orders.ordered_ms.tolist() == [NOON_MS, NOON_MS + 250]


@pytest.mark.parametrize(
    "unreadable",
    [
        "not Avro",
        [],
        {"product_id": 7},
        {"op": "c", "after": None},
        change("c", order=None),
        change("c", user="1"),
        change("c", product=True),
        change("c", order=2**63),
        change("c", at=None),
        change("c", at=1_772_366_400),
        change("c", at="yesterday"),
        change("c", at="2026-03-01T12:00:00"),
    ],
)
def test_a_change_that_cannot_be_read_is_named_and_the_others_are_read(
    unreadable: Any,
) -> None:
    placed = decoded(change("c", 1), unreadable, change("c", 2))
    assert placed.orders.order.tolist() == [1, 2]
    (problem,) = placed.unreadable
    assert problem.startswith("[0]@1: ")


def test_while_the_registry_does_not_answer_no_change_is_unreadable() -> None:
    with pytest.raises(Unavailable):
        decoded(Unavailable("the registry does not answer"))


def test_it_is_noted_how_far_orders_are_dated_ahead_of_the_log() -> None:
    placed = decoded(
        change("c"),
        change("c", at="2026-03-01T12:30:00Z"),
        change("c", at="2026-03-01T11:00:00Z"),
    )
    assert placed.ahead_ms == 30 * MINUTE_MS


def loaded_again(name: str) -> ModuleType:
    """Return a second copy of a module, without replacing the first."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_orders_are_read_by_column_name_wherever_a_new_column_is_inserted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    note = Column("note", "VARCHAR(40)")
    more_columns = dataclasses.replace(ORDERS, columns=(note, *ORDERS.columns))
    monkeypatch.setattr(shop_tables, "ORDERS", more_columns)
    decode = loaded_again("processors.conversion.decode")
    inserted = change("c", 4711, product=7, user=1)
    inserted["after"] = {"note": "a gift", **inserted["after"]}
    placed = decode.decode_orders([Record(inserted)], ChangeDecoder())
    assert rows(placed.orders) == [(4711, 7, 1, NOON_MS)]
    assert placed.unreadable == []


class Registry(SchemaRegistry):
    """A registry with one schema."""

    def __init__(self) -> None:
        super().__init__("http://nowhere.invalid")

    def register(self, subject: str, schema: Any) -> int:
        return SCHEMA_ID

    def schema(self, schema_id: int) -> Any:
        if schema_id != SCHEMA_ID:
            raise ContractError(f"schema id {schema_id} is unknown")
        return events.CONTRACTS[topics.PRODUCT_VIEW]


def decoded_views(
    records: list[Record], starts: Mapping[int, int]
) -> list[tuple[int, int, int]]:
    """Return product, user and time of the views that count."""
    rule = TimeRule(horizon_ms=WEEK_MS, ahead_ms=HOUR_MS)
    decoder = ClickDecoder(Registry(), "product_id", rule)
    views = decode_views(records, decoder, starts)
    columns = (views.product, views.user, views.viewed_ms)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def view(product: int = 7, user: int = 1, at: datetime = NOON) -> bytes:
    contract = events.CONTRACTS[topics.PRODUCT_VIEW]
    encoder = Encoder(Registry(), "productview-value", contract)
    click = {"event_id": "e", "user_id": user, "product_id": product, "source": "web"}
    return encoder.encode(click | {"viewed_at": at})


def test_only_views_that_count_can_convert() -> None:
    late = NOON - timedelta(days=7, milliseconds=1)
    absurd = NOON + timedelta(hours=1, milliseconds=1)
    contents = [
        view(),
        b"nonsense",
        None,
        view(at=late),
        view(at=absurd),
        view(8, 2, NOON - timedelta(days=7)),
    ]
    records = [Record(content) for content in contents]
    assert decoded_views(records, {}) == [(7, 1, NOON_MS), (8, 2, NOON_MS - WEEK_MS)]


def test_a_generation_counts_views_from_its_own_start_on() -> None:
    records = [
        Record(view(product=1), at=4, partition_number=0),
        Record(view(product=2), at=5, partition_number=0),
        Record(view(product=3), at=4, partition_number=1),
        Record(view(product=4), at=0, partition_number=2),
    ]
    views = decoded_views(records, starts={0: 5, 1: 9})
    assert [product for product, _, _ in views] == [2, 4]
