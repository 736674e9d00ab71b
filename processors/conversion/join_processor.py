"""Turn batches of orders and views into rows, exactly once in effect.

Each batch is joined and written, and only then remembered and committed. Whichever of an
order and a view is read second finds the other in memory (see `interval_join`). Where
memory does not reach far enough, the view is found in the log and the order in Cassandra.
The offsets of both topics are committed together. So of any pair below the committed
offsets, the second was processed, and its row acknowledged, before the commit.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from connectors.kafka.readers.aligned_reader import AlignedBatch, EpochStart
from connectors.kafka.readers.lookback import PastRecords
from processors.conversion.decode import PlacedOrders
from processors.conversion.interval_join import (
    BEFORE_MS,
    MAX_TIME,
    MIN_TIME,
    Flags,
    OpenOrders,
    Orders,
    RecentViews,
    ViewIndex,
    Views,
    concatenate,
    select_rows,
)
from processors.conversion.progress import ConversionState
from processors.runtime.clock import SYSTEM_CLOCK, Clock
from processors.runtime.ordered_batches import OrderedBatches
from schemas import count_tables
from schemas.errors import Unavailable
from schemas.topics import TopicPartition

# Change capture may be this far behind the orders, and a view this late, without a read of
# the log or of Cassandra.
SLACK_MS = 30 * count_tables.MINUTE_MS
MAX_VIEWS = 8_000_000  # 24 bytes each
MAX_ORDERS = 1_000_000  # 40 bytes each


class Reader(Protocol):
    """The methods of `connectors.kafka.readers.aligned_reader.AlignedReader` that are used here."""

    @property
    def epoch(self) -> int: ...
    def rewind(self) -> None: ...
    def commit(
        self, batch: AlignedBatch, following: Mapping[int, int], note: str
    ) -> None: ...


class Past(Protocol):
    """The methods of `connectors.kafka.readers.lookback.Lookback` that are used here."""

    def since(
        self, topic: str, at_ms: int, ends: Mapping[TopicPartition, int]
    ) -> PastRecords: ...


class Rows(Protocol):
    """The methods of `processors.conversion.rows.ConversionRows` that are used here."""

    def write_orders(self, orders: Orders, is_converted: Flags) -> None: ...
    def read_open_orders(self, views: Views) -> Orders: ...


@dataclass(frozen=True, kw_only=True)
class JoinContext:
    """The log, Cassandra and the settings of a `JoinProcessor`.

    `open_rows` may raise KappaError while Cassandra is unreachable. `ahead_ms` is how far
    the time of a view that counts may be ahead of its log time.
    """

    reader: Reader
    past: Past
    open_rows: Callable[[], Rows]
    decode_views: Callable[[Sequence[Any]], Views]
    decode_orders: Callable[[Sequence[Any]], PlacedOrders]
    view_topic: str
    order_topic: str
    ahead_ms: int
    state: ConversionState
    stopping: threading.Event
    max_views: int = MAX_VIEWS
    max_orders: int = MAX_ORDERS
    clock: Clock = SYSTEM_CLOCK


class JoinProcessor:
    """Processes the batches of both topics one after the other, in the order of reading."""

    def __init__(self, context: JoinContext) -> None:
        self._context = context
        self._rows: Rows | None = None
        self._views = RecentViews(context.max_views)
        self._orders = OpenOrders(context.max_orders)
        self._batches = OrderedBatches(
            "conversion",
            context.reader,
            context.state,
            context.stopping,
            context.clock,
        )
        self._memory_epoch = -1  # the epoch of the views and orders in memory
        self._next_offsets: dict[TopicPartition, int] = {}
        self._orders_ahead_ms = MIN_TIME

    @property
    def next_offsets(self) -> Mapping[TopicPartition, int]:
        """The offsets after the last processed records."""
        return self._next_offsets

    def process_batch(self, batch: AlignedBatch) -> None:
        """Write a batch to Cassandra and have its offsets committed.

        Returns early if the batch is void: its epoch is over, or the process stops.
        """
        self._batches.process_in_order(batch, self._process_once)

    def _process_once(self, batch: AlignedBatch) -> None:
        """Process a batch. Everything that can fail precedes every change of memory.

        So a batch can be repeated from its beginning.
        """
        if self._memory_epoch != batch.epoch:
            first_ms = min(message.timestamp()[1] for message in batch.messages)
            self._load_memory(batch.start, first_ms)
            self._memory_epoch = batch.epoch
        next_offsets = {
            message.partition() or 0: (message.offset() or 0) + 1
            for message in batch.messages
        }
        if batch.topic == self._context.order_topic:
            self._process_orders(batch.messages)
        else:
            self._process_views(batch.messages)
        for partition, offset in next_offsets.items():
            self._next_offsets[batch.topic, partition] = offset
        self._context.reader.commit(batch, next_offsets, str(self._orders_ahead_ms))
        self._views.forget_before(batch.reached_ms - BEFORE_MS - SLACK_MS)
        self._context.state.batch_processed(
            batch.topic, next_offsets, len(self._views), len(self._orders)
        )

    def _process_orders(self, messages: Sequence[Any]) -> None:
        placed_orders = self._context.decode_orders(messages)
        orders = placed_orders.orders
        is_converted = self._views.preceded_orders(orders)
        is_covered = self._views.covered_orders(orders)
        doubtful = np.flatnonzero(~is_converted & ~is_covered)
        if len(doubtful):
            doubtful_orders = select_rows(orders, doubtful)
            is_converted[doubtful] = self._search_views_in_log(doubtful_orders)
        self._open_rows().write_orders(orders, is_converted)
        self._orders.add_orders(select_rows(orders, ~is_converted))
        self._orders_ahead_ms = max(self._orders_ahead_ms, placed_orders.ahead_ms)
        order_topic = self._context.order_topic
        unreadable = [f"{order_topic}{problem}" for problem in placed_orders.unreadable]
        self._context.state.orders_written(len(orders), int(is_converted.sum()), unreadable)

    def _search_views_in_log(self, orders: Orders) -> Flags:
        """Return a mask of the orders that a view processed earlier preceded."""
        context = self._context
        at_ms = int(orders.ordered_ms.min()) - BEFORE_MS - context.ahead_ms
        is_converted = np.zeros(len(orders), np.bool_)
        context.state.log_searched(len(orders))
        past_views = context.past.since(context.view_topic, at_ms, self._next_offsets)
        for messages in self._until_stopping(past_views.records):
            views = ViewIndex.from_views(context.decode_views(messages))
            is_converted |= views.preceded_orders(orders)
        return is_converted

    def _process_views(self, messages: Sequence[Any]) -> None:
        views = self._context.decode_views(messages)
        view_index = ViewIndex.from_views(views)
        orders = self._orders.preceded_by(view_index)
        is_uncovered = self._orders.uncovered_views(views)
        if is_uncovered.any():
            uncovered_views = select_rows(views, is_uncovered)
            stored_orders = self._search_orders_in_cassandra(uncovered_views)
            orders = concatenate(orders, stored_orders)
        if len(orders):
            self._open_rows().write_orders(orders, np.ones(len(orders), np.bool_))
        self._orders.remove_preceded_by(view_index)
        self._views.add_views(view_index)
        self._context.state.orders_written(0, len(orders), [])

    def _search_orders_in_cassandra(self, views: Views) -> Orders:
        """Return the stored orders that one of the views preceded."""
        self._context.state.cassandra_searched(len(views))
        orders = self._open_rows().read_open_orders(views)
        is_preceded = ViewIndex.from_views(views).preceded_orders(orders)
        return select_rows(orders, is_preceded)

    def _open_rows(self) -> Rows:
        if self._rows is None:
            self._rows = self._context.open_rows()
        return self._rows

    def _load_memory(self, start: EpochStart, first_ms: int) -> None:
        """Read what was processed before the first batch into memory.

        Goes as far back as an order or a view of now may need it. Raises Unavailable.
        """
        context = self._context
        at_ms = first_ms - BEFORE_MS - SLACK_MS - context.ahead_ms
        self._next_offsets = dict(start.offsets)
        self._orders_ahead_ms = _committed_ahead_ms(start, context.order_topic)
        past_orders = context.past.since(context.order_topic, at_ms, start.offsets)
        past_views = context.past.since(context.view_topic, at_ms, start.offsets)
        order_floor_ms = MIN_TIME
        if not past_orders.from_log_start:
            order_floor_ms = at_ms + self._orders_ahead_ms
        view_floor_ms = MIN_TIME
        if not past_views.from_log_start:
            view_floor_ms = at_ms + context.ahead_ms
        self._orders = OpenOrders(context.max_orders, order_floor_ms)
        self._views = RecentViews(context.max_views, view_floor_ms)
        for messages in self._until_stopping(past_orders.records):
            self._orders.add_orders(context.decode_orders(messages).orders)
        for messages in self._until_stopping(past_views.records):
            views = ViewIndex.from_views(context.decode_views(messages))
            self._orders.remove_preceded_by(views)
            self._views.add_views(views)

    def _until_stopping(self, parts: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Yield the parts that have records. Raises Unavailable if the process stops."""
        for part in parts:
            if self._context.stopping.is_set():
                raise Unavailable("the process is being stopped")
            if part:
                yield part


def _committed_ahead_ms(start: EpochStart, order_topic: str) -> int:
    """Return how far the time of an order before the start is ahead of its log time at most.

    It is the note of the committed offsets; MAX_TIME if a note has no time.
    """
    ahead_ms = MIN_TIME
    for (topic, _), note in start.notes.items():
        if topic == order_topic:
            is_time = note.lstrip("-").isdigit()
            ahead_ms = max(ahead_ms, int(note) if is_time else MAX_TIME)
    return ahead_ms
