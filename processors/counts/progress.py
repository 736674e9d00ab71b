"""What the counts' worker says about itself: how far, how fast, and what is in its way."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import KappaError, Unavailable
from infra.state import ProcessState, State
from processors.metrics import Metrics

Place = tuple[str, int]


@dataclass(frozen=True)
class Counted:
    """One batch, counted in memory: its events, those of them that were in their rows already, those set aside, and the offsets that follow."""

    topic: str
    events: int
    repeated: int
    dead: int
    late: int
    following: Mapping[int, int]


class Progress:
    """Collects figures from the worker's threads and reports them as the process's state and metrics."""

    def __init__(self, state: ProcessState, metrics: Metrics) -> None:
        self._state, self._metrics = state, metrics
        self._lock = threading.Lock()
        self._events = self._repeated = self._rows = 0
        self._dead: Counter[str] = Counter()
        self._late: Counter[str] = Counter()
        self._following: dict[Place, int] = {}
        self._write_ms = 0.0
        self._first_event_at = self._last_write_at = 0.0
        self._troubles: dict[str, KappaError] = {}
        self._rated = (time.monotonic(), 0, 0.0)

    def began(self) -> None:
        """Notes when the first event came; later calls change nothing."""
        self._first_event_at = self._first_event_at or time.time()

    def counted(self, batch: Counted) -> None:
        """Takes in a batch that is counted in memory."""
        self._metrics.counted(batch.topic, batch.events, batch.repeated, batch.dead, batch.late)
        with self._lock:
            self._events += batch.events
            self._repeated += batch.repeated
            self._dead[batch.topic] += batch.dead
            self._late[batch.topic] += batch.late
            self._following |= {(batch.topic, partition): offset for partition, offset in batch.following.items()}

    def written(self, topic: str, rows: int, write_ms: float) -> None:
        """Takes in rows that are acknowledged; whatever was in their topic's way is over."""
        self._metrics.written(topic, rows, write_ms / 1e3)
        with self._lock:
            self._rows += rows
            self._write_ms = write_ms
            self._last_write_at = time.time() if rows else self._last_write_at
            self._troubles.pop(topic, None)

    def trouble(self, where: str, error: KappaError) -> None:
        """Something is in the way of `where`: a topic, or the reader."""
        with self._lock:
            self._troubles[where] = error
        self.report({}, {})

    def over(self, where: str) -> None:
        """Nothing is in the way of `where` any more."""
        with self._lock:
            self._troubles.pop(where, None)

    def report(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
        """Writes the state; `starts` and `ends` are the offsets where reading began and where the log ends, by partition."""
        with self._lock:
            figures = self._figures(starts, ends)
            state, detail = self._verdict(figures)
            self._state.report(state, detail, **figures)

    def _figures(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> dict[str, Any]:
        lag = {place: max(0, end - max(self._following.get(place, 0), starts.get(place, 0))) for place, end in ends.items()}
        rate = self._rate()
        self._metrics.now(rate, lag)
        return {
            "events": self._events,
            "events_per_second": rate,
            "repeated": self._repeated,
            "rows_written": self._rows,
            "dead": dict(self._dead),
            "late": dict(self._late),
            "lag": sum(lag.values()),
            "lag_by_partition": {f"{topic}[{partition}]": behind for (topic, partition), behind in sorted(lag.items())},
            "last_write_ms": round(self._write_ms, 1),
            "first_event_at": round(self._first_event_at, 3),
            "last_write_at": round(self._last_write_at, 3),
        }

    def _rate(self) -> float:
        """Events per second over the last second or more."""
        since, events, rate = self._rated
        if (seconds := time.monotonic() - since) >= 1:
            rate = round((self._events - events) / seconds, 1)
            self._rated = since + seconds, self._events, rate
        return rate

    def _verdict(self, figures: Mapping[str, Any]) -> tuple[State, str]:
        for where, error in sorted(self._troubles.items()):
            return "waiting" if isinstance(error, Unavailable) else "failed", f"{where}: {error}"
        dead, late = sum(self._dead.values()), sum(self._late.values())
        aside = f", {dead} set aside" + (f" ({late} of them too late)" if late else "") if dead else ""
        return "running", f"{figures['events']:,} events counted, {figures['events_per_second']:g}/s, {figures['lag']:,} behind{aside}"
