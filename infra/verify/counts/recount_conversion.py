"""The recount of the conversion: the orders that a product view of the same user preceded.

Whether an order is converted depends on two topics that are read independently. So its row must say
1 if such a view lies before the offsets committed for the views, and 0 if the log holds none at
all; between the two it may say either.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infra.verify.counts.differences import Difference, DifferenceKind, ViewOutcome
from infra.verify.counts.event_groups import Events, Ints, Mask, PairIndex
from schemas import count_tables
from schemas.count_tables import CONVERSION

# The primary key of a row: product, minute of the order in milliseconds of UTC, order.
Key = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Placed orders as columns of equal length, times in milliseconds of UTC.

    A time of which only the second is known is the start of that second.
    """

    partitions: Ints
    offsets: Ints
    orders: Ints
    users: Ints
    products: Ints
    ordered_ms: Ints


@dataclass(frozen=True, kw_only=True)
class ConversionRows:
    """Rows of the view as columns of equal length; flags are 1 for converted orders."""

    products: Ints
    minutes: Ints
    orders: Ints
    flags: Ints
    users: Ints
    ordered_ms: Ints


@dataclass(frozen=True)
class CommittedOffsets:
    """The next offsets of the conversion's consumer group, by partition."""

    orders: Mapping[int, int]
    views: Mapping[int, int]


def converted_mask(
    orders: Orders, log: Mapping[int, Events], before: Mapping[int, int] | None = None
) -> Mask:
    """Return a mask of the orders that a product view preceded within 30 minutes.

    Only views before the offsets `before` count, by partition; all views if it is None.
    """
    buyers = PairIndex(orders.users, orders.products)
    buyer_of_order = buyers.find(orders.users, orders.products)
    view_buyers = [np.empty(0, np.int64)]
    view_times = [np.empty(0, np.int64)]
    for partition, events in log.items():
        end = None if before is None else before.get(partition, 0)
        partition_buyers, partition_times = _views_by_buyers(buyers, events, end)
        view_buyers.append(partition_buyers)
        view_times.append(partition_times)
    viewed_ms = np.concatenate(view_times)
    times = np.unique(viewed_ms)
    # One number per buyer and time, so that one sorted array answers for all buyers.
    buyer_step = len(times) + 1
    codes = np.concatenate(view_buyers) * buyer_step + np.searchsorted(times, viewed_ms)
    codes = np.sort(codes)

    def views_before(at_ms: Ints) -> Ints:
        order_codes = buyer_of_order * buyer_step + np.searchsorted(times, at_ms)
        return np.searchsorted(codes, order_codes)

    begin_ms = orders.ordered_ms - count_tables.CONVERSION_MS
    end_ms = orders.ordered_ms + count_tables.SECOND_MS
    return views_before(end_ms) > views_before(begin_ms)


def _views_by_buyers(
    buyers: PairIndex, events: Events, before: int | None
) -> tuple[Ints, Ints]:
    """Return the buyer (a pair of user and product) and the time of each view by a buyer."""
    end = len(events.offsets)
    if before is not None:
        end = int(np.searchsorted(events.offsets, before))
    view_buyers = buyers.find(events.users[:end], events.subjects[:end])
    is_buyer = view_buyers >= 0
    return view_buyers[is_buyer], events.viewed_ms[:end][is_buyer]


def compare(
    rows: ConversionRows,
    orders: Orders,
    topic: str,
    log: Mapping[int, Events],
    committed: CommittedOffsets,
) -> ViewOutcome:
    """Compare all rows with the orders placed in the change topic `topic` and the product views."""
    outcome = ViewOutcome(CONVERSION.name, rows=len(rows.orders), events=len(orders.orders))
    placed_orders = PlacedOrders(
        orders,
        topic,
        certain=converted_mask(orders, log, committed.views),
        possible=converted_mask(orders, log),
    )
    keys = _tuples(rows.products, rows.minutes, rows.orders)
    values = _tuples(rows.flags, rows.users, rows.ordered_ms)
    stored_keys: set[Key] = set()
    for key, row_values in zip(keys, values, strict=True):
        stored_keys.add(key)
        difference = placed_orders.compare_row(key, row_values)
        if difference is not None:
            outcome.add_difference(difference)
    for key in placed_orders.keys_before(committed.orders):
        if key not in stored_keys:
            outcome.add_difference(placed_orders.missing_row(key))
    return outcome


class PlacedOrders:
    """The placed orders by the key of their row; the log may hold an order more than once.

    `certain` masks the orders whose row must be converted, `possible` those whose row may be.
    """

    def __init__(
        self, orders: Orders, topic: str, *, certain: Mask, possible: Mask
    ) -> None:
        self._orders = orders
        self._topic = topic
        self._certain = certain
        self._possible = possible
        minutes = orders.ordered_ms - orders.ordered_ms % count_tables.MINUTE_MS
        keys = _tuples(orders.products, minutes, orders.orders)
        self._indexes: dict[Key, list[int]] = {}
        for index, key in enumerate(keys):
            self._indexes.setdefault(key, []).append(index)

    def compare_row(self, key: Key, values: Sequence[int]) -> Difference | None:
        """Return the difference of a row, None if it is as one of its orders allows."""
        indexes = self._indexes.get(key, [])
        for index in indexes:
            if tuple(values) in self._allowed_values(index):
                return None
        order = indexes[-1] if indexes else None
        return self._difference(key, "value", _named_values(values), order)

    def keys_before(self, committed: Mapping[int, int]) -> list[Key]:
        """Return the keys whose orders lie before the committed offsets."""
        partitions = self._orders.partitions
        offsets = self._orders.offsets
        is_committed = np.zeros(len(offsets), np.bool_)
        for partition in np.unique(partitions).tolist():
            end = committed.get(partition, 0)
            is_committed |= (partitions == partition) & (offsets < end)
        return [
            key for key, indexes in self._indexes.items() if is_committed[indexes].any()
        ]

    def missing_row(self, key: Key) -> Difference:
        """Return the difference of an order whose row does not exist."""
        return self._difference(key, "missing", None, self._indexes[key][-1])

    def _allowed_values(self, index: int) -> list[tuple[int, int, int]]:
        """Return what the row of an order may hold: converted, user, time of the order."""
        user = int(self._orders.users[index])
        ordered_ms = int(self._orders.ordered_ms[index])
        flags = {int(self._certain[index]), int(self._possible[index])}
        return [(flag, user, ordered_ms) for flag in sorted(flags)]

    def _difference(
        self,
        key: Key,
        kind: DifferenceKind,
        row: dict[str, int] | None,
        index: int | None,
    ) -> Difference:
        names = [column.name for column in CONVERSION.key]
        expected = None
        partition = None
        offset = None
        if index is not None:
            expected = _named_values(self._allowed_values(index)[-1])
            partition = int(self._orders.partitions[index])
            offset = int(self._orders.offsets[index])
        return Difference(
            view=CONVERSION.name,
            key=dict(zip(names, key, strict=True)),
            wrong=kind,
            cassandra=row,
            log=expected,
            topic=self._topic,
            partition=partition,
            last_offset=None,
            offset=offset,
        )


def _tuples(firsts: Ints, seconds: Ints, thirds: Ints) -> Iterator[tuple[int, int, int]]:
    """Return three columns as rows of Python numbers."""
    return zip(firsts.tolist(), seconds.tolist(), thirds.tolist(), strict=True)


def _named_values(values: Sequence[int]) -> dict[str, int]:
    names = [column.name for column in CONVERSION.values]
    return dict(zip(names, values, strict=True))
