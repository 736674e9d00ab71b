"""The counts of one topic, and how far in the log they are.

Windows are counted immediately, all other views (see `rollups`) every two seconds. Three
threads share the state: one counts, one writes windows, one writes roll-ups and then has
the offsets committed.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import Message

from connectors.cassandra.client import Session
from connectors.cassandra.generations import Generation
from processors.counts.aggregate import add_to_rows, group_by_subject, group_events
from processors.counts.rollups import RollupInput, Rollups
from processors.counts.row_cache import NO_EVENTS, UNKNOWN_TIME
from processors.counts.state_tables import (
    Checkpoint,
    PendingWrite,
    open_count_table,
    read_rows,
)
from processors.decoding.clicks import Clicks, RejectedRecord
from schemas import count_tables

MIN_ROWS_PER_VIEW = 1000


class Backlog(NamedTuple):
    """Rows of windows that wait to be written, and events that wait to be rolled up."""

    window_rows: int
    events: int


class TopicState:
    """The rows of one topic in memory.

    `begin_epoch` and `count_clicks` belong to the counting thread, `take_windows` and
    `take_rollups` to one writing thread each.
    """

    def __init__(
        self, topic: str, session: Session, generation: Generation, max_rows: int
    ) -> None:
        """`topic` is the contract's name; `max_rows` bounds the rows over all views.

        Raises Refused, Unavailable.
        """
        views = [view for view in count_tables.COUNTS if view.topic == topic]
        (window_view,) = (view for view in views if view.window_ms == 0)
        rows_per_view = max(MIN_ROWS_PER_VIEW, max_rows // len(views))
        self._lock = threading.Lock()
        self._session = session
        self._windows = open_count_table(session, generation, window_view, rows_per_view)
        self._rollups = Rollups(topic, session, generation, rows_per_view)
        self._epoch = -1
        self._max_event_times: dict[int, int] = {}
        self._next_rollup = RollupInput()
        self._current_rollup = RollupInput()

    def begin_epoch(self, epoch: int, max_event_times: Mapping[int, int | None]) -> None:
        """Forget everything, and continue at the committed offsets.

        `max_event_times` has the largest event time before the committed offset of each
        partition: -1 if there was no event, None if it is not known.
        """
        known_times = {
            partition: UNKNOWN_TIME if time_ms is None else time_ms
            for partition, time_ms in max_event_times.items()
        }
        with self._lock:
            self._windows.cache.begin_epoch(known_times)
            self._epoch = epoch
            self._max_event_times = dict(known_times)
            self._next_rollup = RollupInput(epoch, known_times)

    def count_clicks(
        self,
        clicks: Clicks,
        rejected_records: Sequence[RejectedRecord[Message]],
        next_offsets: Mapping[int, int],
    ) -> int:
        """Count a batch: all of it or, if a row cannot be read, nothing of it.

        `rejected_records` are to become dead letters; `next_offsets` follow the batch, by
        partition. Returns how many events were in their rows already. Raises Refused,
        Unavailable.
        """
        window_ms = self._windows.window_ms
        groups = group_events(clicks, group_by_subject(clicks), window_ms)
        (rows,) = read_rows(self._session, [(self._windows, groups.keys)])
        changed_rows = add_to_rows(rows, groups, clicks, window_ms)
        with self._lock:
            self._windows.cache.put_dirty(changed_rows)
            self._next_rollup.windows |= rows | changed_rows
            self._next_rollup.rejected_records += rejected_records
            self._next_rollup.clicks.append(clicks)
            self._advance(clicks, next_offsets)
        new_events = 0
        for key, row in changed_rows.items():
            new_events += row.views - rows[key].views
        return len(clicks) - new_events

    def _advance(self, clicks: Clicks, next_offsets: Mapping[int, int]) -> None:
        for partition, offset in next_offsets.items():
            event_times = clicks.viewed_ms[clicks.partition == partition]
            max_event_ms = max(
                self._max_event_times.get(partition, UNKNOWN_TIME),
                int(event_times.max(initial=NO_EVENTS)),
            )
            self._max_event_times[partition] = max_event_ms
            checkpoint = Checkpoint(offset, max_event_ms)
            self._next_rollup.checkpoints[partition] = checkpoint

    @property
    def backlog(self) -> Backlog:
        """The changes that wait to be written."""
        with self._lock:
            next_rollup = self._next_rollup
            current_rollup = self._current_rollup
            window_rows = len(next_rollup.windows) + len(current_rollup.windows)
            return Backlog(
                window_rows + self._windows.cache.dirty_count,
                next_rollup.event_count + current_rollup.event_count,
            )

    def take_windows(self) -> PendingWrite:
        """Return the windows that changed since the last call."""
        with self._lock:
            changed_rows = self._windows.cache.take_dirty()
            return PendingWrite(self._epoch, [(self._windows.store, changed_rows)])

    def take_rollups(self) -> PendingWrite:
        """Return the changes of all other views since the last call.

        Its checkpoints are true once the windows changed until now are written too.
        Raises Refused, Unavailable if a row cannot be read; then call it again.
        """
        with self._lock:
            next_rollup = self._next_rollup
            if next_rollup.epoch != self._current_rollup.epoch:
                self._current_rollup = next_rollup.empty_successor()
            self._current_rollup.append(next_rollup)
            self._next_rollup = next_rollup.empty_successor()
        pending_write = self._rollups.count(self._current_rollup)
        with self._lock:
            self._current_rollup = self._current_rollup.empty_successor()
        return pending_write

    def mark_durable(self) -> None:
        """Note that the roll-ups taken last, and all windows of that moment, are durable."""
        self._windows.cache.mark_durable()
        self._rollups.mark_durable()
