"""Which orders had been preceded by a look of the same user at the same product, recounted from the orders and the views.

Whether an order is converted depends on two topics that are read at their own paces. So its row must say 1 if such a view lies
before the offsets committed for the views, and 0 if there is none in the log at all; between the two it may say either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from infra.differences import Difference, Outcome, Wrong
from infra.recount import Events, Flags, Ints, Pairs
from schemas import views

# (product, minute of the order in milliseconds of UTC, order): the primary key of a row.
Key = tuple[int, int, int]


@dataclass(frozen=True)
class Orders:
    """Placed orders as columns of one length; times in milliseconds of UTC. Where a whole second is all that is known, it is its start."""

    partitions: Ints
    offsets: Ints
    orders: Ints
    users: Ints
    products: Ints
    ordered_ms: Ints


@dataclass(frozen=True)
class ConversionRows:
    """Rows of the view as columns of one length."""

    products: Ints
    minutes: Ints
    orders: Ints
    converted: Ints
    users: Ints
    ordered_ms: Ints


@dataclass(frozen=True)
class Committed:
    """The next offsets of the group of the conversion, by partition."""

    orders: Mapping[int, int]
    views: Mapping[int, int]


def preceded(orders: Orders, log: Mapping[int, Events], before: Mapping[int, int] | None = None) -> Flags:
    """Which orders have such a view among the events, or among those before some offsets by partition."""
    wanted = Pairs(orders.users, orders.products)
    of_orders = wanted.find(orders.users, orders.products)
    found = [_views_of(wanted, events, None if before is None else before.get(partition, 0)) for partition, events in log.items()]
    pairs = np.concatenate([np.empty(0, np.int64), *(pair for pair, _ in found)])
    viewed_ms = np.concatenate([np.empty(0, np.int64), *(at for _, at in found)])
    times = np.unique(viewed_ms)
    codes = np.sort(pairs * (len(times) + 1) + np.searchsorted(times, viewed_ms))

    def views_before(at_ms: Ints) -> Ints:
        return np.searchsorted(codes, of_orders * (len(times) + 1) + np.searchsorted(times, at_ms))

    return views_before(orders.ordered_ms + views.SECOND_MS) > views_before(orders.ordered_ms - views.CONVERSION_MS)


def _views_of(wanted: Pairs, events: Events, before: int | None) -> tuple[Ints, Ints]:
    """The pair of user and product, and the time, of every event that has to do with an order."""
    end = len(events.offsets) if before is None else int(np.searchsorted(events.offsets, before))
    pairs = wanted.find(events.users[:end], events.subjects[:end])
    return pairs[pairs >= 0], events.viewed_ms[:end][pairs >= 0]


def compare(rows: ConversionRows, orders: Orders, topic: str, log: Mapping[int, Events], committed: Committed) -> Outcome:
    """Compares all rows with the placed orders in the change topic `topic` and with the product views."""
    outcome = Outcome(views.CONVERSION.name, rows=len(rows.orders), events=len(orders.orders))
    placed = _Placed(orders, topic, preceded(orders, log, committed.views), preceded(orders, log))
    columns = (rows.products, rows.minutes, rows.orders, rows.converted, rows.users, rows.ordered_ms)
    stored: set[Key] = set()
    for product, minute, order, *values in zip(*(column.tolist() for column in columns), strict=True):
        stored.add(key := (product, minute, order))
        if differing := placed.differing(key, values):
            outcome.take(differing)
    for key in placed.due(committed.orders):
        if key not in stored:
            outcome.take(placed.missing(key))
    return outcome


class _Placed:
    """The placed orders by the key of their row; an order may stand in the log more than once."""

    def __init__(self, orders: Orders, topic: str, surely: Flags, perhaps: Flags) -> None:
        self._orders, self._topic, self._surely, self._perhaps = orders, topic, surely, perhaps
        minutes = orders.ordered_ms - orders.ordered_ms % views.MINUTE_MS
        self._places: dict[Key, list[int]] = {}
        for place, key in enumerate(zip(orders.products.tolist(), minutes.tolist(), orders.orders.tolist(), strict=True)):
            self._places.setdefault(key, []).append(place)

    def differing(self, key: Key, values: list[int]) -> Difference | None:
        """The difference of a row, if it is none that one of its orders may have."""
        places = self._places.get(key, [])
        if any(values in self._allowed(place) for place in places):
            return None
        return self._difference(key, "value", _named(values), places[-1] if places else None)

    def due(self, committed: Mapping[int, int]) -> list[Key]:
        """The keys whose orders lie before the committed offsets."""
        partitions, offsets = self._orders.partitions, self._orders.offsets
        ends = {partition: committed.get(partition, 0) for partition in np.unique(partitions).tolist()}
        due = np.zeros(len(offsets), np.bool_)
        for partition, end in ends.items():
            due |= (partitions == partition) & (offsets < end)
        return [key for key, places in self._places.items() if due[places].any()]

    def missing(self, key: Key) -> Difference:
        """The difference of a row that is not there."""
        return self._difference(key, "missing", None, self._places[key][-1])

    def _allowed(self, place: int) -> list[list[int]]:
        """What the row of an order may say: converted, user, time of the order."""
        order = [int(self._orders.users[place]), int(self._orders.ordered_ms[place])]
        answers = {int(self._surely[place]), int(self._perhaps[place])}
        return [[converted, *order] for converted in sorted(answers)]

    def _difference(self, key: Key, wrong: Wrong, stored: dict[str, int] | None, place: int | None) -> Difference:
        named = {column.name: value for column, value in zip(views.CONVERSION.key, key, strict=True)}
        expected = _named(self._allowed(place)[-1]) if place is not None else None
        partition, offset = (int(self._orders.partitions[place]), int(self._orders.offsets[place])) if place is not None else (None, None)
        return Difference(views.CONVERSION.name, named, wrong, stored, expected, self._topic, partition, None, offset)


def _named(values: list[Any]) -> dict[str, int]:
    return {column.name: value for column, value in zip(views.CONVERSION.values, values, strict=True)}
