"""One topic's counts in memory: the rows of all its views, and how far in the log they are.

The counting thread adds batches; the writing thread takes what changed. What is taken together is one consistent state: rows, and
the offsets up to which they count.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from connectors.cassandra import PackedRow, Session
from connectors.generations import Generation
from processors import counting, sketch, top
from processors.clicks import Clicks, Unreadable
from processors.counting import Groups, Key, Row, numbered
from processors.memory import NOTHING_BEFORE, UNKNOWN, Memory
from processors.rows import SKETCH_FORM, TOP_FORM, Form, RowStore, count_form
from processors.sketch import Sketch
from processors.top import Top, TopKey
from schemas import topics, views

K = TypeVar("K", Key, TopKey)
V = TypeVar("V")

# Sketches are large: this part of the rows kept may be sketches.
SKETCHES_PER_ROW = 0.1
# Products whose sketches are raised together: a register costs a byte each meanwhile.
SKETCHES_AT_ONCE = 4096


@dataclass(frozen=True)
class Position:
    """How far a partition is counted: the next offset, and the largest event time so far in milliseconds."""

    offset: int
    latest_ms: int


@dataclass(frozen=True)
class Taken:
    """What is to be written: rows by store, records to set aside, and the positions that are reached then (none if other rows still wait).

    `epoch` is the uninterrupted reading that it comes from.
    """

    epoch: int
    rows: list[tuple[RowStore[Any, Any], Mapping[Any, Any]]]
    letters: list[Unreadable[Message]] = field(default_factory=list)
    positions: dict[int, Position] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.rows)

    def packed(self) -> Iterable[PackedRow]:
        """The rows as the session writes them."""
        return chain.from_iterable(store.packed(rows) for store, rows in self.rows)


class Table(Generic[K, V]):
    """A view: its rows in memory and in Cassandra. A view that is `at_once` is written as soon as may be."""

    def __init__(
        self, session: Session, generation: Generation, view: views.View, form: Form[K, V], nothing: V, window_ms: int | None, most: int
    ) -> None:
        self.window_ms = window_ms
        self.nothing = nothing
        self.memory: Memory[K, V] = Memory(nothing, window_ms, most)
        self.store: RowStore[K, V] = RowStore(session, view, form, generation.keyspace, generation.number)
        self.at_once = isinstance(view, views.CountView) and view.window_ms == 0


class Tally:
    """The counts of one topic. `count` belongs to the counting thread, `take` to the writing thread. Raises Refused, Unavailable."""

    def __init__(self, topic: str, session: Session, generation: Generation, rows_kept: int) -> None:
        """`topic` is the contract's name; rows_kept bounds the rows in memory, over all views."""
        counted = [view for view in views.COUNTS if view.topic == topic]
        each = max(1000, rows_kept // len(counted))
        self._lock = threading.Lock()
        self._session = session

        def table(view: views.View, form: Form[Any, Any], nothing: Any, window_ms: int | None, most: int = each) -> Table[Any, Any]:
            return Table(session, generation, view, form, nothing, window_ms, most)

        window_ms = generation.definition.window_ms
        lengths = [window_ms if view.window_ms == 0 else view.window_ms for view in counted]
        self._counts: list[Table[Key, Row]] = [
            table(view, count_form(length is not None), counting.NOTHING, length) for view, length in zip(counted, lengths, strict=True)
        ]
        self._about_products = topic == topics.PRODUCT_VIEW
        if self._about_products:
            self._hours = counted.index(views.PRODUCT_VIEWS_BY_HOUR)
            self._tops: Table[TopKey, Top] = table(views.TOP_PRODUCTS, TOP_FORM, top.NO_PRODUCTS, window_ms)
            self._sketches: Table[Key, Sketch] = table(views.VIEWERS, SKETCH_FORM, sketch.NOBODY, views.HOUR_MS, int(each * SKETCHES_PER_ROW))
        more: list[Table[Any, Any]] = [self._tops, self._sketches] if self._about_products else []
        self._tables: list[Table[Any, Any]] = [*self._counts, *more]
        self._epoch = -1
        self._positions: dict[int, Position] = {}
        self._latest: dict[int, int] = {}
        self._held: dict[TopKey, Top] = {}
        self._letters: list[Unreadable[Message]] = []

    def begin(self, epoch: int, positions: Mapping[int, int | None]) -> None:
        """Forgets everything and counts on from the committed offsets: by partition the largest event time counted before them, -1 if
        nothing was, None if nobody knows."""
        times = {partition: UNKNOWN if at_ms is None else at_ms for partition, at_ms in positions.items()}
        with self._lock:
            for table in self._tables:
                table.memory.begin(times)
            self._epoch = epoch
            self._positions, self._latest, self._letters, self._held = {}, times, [], {}

    def count(self, clicks: Clicks, letters: Sequence[Unreadable[Message]], following: Mapping[int, int]) -> int:
        """Adds a batch: all of it or, if a row cannot be read, nothing. Returns how many of its events were in their rows already.

        `letters` are records to set aside, `following` the next offsets by partition.
        """
        subjects = numbered(clicks.partition).with_kind(numbered(clicks.subject))
        groups = [counting.group(clicks, subjects, table.window_ms) for table in self._counts]
        wanted: list[tuple[Table[Any, Any], Iterable[Any]]] = [(table, found.keys) for table, found in zip(self._counts, groups, strict=True)]
        if self._about_products:
            wanted += [(self._tops, top.keys_of(groups[0].keys)), (self._sketches, groups[self._hours].keys)]
        before = self._rows(wanted)
        changes = [
            counting.add(rows, found, clicks, table.window_ms) for table, found, rows in zip(self._counts, groups, before[: len(groups)], strict=True)
        ]
        lists, sketches = {}, {}
        if self._about_products:
            lists = self._ranked(before[-2], before[0] | changes[0])
            sketches = self._raised(before[-1], clicks, groups[self._hours])
        with self._lock:
            for table, changed in zip(self._counts, changes, strict=True):
                table.memory.change(changed)
            self._letters += letters
            self._advance(clicks, following)
            if self._about_products:
                self._held |= lists
                self._tops.memory.change(self._released())
                self._sketches.memory.change(sketches)
        new: int = sum(row.views - before[0][key].views for key, row in changes[0].items())
        return len(clicks) - new

    def _rows(self, wanted: Iterable[tuple[Table[Any, Any], Iterable[Any]]]) -> list[dict[Any, Any]]:
        """The rows of keys by table: from memory, and what is not there from Cassandra, all of it asked for at once and then remembered."""
        found: list[tuple[Table[Any, Any], dict[Any, Any], dict[Any, Any]]] = []
        questions: list[tuple[int, Any]] = []
        for number, (table, keys) in enumerate(wanted):
            known, missing = table.memory.known(keys)
            found.append((table, known, dict.fromkeys(missing, table.nothing)))
            questions += [(number, question) for question in table.store.questions(missing)]
        answers = self._session.ask((question.prepared, question.arguments) for _, question in questions) if questions else []
        for (number, question), answer in zip(questions, answers, strict=True):
            found[number][2].update(question.understood(answer))
        for table, _, read in found:
            if read:
                table.memory.keep(read)
        return [known | read for _, known, read in found]

    def _ranked(self, lists: dict[TopKey, Top], rows: Mapping[Key, Row]) -> dict[TopKey, Top]:
        """The lists of most viewed products that rows, as they are after a batch, change."""
        lists |= {key: self._held[key] for key in lists.keys() & self._held.keys()}
        return {key: found for key, found in top.ranked(lists, rows).items() if found != lists[key]}

    def _released(self) -> dict[TopKey, Top]:
        """The lists that counting has come as far as: they may be written."""
        free = {key: found for key, found in self._held.items() if found.last_offset < self._positions[key.partition].offset}
        self._held = {key: found for key, found in self._held.items() if key not in free}
        return free

    def _raised(self, sketches: Mapping[Key, Sketch], clicks: Clicks, hours: Groups) -> dict[Key, Sketch]:
        """The sketches that a batch raises."""
        raised: dict[Key, Sketch] = {}
        for start in range(0, len(hours.keys), SKETCHES_AT_ONCE):
            keys = hours.keys[start : start + SKETCHES_AT_ONCE]
            found = sketch.raised_by([sketches[key] for key in keys], hours.of_event - start, clicks.user, clicks.offset)
            raised |= {keys[place]: new for place, new in found.items()}
        return raised

    def _advance(self, clicks: Clicks, following: Mapping[int, int]) -> None:
        for partition, offset in following.items():
            times = clicks.viewed_ms[clicks.partition == partition]
            latest = max(self._latest.get(partition, UNKNOWN), int(times.max(initial=NOTHING_BEFORE)))
            self._latest[partition] = latest
            self._positions[partition] = Position(offset, latest)

    @property
    def unwritten(self) -> int:
        """How many changed rows and letters wait to be written."""
        with self._lock:
            return len(self._letters) + sum(table.memory.unwritten for table in self._tables)

    def take(self, everything: bool) -> Taken:
        """What changed since the last time: of the windows only, or everything, with the positions that it reaches.

        What was taken before counts as written.
        """
        with self._lock:
            chosen = [table for table in self._tables if everything or table.at_once]
            rows: list[tuple[RowStore[Any, Any], Mapping[Any, Any]]] = [(table.store, table.memory.take()) for table in chosen]
            letters, self._letters = self._letters, []
            return Taken(self._epoch, rows, letters, self._reached() if everything else {})

    def _reached(self) -> dict[int, Position]:
        """The positions that all rows have; where a list is held back, it would be lost with a commit."""
        held = {key.partition for key in self._held}
        return {partition: found for partition, found in self._positions.items() if partition not in held}
