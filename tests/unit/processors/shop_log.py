"""The conversion in memory: a log of views and orders, a table, and processes.

The table's writes can fail, and processes can be killed at any moment.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from connectors.kafka.readers.aligned_reader import AlignedBatch, EpochStart
from connectors.kafka.readers.lookback import PastRecords
from connectors.runtime.process_state import ProcessState
from processors.conversion.decode import PlacedOrders
from processors.conversion.interval_join import Flags, Orders, Views
from processors.conversion.join_processor import JoinContext, JoinProcessor
from processors.conversion.progress import ConversionState
from processors.conversion.rows import minute_ranges
from processors.runtime.write_timestamp import write_time
from schemas import count_tables
from schemas.errors import Unavailable
from schemas.topics import TopicPartition
from tests.unit.processors.manual_clock import InstantClock

VIEW_TOPIC = "productview"
ORDER_TOPIC = "cdc.shop.orders"
NOON_MS = 1_772_366_400_000
MINUTE_MS = count_tables.MINUTE_MS
HOUR_MS = count_tables.HOUR_MS
AHEAD_MS = HOUR_MS
# Records of each part of a stretch that is read again.
PART_RECORDS = 3
EVERY_RECORD = 1000

Commits = dict[TopicPartition, tuple[int, str]]
RowKey = tuple[int, int, int]  # product, minute, order
Row = tuple[int, int, int, int]  # write time, converted, user, ordered_ms


@dataclass(frozen=True)
class Record:
    """A record of the log.

    `content` is a view (product, user, time) or an order (order, product, user, time).
    """

    topic_partition: TopicPartition
    at: int
    logged_ms: int
    content: tuple[int, ...]

    def partition(self) -> int:
        return self.topic_partition[1]

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 2, self.logged_ms


def decode_views(records: Sequence[Record]) -> Views:
    return Views(*_columns(records, 3))


def decode_orders(records: Sequence[Record]) -> PlacedOrders:
    ahead_ms = max(record.content[3] - record.logged_ms for record in records)
    return PlacedOrders(Orders(*_columns(records, 4)), ahead_ms)


def _columns(records: Sequence[Record], width: int) -> Any:
    rows = [record.content for record in records]
    return np.array(rows, np.int64).reshape(-1, width).T


@dataclass
class Log:
    """Both topics, and the offsets and notes committed for them."""

    records: dict[TopicPartition, list[Record]]
    committed: Commits = field(default_factory=dict)

    def since(
        self, topic: str, at_ms: int, ends: Mapping[TopicPartition, int]
    ) -> PastRecords:
        starts = {}
        for topic_partition, records in self.records.items():
            times = [record.logged_ms for record in records]
            assert times == sorted(times)
            if topic_partition[0] == topic:
                starts[topic_partition] = sum(time < at_ms for time in times)
        return PastRecords(not any(starts.values()), self._read(starts, ends))

    def _read(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> Iterator[Any]:
        for topic_partition, start in starts.items():
            end = ends.get(topic_partition, 0)
            for part_start in range(start, end, PART_RECORDS):
                part_end = min(part_start + PART_RECORDS, end)
                yield self.records[topic_partition][part_start:part_end]


class Killed(BaseException):
    """The process is killed here."""


@dataclass
class Table:
    """Rows that keep the write of the latest timestamp.

    A write can fail, or its process be killed, after some of its rows have arrived.
    """

    is_failing: Callable[[], bool] = lambda: False
    is_killing: Callable[[], bool] = lambda: False
    rows: dict[RowKey, Row] = field(default_factory=dict)

    def write_orders(self, orders: Orders, converted: Flags) -> None:
        columns = (
            orders.order,
            orders.product,
            orders.user,
            orders.ordered_ms,
            converted.astype(np.int64),
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for order, product, user, ordered_ms, flag in rows:
            if self.is_failing():
                raise Unavailable("Cassandra does not answer")
            if self.is_killing():
                raise Killed
            key = (product, ordered_ms // MINUTE_MS, order)
            row = (write_time(1, flag), flag, user, ordered_ms)
            self.rows[key] = max(row, self.rows.get(key, row))

    def read_open_orders(self, views: Views) -> Orders:
        if self.is_failing():
            raise Unavailable("Cassandra does not answer")
        ranges = minute_ranges(views)
        orders = []
        for (product, minute, order), (_, converted, user, ordered_ms) in self.rows.items():
            minute_ms = minute * MINUTE_MS
            is_read = any(
                product == wanted.product
                and wanted.first_minute <= minute_ms <= wanted.last_minute
                for wanted in ranges
            )
            if is_read and not converted:
                orders.append((order, product, user, ordered_ms))
        return Orders(*np.array(orders, np.int64).reshape(-1, 4).T)


class Process:
    """One run of the process. It begins at the committed offsets.

    It ends when a test stops calling it, as after `kill -9`. It is its own reader.
    """

    def __init__(
        self,
        log: Log,
        table: Table,
        home: Path,
        max_views: int = 10_000,
        max_orders: int = 10_000,
    ) -> None:
        self.log: Any = log
        self.epoch = 1
        self.next_batch_number = 0
        self.rewinds = 0
        committed_offsets = {}
        notes = {}
        for topic_partition, (offset, note) in log.committed.items():
            committed_offsets[topic_partition] = offset
            notes[topic_partition] = note
        self.next_offsets = {
            topic_partition: committed_offsets.get(topic_partition, 0)
            for topic_partition in log.records
        }
        self.start = EpochStart(1, dict(self.next_offsets), notes)
        self.commits: Commits = {
            topic_partition: (offset, "")
            for topic_partition, offset in self.next_offsets.items()
        }
        self.state = ConversionState(ProcessState(home, "conversion", every_seconds=0))
        self.stopping = threading.Event()
        self.context = JoinContext(
            reader=self,
            past=self.log,
            open_rows=lambda: table,
            decode_views=decode_views,
            decode_orders=self.decode_orders,
            view_topic=VIEW_TOPIC,
            order_topic=ORDER_TOPIC,
            ahead_ms=AHEAD_MS,
            state=self.state,
            stopping=self.stopping,
            max_views=max_views,
            max_orders=max_orders,
            clock=InstantClock(),
        )
        self.order_decoder: Callable[[Sequence[Record]], PlacedOrders] = decode_orders
        self.processor = JoinProcessor(self.context)

    def decode_orders(self, records: Sequence[Record]) -> PlacedOrders:
        return self.order_decoder(records)

    def rewind(self) -> None:
        self.rewinds += 1

    def commit(self, batch: AlignedBatch, following: Mapping[int, int], note: str) -> None:
        offsets = {place: offset for place, (offset, _) in self.commits.items()}
        for partition, offset in following.items():
            offsets[batch.topic, partition] = offset
        self.commits = {place: (offset, note) for place, offset in offsets.items()}

    @property
    def is_behind(self) -> bool:
        return bool(self._next_records())

    def process(
        self,
        topic: str,
        max_records: int = EVERY_RECORD,
        is_read: Callable[[], bool] = lambda: True,
    ) -> None:
        """Process the next records of a topic's partitions, or of some of them."""
        batch_records: list[Any] = []
        for topic_partition, records in self.log.records.items():
            if topic_partition[0] == topic and is_read():
                start = self.next_offsets[topic_partition]
                next_records = records[start : start + max_records]
                self.next_offsets[topic_partition] += len(next_records)
                batch_records += next_records
        if not batch_records:
            return
        last_ms = max(record.logged_ms for record in batch_records)
        reached_ms = min(
            (record.logged_ms for record in self._next_records()), default=last_ms
        )
        batch = AlignedBatch(
            topic=topic,
            epoch=1,
            number=self.next_batch_number,
            messages=batch_records,
            start=self.start,
            reached_ms=reached_ms,
        )
        self.processor.process_batch(batch)
        self.next_batch_number += 1

    def _next_records(self) -> list[Record]:
        """Return the next record of each partition that has one."""
        next_records = []
        for topic_partition, records in self.log.records.items():
            offset = self.next_offsets[topic_partition]
            if offset < len(records):
                next_records.append(records[offset])
        return next_records
