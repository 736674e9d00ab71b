"""Decode records of the log to the columns that the conversion needs: views and orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from connectors.kafka.schema_registry import Decoder
from processors.conversion.interval_join import (
    MIN_TIME,
    NO_ORDERS,
    Orders,
    Views,
    select_rows,
)
from processors.decoding.clicks import ClickDecoder, Record
from schemas.envelope import CREATE, READ
from schemas.errors import ContractError
from schemas.shop_tables import ORDER_ID, ORDERED_AT, PRODUCT_ID, USER_ID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class PlacedOrders:
    """The orders that some changes placed, and a line for each change that is unreadable.

    `ahead_ms` is how far an order's time is ahead of its log time at most.
    """

    orders: Orders = NO_ORDERS
    ahead_ms: int = MIN_TIME
    unreadable: list[str] = field(default_factory=list)


class _OrderRow(NamedTuple):
    """A placed order, in the order of the columns of `Orders`."""

    order: int
    product: int
    user: int
    ordered_ms: int


def decode_views(
    records: Sequence[Record], decoder: ClickDecoder, starts: Mapping[int, int]
) -> Views:
    """Return the views that count.

    `starts` has the first offset of each partition that the generation counts. The process
    `counts` writes the dead letters of records that do not count. Raises Unavailable.
    """
    clicks = decoder.decode(records).clicks
    views = Views(clicks.subject, clicks.user, clicks.viewed_ms)
    if not starts:
        return views
    max_partition = max(*starts, int(clicks.partition.max(initial=0)))
    first_offsets = np.zeros(max_partition + 1, np.int64)
    first_offsets[list(starts)] = list(starts.values())
    return select_rows(views, clicks.offset >= first_offsets[clicks.partition])


def decode_orders(records: Sequence[Record], decoder: Decoder) -> PlacedOrders:
    """Return the orders that were inserted or found by a snapshot.

    A later change of an order does not undo that it was placed. Raises Unavailable.
    """
    rows: list[_OrderRow] = []
    unreadable = []
    ahead_ms = MIN_TIME
    for record in records:
        try:
            row = _decode_order(record.value(), decoder)
        except ContractError as error:
            unreadable.append(f"[{record.partition()}]@{record.offset()}: {error}")
            continue
        if row is not None:
            rows.append(row)
            logged_ms = record.timestamp()[1]
            ahead_ms = max(ahead_ms, row.ordered_ms - logged_ms)
    table = np.array(rows, np.int64).reshape(-1, len(_OrderRow._fields))
    columns = [np.ascontiguousarray(column) for column in table.T]
    return PlacedOrders(Orders(*columns), ahead_ms, unreadable)


def _decode_order(value: bytes | None, decoder: Decoder) -> _OrderRow | None:
    """Return a placed order; None for any other change and for a tombstone.

    Raises ContractError, Unavailable.
    """
    if value is None:
        return None
    change = decoder.decode(value).record
    if not isinstance(change, dict) or "op" not in change:
        raise ContractError("not a change of a row")
    if change["op"] not in (CREATE, READ):
        return None
    row = change.get("after")
    if not isinstance(row, dict):
        raise ContractError(f"a change of kind {change['op']} without a row")
    return _OrderRow(
        order=_checked_id(row, ORDER_ID),
        product=_checked_id(row, PRODUCT_ID),
        user=_checked_id(row, USER_ID),
        ordered_ms=_checked_milliseconds(row.get(ORDERED_AT)),
    )


def _checked_id(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ContractError(f"{name} is {value!r}, not an id")
    if not -MAX_ID <= value <= MAX_ID:
        raise ContractError(f"{name} is {value}, too large for an id")
    return value


def _checked_milliseconds(ordered_at: object) -> int:
    """Convert a ZonedTimestamp, Debezium's form of a MySQL TIMESTAMP."""
    try:
        instant = datetime.fromisoformat(str(ordered_at))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ContractError(f"{ORDERED_AT} is {ordered_at!r}, not an instant")
    return (instant - EPOCH) // MILLISECOND
