"""The counts that follow every two seconds: per minute, hour and in total, the most viewed products, the different viewers.

What was counted into windows meanwhile is counted into all of these at once, so that a row which many clicks concern is changed once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from connectors.cassandra import Session
from connectors.generations import Generation
from processors import counting, sketch, top
from processors.clicks import Clicks, Unreadable, joined_clicks
from processors.counting import Groups, Key, Row
from processors.rows import SKETCH_FORM, TOP_FORM
from processors.sketch import Sketch
from processors.tables import Position, Table, Taken, counts_table, rows_of
from processors.top import Top, TopKey
from schemas import topics, views

# Sketches are large: this part of the rows kept may be sketches.
SKETCHES_PER_ROW = 0.1
# Products whose sketches are raised together: a register costs a byte each meanwhile.
SKETCHES_AT_ONCE = 4096


@dataclass
class Gathered:
    """What was counted into windows since the last time: clicks, the windows' rows as they are now, records to set aside, the positions reached.

    `times` are the largest event times before the epoch, by partition.
    """

    epoch: int = -1
    times: Mapping[int, int] = field(default_factory=dict)
    clicks: list[Clicks] = field(default_factory=list)
    windows: dict[Key, Row] = field(default_factory=dict)
    letters: list[Unreadable[Message]] = field(default_factory=list)
    positions: dict[int, Position] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.letters) + sum(map(len, self.clicks))

    def add(self, later: "Gathered") -> None:
        """Adds what was gathered after it, in the same epoch."""
        self.clicks += later.clicks
        self.windows |= later.windows
        self.letters += later.letters
        self.positions |= later.positions


class Rollups:
    """These counts of one topic. Belongs to the thread that writes them."""

    def __init__(self, topic: str, session: Session, generation: Generation, most: int) -> None:
        """`topic` is the contract's name; `most` bounds the rows in memory of each view."""
        self._session = session
        counted = [view for view in views.COUNTS if view.topic == topic and view.window_ms != 0]
        self._counts = [counts_table(session, generation, view, most) for view in counted]
        self._tables: list[Table[Any, Any]] = [*self._counts]
        self._about_products = topic == topics.PRODUCT_VIEW
        if self._about_products:
            self._hours = counted.index(views.PRODUCT_VIEWS_BY_HOUR)
            window_ms = generation.definition.window_ms
            self._tops: Table[TopKey, Top] = Table(session, generation, views.TOP_PRODUCTS, TOP_FORM, top.NO_PRODUCTS, window_ms, most)
            sketches = int(most * SKETCHES_PER_ROW)
            self._sketches: Table[Key, Sketch] = Table(session, generation, views.VIEWERS, SKETCH_FORM, sketch.NOBODY, views.HOUR_MS, sketches)
            self._tables += [self._tops, self._sketches]
        self._epoch = -1
        self._positions: dict[int, Position] = {}
        self._due: dict[int, Position] = {}
        self._held: dict[TopKey, Top] = {}

    def count(self, gathered: Gathered) -> Taken:
        """What is to be written after some more clicks. If a row cannot be read, nothing has changed. Raises Refused, Unavailable."""
        if gathered.epoch != self._epoch:
            for table in self._tables:
                table.memory.begin(gathered.times)
            self._epoch, self._positions, self._due, self._held = gathered.epoch, {}, {}, {}
        self._positions |= gathered.positions
        self._due |= gathered.positions
        if gathered.clicks:
            self._add(joined_clicks(gathered.clicks), gathered)
        rows = [(table.store, table.memory.take()) for table in self._tables]
        # Where a list is held back, it would be lost with a commit.
        held = {key.partition for key in self._held}
        reached = {partition: found for partition, found in self._due.items() if partition not in held}
        self._due = {partition: found for partition, found in self._due.items() if partition in held}
        return Taken(self._epoch, rows, gathered.letters, reached)

    def settled(self) -> None:
        """Says that all that was taken is durable; see `memory`."""
        for table in self._tables:
            table.memory.settled()

    def _add(self, clicks: Clicks, gathered: Gathered) -> None:
        subjects = counting.subjects_of(clicks)
        groups = [counting.group(clicks, subjects, table.window_ms) for table in self._counts]
        wanted: list[tuple[Table[Any, Any], Any]] = [(table, found.keys) for table, found in zip(self._counts, groups, strict=True)]
        if self._about_products:
            wanted += [(self._tops, top.keys_of(gathered.windows)), (self._sketches, groups[self._hours].keys)]
        before = rows_of(self._session, wanted)
        for table, found, rows in zip(self._counts, groups, before, strict=False):
            table.memory.change(counting.add(rows, found, clicks, table.window_ms))
        if self._about_products:
            self._sketches.memory.change(_raised(before[-1], clicks, groups[self._hours]))
            self._held |= self._ranked(before[-2], gathered.windows)
            self._tops.memory.change(self._released())

    def _ranked(self, lists: dict[TopKey, Top], rows: Mapping[Key, Row]) -> dict[TopKey, Top]:
        """The lists of most viewed products that rows change."""
        lists |= {key: self._held[key] for key in lists.keys() & self._held.keys()}
        return {key: found for key, found in top.ranked(lists, rows).items() if found != lists[key]}

    def _released(self) -> dict[TopKey, Top]:
        """The lists that counting has come as far as: they may be written."""
        free = {key: found for key, found in self._held.items() if found.last_offset < self._positions[key.partition].offset}
        self._held = {key: found for key, found in self._held.items() if key not in free}
        return free


def _raised(sketches: Mapping[Key, Sketch], clicks: Clicks, hours: Groups) -> dict[Key, Sketch]:
    """The sketches that clicks raise."""
    raised: dict[Key, Sketch] = {}
    for start in range(0, len(hours.keys), SKETCHES_AT_ONCE):
        keys: Sequence[Key] = hours.keys[start : start + SKETCHES_AT_ONCE]
        found = sketch.raised_by([sketches[key] for key in keys], hours.of_event - start, clicks.user, clicks.offset)
        raised |= {keys[place]: new for place, new in found.items()}
    return raised
