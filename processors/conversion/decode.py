"""Records of the log to columns of what the conversion needs: who looked at what, who ordered what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from connectors.registry import Decoder
from infra.errors import ContractError
from processors.clicks import ClickDecoder, Record
from processors.join import ANY_TIME, NO_ORDERS, Orders, Views, those
from schemas.envelope import CREATE, READ
from schemas.tables import ORDERS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LARGEST = 2**63 - 1
ORDER, USER, PRODUCT, ORDERED_AT = ORDERS.column_names[:4]


@dataclass(frozen=True)
class Placed:
    """The orders that some changes placed; how far an order's time is ahead of the log's at most (in milliseconds); what cannot be read."""

    orders: Orders = NO_ORDERS
    ahead_ms: int = ANY_TIME
    unreadable: list[str] = field(default_factory=list)


def views_of(records: Sequence[Record], decoder: ClickDecoder, starts: Mapping[int, int]) -> Views:
    """The views that count, from the first offset of each partition that the generation counts; the counts set the others aside.

    Raises Unavailable.
    """
    clicks = decoder.decode(records).clicks
    seen = Views(clicks.subject, clicks.user, clicks.viewed_ms)
    if not starts:
        return seen
    first = np.zeros(max(*starts, int(clicks.partition.max(initial=0))) + 1, np.int64)
    first[list(starts)] = list(starts.values())
    return those(seen, clicks.offset >= first[clicks.partition])


def placed_by(records: Sequence[Record], decoder: Decoder) -> Placed:
    """The orders that were inserted or found by a snapshot. What happens to an order later does not undo that it was placed.

    Raises Unavailable.
    """
    rows, unreadable, ahead_ms = [], [], ANY_TIME
    for record in records:
        try:
            row = _order(record.value(), decoder)
        except ContractError as error:
            unreadable.append(f"[{record.partition()}]@{record.offset()}: {error}")
            continue
        if row is not None:
            rows.append(row)
            ahead_ms = max(ahead_ms, row[3] - record.timestamp()[1])
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    return Placed(Orders(*(np.ascontiguousarray(column) for column in columns)), ahead_ms, unreadable)


def _order(value: bytes | None, decoder: Decoder) -> tuple[int, int, int, int] | None:
    """Order, product, user and time of a placed order; None for any other change and for a tombstone. Raises ContractError."""
    if value is None:
        return None
    change = decoder.decode(value).record
    if not isinstance(change, dict) or "op" not in change:
        raise ContractError("no change of a row")
    if change["op"] not in (CREATE, READ):
        return None
    row = change.get("after")
    if not isinstance(row, dict):
        raise ContractError(f"a change of kind {change['op']} without a row")
    return _id(row, ORDER), _id(row, PRODUCT), _id(row, USER), _milliseconds(row.get(ORDERED_AT))


def _id(row: Mapping[str, Any], name: str) -> int:
    found = row.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not -LARGEST <= found <= LARGEST:
        raise ContractError(f"{name} is {found!r}, which is no id")
    return found


def _milliseconds(ordered_at: object) -> int:
    """The instant of a ZonedTimestamp, which is how Debezium writes a MySQL TIMESTAMP."""
    try:
        at = datetime.fromisoformat(str(ordered_at))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ContractError(f"{ORDERED_AT} is {ordered_at!r}, which is no instant")
    return (at - EPOCH) // MILLISECOND
