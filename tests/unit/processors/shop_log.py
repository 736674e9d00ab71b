"""The conversion in memory: a log of looks and orders, a table whose writes can fail, and processes that can be killed at any moment."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from connectors.kafka_log import LogBatch, Start
from connectors.kafka_past import Stretch
from infra.errors import Unavailable
from infra.state import ProcessState
from processors.conversion_records import Placed
from processors.conversion_rows import stretches
from processors.conversion_state import ConversionState
from processors.converter import Converter, Surroundings
from processors.join import Flags, Orders, Views
from schemas import views

VIEWED, ORDERED = "productview", "cdc.shop.orders"
NOON_MS = 1_772_366_400_000
MINUTE_MS, HOUR_MS = views.MINUTE_MS, views.HOUR_MS
AHEAD_MS = HOUR_MS

Place = tuple[str, int]


@dataclass(frozen=True)
class Record:
    """A record of the log: a view of (product, user, time), or an order of (order, product, user, time)."""

    place: Place
    at: int
    logged_ms: int
    content: tuple[int, ...]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 2, self.logged_ms


def views_of(records: Sequence[Record]) -> Views:
    return Views(*columns(records, 3))


def placed_by(records: Sequence[Record]) -> Placed:
    orders = Orders(*columns(records, 4))
    return Placed(orders, max(record.content[3] - record.logged_ms for record in records))


def columns(records: Sequence[Record], width: int) -> Any:
    return np.array([record.content for record in records], np.int64).reshape(-1, width).T


@dataclass
class Log:
    """Both topics, and the offsets committed for them."""

    records: dict[Place, list[Record]]
    committed: dict[Place, tuple[int, str]] = field(default_factory=dict)

    def since(self, topic: str, at_ms: int, upto: Mapping[Place, int]) -> Stretch:
        starts = {place: sum(r.logged_ms < at_ms for r in records) for place, records in self.records.items() if place[0] == topic}
        assert all(records == sorted(records, key=lambda r: r.logged_ms) for records in self.records.values())
        return Stretch(not any(starts.values()), self._read({place: (start, upto.get(place, 0)) for place, start in starts.items()}))

    def _read(self, spans: Mapping[Place, tuple[int, int]]) -> Iterator[Any]:
        for place, (start, end) in spans.items():
            for at in range(start, end, 3):
                yield self.records[place][at : min(at + 3, end)]


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Table:
    """Rows that keep the write of the latest timestamp. Writes can fail, and whoever writes be killed, when a part of them has arrived."""

    failing: Callable[[], bool] = lambda: False
    killing: Callable[[], bool] = lambda: False
    rows: dict[tuple[int, int, int], tuple[int, int, int, int]] = field(default_factory=dict)

    def write(self, orders: Orders, converted: Flags) -> None:
        for order, product, user, ordered_ms, flag in zip(orders.order, orders.product, orders.user, orders.ordered_ms, converted, strict=True):
            if self.failing():
                raise Unavailable("Cassandra is away")
            if self.killing():
                raise Killed
            key = int(product), int(ordered_ms) // MINUTE_MS, int(order)
            row = views.write_time(1, int(flag)), int(flag), int(user), int(ordered_ms)
            self.rows[key] = max(row, self.rows.get(key, row))

    def open_orders(self, seen: Views) -> Orders:
        if self.failing():
            raise Unavailable("Cassandra is away")
        found = [
            (order, product, user, ordered_ms)
            for asked, first, last in stretches(seen)
            for (product, minute, order), (_, converted, user, ordered_ms) in self.rows.items()
            if product == asked and first <= minute * MINUTE_MS <= last and not converted
        ]
        return Orders(*np.array(found, np.int64).reshape(-1, 4).T)


class Process:
    """One run of the process: it begins at the committed offsets and ends when nobody calls it any more, as after `kill -9`."""

    def __init__(self, log: Log, table: Table, home: Path, most_views: int = 10_000, most_orders: int = 10_000) -> None:
        self.log, self.epoch, self.number, self.rewound = log, 1, 0, 0
        committed = {place: offset for place, (offset, _) in log.committed.items()}
        self.read = {place: committed.get(place, 0) for place in log.records}
        self.start = Start(1, dict(self.read), {place: note for place, (_, note) in log.committed.items()})
        self.handled = {place: (offset, "") for place, offset in self.read.items()}
        self.state = ConversionState(ProcessState(home, "conversion", every_seconds=0))
        doors = Surroundings(self, log, lambda: table, views_of, placed_by, VIEWED, ORDERED, AHEAD_MS, self.state, threading.Event())
        self.converter = Converter(replace(doors, most_views=most_views, most_orders=most_orders))

    def rewind(self) -> None:
        self.rewound += 1

    def commit(self, batch: LogBatch, following: Mapping[int, int], note: str) -> None:
        handled = {place: offset for place, (offset, _) in self.handled.items()}
        handled |= {(batch.topic, partition): offset for partition, offset in following.items()}
        self.handled = {place: (offset, note) for place, offset in handled.items()}

    @property
    def behind(self) -> bool:
        return bool(self._unread())

    def handle(self, topic: str, most: int = 1000, of: Callable[[], bool] = lambda: True) -> None:
        """Handles the next records of the partitions of a topic, or of some of them."""
        taken: list[Record] = []
        for place, records in self.log.records.items():
            if place[0] == topic and of():
                some = records[self.read[place] : self.read[place] + most]
                self.read[place] += len(some)
                taken += some
        if taken:
            reached_ms = min((record.logged_ms for record in self._unread()), default=max(record.logged_ms for record in taken))
            self.converter.handle(LogBatch(topic, 1, self.number, taken, self.start, reached_ms))  # type: ignore[arg-type]
            self.number += 1

    def _unread(self) -> list[Record]:
        """The next record of each partition that has one."""
        return [records[at] for place, records in self.log.records.items() if (at := self.read[place]) < len(records)]
