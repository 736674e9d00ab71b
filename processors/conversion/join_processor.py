"""Batches of orders and views into rows, exactly once in effect: join, write, and only then remember and commit.

Whichever of an order and a look comes second in the reading finds the other: in memory (see `join`), and where memory does not
reach far enough, the look in the log and the order in Cassandra. That the offsets of both topics are committed together makes it
last: of any pair below the committed offsets, the second was handled, and its row acknowledged, before the commit.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from connectors.kafka_log import LogBatch, Start
from connectors.kafka_past import Stretch
from infra.errors import Unavailable
from processors.conversion_records import Placed
from processors.conversion_state import ConversionState
from processors.in_order import InOrder
from processors.join import ANY_TIME, BEFORE_MS, NO_TIME, Flags, Looks, OpenOrders, Orders, RecentViews, Views, those, together
from schemas import views

# Change capture may be that far behind the orders, and a view that late, without a look into the log or into Cassandra.
SLACK_MS = 30 * views.MINUTE_MS
MOST_VIEWS = 8_000_000  # 24 bytes each
MOST_ORDERS = 1_000_000  # 40 bytes each

Place = tuple[str, int]


class Reader(Protocol):
    """What is needed of `connectors.kafka_log.LogReader`."""

    @property
    def epoch(self) -> int: ...
    def rewind(self) -> None: ...
    def commit(self, batch: LogBatch, following: Mapping[int, int], note: str) -> None: ...


class Past(Protocol):
    """What is needed of `connectors.kafka_past.Past`."""

    def since(self, topic: str, at_ms: int, upto: Mapping[Place, int]) -> Stretch: ...


class Rows(Protocol):
    """What is needed of `processors.conversion_rows.ConversionRows`."""

    def write(self, orders: Orders, converted: Flags) -> None: ...
    def open_orders(self, seen: Views) -> Orders: ...


@dataclass(frozen=True)
class Surroundings:
    """What the converting works with. `open_rows` may raise KappaError until Cassandra is there.

    `ahead_ms` is how far the time of a view that counts may be ahead of the log's.
    """

    reader: Reader
    past: Past
    open_rows: Callable[[], Rows]
    views_of: Callable[[Sequence[Any]], Views]
    placed_by: Callable[[Sequence[Any]], Placed]
    view_topic: str
    order_topic: str
    ahead_ms: int
    state: ConversionState
    stopping: threading.Event
    most_views: int = MOST_VIEWS
    most_orders: int = MOST_ORDERS


class Converter:
    """Handles the batches of both topics one after the other, in the order of their reading."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._rows: Rows | None = None
        self._views, self._orders = RecentViews(around.most_views), OpenOrders(around.most_orders)
        self._in_order = InOrder("conversion", around.reader, around.state, around.stopping)
        self._filled = -1  # the epoch of what is remembered
        self._handled: dict[Place, int] = {}
        self._orders_ahead_ms = ANY_TIME

    def handle(self, batch: LogBatch) -> None:
        """Returns when the batch is in Cassandra and its offsets are on their way, or when it need not be: its epoch is over, or we stop."""
        self._in_order.take(batch, self._settle)

    def _settle(self, batch: LogBatch) -> None:
        """Everything that can fail comes first, and what is remembered last: so a batch can be tried again from its beginning."""
        if self._filled != batch.epoch:
            self._fill(batch.start, min(message.timestamp()[1] for message in batch.messages))
            self._filled = batch.epoch
        following = {message.partition() or 0: (message.offset() or 0) + 1 for message in batch.messages}
        if batch.topic == self._around.order_topic:
            self._take_orders(batch.messages)
        else:
            self._take_views(batch.messages)
        self._handled |= {(batch.topic, partition): offset for partition, offset in following.items()}
        self._around.reader.commit(batch, following, str(self._orders_ahead_ms))
        self._views.forget_before(batch.reached_ms - BEFORE_MS - SLACK_MS)
        self._around.state.handled(batch.topic, following, len(self._views), len(self._orders))

    def _take_orders(self, messages: Sequence[Any]) -> None:
        placed = self._around.placed_by(messages)
        converted = self._views.precede(placed.orders)
        unsure = np.flatnonzero(~converted & ~self._views.cover(placed.orders))
        if len(unsure):
            converted[unsure] = self._looked_for_in_the_log(those(placed.orders, unsure))
        self._open_rows().write(placed.orders, converted)
        self._orders.add(those(placed.orders, ~converted))
        self._orders_ahead_ms = max(self._orders_ahead_ms, placed.ahead_ms)
        self._around.state.ordered(len(placed.orders), int(converted.sum()), [self._around.order_topic + where for where in placed.unreadable])

    def _looked_for_in_the_log(self, orders: Orders) -> Flags:
        """Which of the orders had been preceded by a look among those that were read before."""
        at_ms = int(orders.ordered_ms.min()) - BEFORE_MS - self._around.ahead_ms
        found = np.zeros(len(orders), np.bool_)
        self._around.state.looked_back(len(orders))
        for messages in self._unless_stopping(self._around.past.since(self._around.view_topic, at_ms, self._handled).records):
            found |= Looks.of(self._around.views_of(messages)).precede(orders)
        return found

    def _take_views(self, messages: Sequence[Any]) -> None:
        seen = self._around.views_of(messages)
        looks = Looks.of(seen)
        found = self._orders.preceded_by(looks)
        missed = self._orders.missed_by(seen)
        if missed.any():
            found = together(found, self._looked_for_in_cassandra(those(seen, missed)))
        if len(found):
            self._open_rows().write(found, np.ones(len(found), np.bool_))
        self._orders.close(looks)
        self._views.add(looks)
        self._around.state.ordered(0, len(found), [])

    def _looked_for_in_cassandra(self, seen: Views) -> Orders:
        """The orders that one of the views had preceded, among those that are written."""
        self._around.state.looked_up(len(seen))
        orders = self._open_rows().open_orders(seen)
        return those(orders, Looks.of(seen).precede(orders))

    def _open_rows(self) -> Rows:
        if self._rows is None:
            self._rows = self._around.open_rows()
        return self._rows

    def _fill(self, start: Start, first_ms: int) -> None:
        """Remembers what was handled before the first batch, as far back as an order or a view of now may need it."""
        around, at_ms = self._around, first_ms - BEFORE_MS - SLACK_MS - self._around.ahead_ms
        self._handled = dict(start.offsets)
        self._orders_ahead_ms = _noted(start, around.order_topic)
        of_orders = around.past.since(around.order_topic, at_ms, start.offsets)
        of_views = around.past.since(around.view_topic, at_ms, start.offsets)
        self._orders = OpenOrders(around.most_orders, ANY_TIME if of_orders.from_the_first else at_ms + self._orders_ahead_ms)
        self._views = RecentViews(around.most_views, ANY_TIME if of_views.from_the_first else at_ms + around.ahead_ms)
        for messages in self._unless_stopping(of_orders.records):
            self._orders.add(around.placed_by(messages).orders)
        for messages in self._unless_stopping(of_views.records):
            looks = Looks.of(around.views_of(messages))
            self._orders.close(looks)
            self._views.add(looks)

    def _unless_stopping(self, parts: Iterable[Sequence[Any]]) -> Iterable[Sequence[Any]]:
        for part in parts:
            if self._around.stopping.is_set():
                raise Unavailable("the process is being stopped")
            if part:
                yield part


def _noted(start: Start, order_topic: str) -> int:
    """How far the time of an order before the start is ahead of the log's at most: it was committed with the offsets."""
    notes = [note for (topic, _), note in start.notes.items() if topic == order_topic]
    return max((int(note) if note.lstrip("-").isdigit() else NO_TIME for note in notes), default=ANY_TIME)
