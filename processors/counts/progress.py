"""The state that a worker of the counts reports: progress, rate, and problems."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.runtime.process_state import ProcessState, State
from processors.counts.metrics import Metrics
from processors.runtime.reading_state import ReadingState
from schemas.errors import KappaError
from schemas.topics import TopicPartition

RATE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class BatchFigures:
    """One batch that is counted in memory.

    Of its `events`, `repeated_events` were in their rows already, `dead` were set aside, `late` of
    those because of their time. `next_offsets` follow the batch, by partition.
    """

    topic: str
    events: int
    repeated_events: int
    dead: int
    late: int
    next_offsets: Mapping[int, int]


class Progress:
    """Collects figures from the worker's threads.

    Reports them as the process's state and as metrics.
    """

    def __init__(self, state: ProcessState, metrics: Metrics) -> None:
        self._state = state
        self._metrics = metrics
        self._lock = threading.Lock()
        self._events = self._repeated_events = self._rows = 0
        self._dead: Counter[str] = Counter()
        self._late: Counter[str] = Counter()
        self._reading = ReadingState()
        self._write_ms = 0.0
        self._first_event_at = self._last_write_at = 0.0
        self._rate = 0.0
        self._rate_at = time.monotonic()
        self._rate_events = 0

    def event_arrived(self) -> None:
        """Note the time of the first event; later calls change nothing."""
        self._first_event_at = self._first_event_at or time.time()

    def batch_counted(self, batch: BatchFigures) -> None:
        """Add a batch that is counted in memory."""
        topic = batch.topic
        self._metrics.batch_counted(
            topic,
            events=batch.events,
            repeated_events=batch.repeated_events,
            dead=batch.dead,
            late=batch.late,
        )
        with self._lock:
            self._events += batch.events
            self._repeated_events += batch.repeated_events
            self._dead[topic] += batch.dead
            self._late[topic] += batch.late
            self._reading.note_offsets(topic, batch.next_offsets)

    def rows_written(self, topic: str, rows: int, write_ms: float) -> None:
        """Add rows that Cassandra has acknowledged; their topic has no problem now."""
        self._metrics.rows_written(topic, rows, write_ms / 1e3)
        with self._lock:
            self._rows += rows
            self._write_ms = write_ms
            if rows:
                self._last_write_at = time.time()
            self._reading.clear_problem(topic)

    def report_problem(self, where: str, error: KappaError) -> None:
        """Report that `where`, a topic or the reader, cannot continue."""
        with self._lock:
            self._reading.note_problem(where, error)
        self.report({}, {})

    def clear_problem(self, where: str) -> None:
        """Note that `where` continues."""
        with self._lock:
            self._reading.clear_problem(where)

    def report(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None:
        """Write the state.

        `starts` are the offsets where reading began, `ends` the high watermarks.
        """
        with self._lock:
            figures = self._figures(starts, ends)
            state, detail = self._summary(figures)
            self._state.report(state, detail, **figures)

    def _figures(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[str, Any]:
        lag = self._reading.lag(starts, ends)
        rate = self._current_rate()
        self._metrics.set_progress(rate, lag)
        lag_by_partition = {
            f"{topic}[{partition}]": behind
            for (topic, partition), behind in sorted(lag.items())
        }
        return {
            "events": self._events,
            "events_per_second": rate,
            "repeated": self._repeated_events,
            "rows_written": self._rows,
            "dead": dict(self._dead),
            "late": dict(self._late),
            "lag": sum(lag.values()),
            "lag_by_partition": lag_by_partition,
            "last_write_ms": round(self._write_ms, 1),
            "first_event_at": round(self._first_event_at, 3),
            "last_write_at": round(self._last_write_at, 3),
        }

    def _current_rate(self) -> float:
        """Return events per second, measured over RATE_SECONDS or more."""
        now = time.monotonic()
        seconds = now - self._rate_at
        if seconds >= RATE_SECONDS:
            self._rate = round((self._events - self._rate_events) / seconds, 1)
            self._rate_at = now
            self._rate_events = self._events
        return self._rate

    def _summary(self, figures: Mapping[str, Any]) -> tuple[State, str]:
        if problem := self._reading.problem():
            return problem
        events = figures["events"]
        rate = figures["events_per_second"]
        lag = figures["lag"]
        detail = f"{events:,} events counted, {rate:g}/s, {lag:,} behind"
        dead = sum(self._dead.values())
        late = sum(self._late.values())
        if dead:
            detail += f", {dead} set aside"
        if late:
            detail += f" ({late} of them too late)"
        return "running", detail
