"""One topic's counts, and how far in the log they are: the windows at once, everything else (see `rollups`) every two seconds.

Three threads share it: one counts, one writes windows, one writes the rest and then has the offsets committed.
"""

import threading
from collections.abc import Mapping, Sequence

from confluent_kafka import Message

from connectors.cassandra import Session
from connectors.generations import Generation
from processors import counting
from processors.clicks import Clicks, Unreadable
from processors.memory import NOTHING_BEFORE, UNKNOWN
from processors.rollups import Gathered, Rollups
from processors.tables import Position, Taken, counts_table, rows_of
from schemas import views


class Tally:
    """`begin` and `count` belong to the counting thread, `take_windows` and `take_rollups` to one thread each."""

    def __init__(self, topic: str, session: Session, generation: Generation, rows_kept: int) -> None:
        """`topic` is the contract's name; rows_kept bounds the rows in memory, over all views."""
        counted = [view for view in views.COUNTS if view.topic == topic]
        (view,) = (view for view in counted if view.window_ms == 0)
        each = max(1000, rows_kept // len(counted))
        self._lock = threading.Lock()
        self._session = session
        self._windows = counts_table(session, generation, view, each)
        self._rollups = Rollups(topic, session, generation, each)
        self._epoch = -1
        self._latest: dict[int, int] = {}
        self._gathered, self._being_rolled_up = Gathered(), Gathered()

    def begin(self, epoch: int, positions: Mapping[int, int | None]) -> None:
        """Forgets everything and counts on from the committed offsets: by partition the largest event time counted before them, -1 if
        nothing was, None if nobody knows."""
        times = {partition: UNKNOWN if at_ms is None else at_ms for partition, at_ms in positions.items()}
        with self._lock:
            self._windows.memory.begin(times)
            self._epoch, self._latest = epoch, dict(times)
            self._gathered = Gathered(epoch, times)

    def count(self, clicks: Clicks, letters: Sequence[Unreadable[Message]], following: Mapping[int, int]) -> int:
        """Adds a batch: all of it or, if a row cannot be read, nothing. Returns how many of its events were in their rows already.

        `letters` are records to set aside, `following` the next offsets by partition. Raises Refused, Unavailable.
        """
        group = counting.group(clicks, counting.subjects_of(clicks), self._windows.window_ms)
        (rows,) = rows_of(self._session, [(self._windows, group.keys)])
        changed = counting.add(rows, group, clicks, self._windows.window_ms)
        with self._lock:
            self._windows.memory.change(changed)
            self._gathered.windows |= rows | changed
            self._gathered.letters += letters
            self._gathered.clicks.append(clicks)
            self._advance(clicks, following)
        new: int = sum(row.views - rows[key].views for key, row in changed.items())
        return len(clicks) - new

    def _advance(self, clicks: Clicks, following: Mapping[int, int]) -> None:
        for partition, offset in following.items():
            times = clicks.viewed_ms[clicks.partition == partition]
            self._latest[partition] = max(self._latest.get(partition, UNKNOWN), int(times.max(initial=NOTHING_BEFORE)))
            self._gathered.positions[partition] = Position(offset, self._latest[partition])

    @property
    def unwritten(self) -> tuple[int, int]:
        """How many rows of windows wait, to be written or to be rolled up; and how many clicks and letters to be rolled up."""
        with self._lock:
            waiting = self._gathered, self._being_rolled_up
            return sum(len(found.windows) for found in waiting) + self._windows.memory.unwritten, sum(map(len, waiting))

    def take_windows(self) -> Taken:
        """The windows that changed since the last time."""
        with self._lock:
            return Taken(self._epoch, [(self._windows.store, self._windows.memory.take())])

    def take_rollups(self) -> Taken:
        """What changed of everything else, with the positions that all rows have once the windows of now are written too.

        Raises Refused, Unavailable if a row cannot be read; then it can be asked again.
        """
        with self._lock:
            if self._gathered.epoch != self._being_rolled_up.epoch:
                self._being_rolled_up = Gathered(self._gathered.epoch, self._gathered.times)
            self._being_rolled_up.add(self._gathered)
            self._gathered = Gathered(self._gathered.epoch, self._gathered.times)
        taken = self._rollups.count(self._being_rolled_up)
        with self._lock:
            self._being_rolled_up = Gathered(self._being_rolled_up.epoch, self._being_rolled_up.times)
        return taken

    def settled(self) -> None:
        """Says that the rollups taken last, and all windows of that moment, are durable."""
        self._windows.memory.settled()
        self._rollups.settled()
