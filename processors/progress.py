"""What the counts' worker says about itself: how far, how fast, and what is in its way."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import KappaError, Unavailable
from infra.state import ProcessState, State

Place = tuple[str, int]


@dataclass(frozen=True)
class Counted:
    """One batch, counted: its events, those of them that were in their rows already, those set aside, and the offsets that follow."""

    topic: str
    events: int
    repeated: int
    dead: int
    rows: int
    write_ms: float
    age_ms: float
    following: Mapping[int, int]


class Progress:
    """Collects figures from the worker's threads and reports them as the process's state."""

    def __init__(self, state: ProcessState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._events = self._repeated = self._rows = 0
        self._dead: Counter[str] = Counter()
        self._following: dict[Place, int] = {}
        self._last: Counted | None = None
        self._troubles: dict[str, KappaError] = {}
        self._reported = (time.monotonic(), 0)

    def counted(self, batch: Counted) -> None:
        """Takes in a batch whose rows are acknowledged; whatever was in its topic's way is over."""
        with self._lock:
            self._events += batch.events
            self._repeated += batch.repeated
            self._rows += batch.rows
            self._dead[batch.topic] += batch.dead
            self._following |= {(batch.topic, partition): offset for partition, offset in batch.following.items()}
            self._last = batch
            self._troubles.pop(batch.topic, None)

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
        return {
            "events": self._events,
            "events_per_second": self._rate(),
            "repeated": self._repeated,
            "rows_written": self._rows,
            "dead": dict(self._dead),
            "lag": sum(lag.values()),
            "lag_by_partition": {f"{topic}[{partition}]": behind for (topic, partition), behind in sorted(lag.items())},
            "last_write_ms": round(self._last.write_ms, 1) if self._last else None,
            "last_age_ms": round(self._last.age_ms, 1) if self._last else None,
        }

    def _rate(self) -> float:
        before, events = self._reported
        now = time.monotonic()
        self._reported = now, self._events
        return round((self._events - events) / max(now - before, 1e-3), 1)

    def _verdict(self, figures: Mapping[str, Any]) -> tuple[State, str]:
        for where, error in sorted(self._troubles.items()):
            return "waiting" if isinstance(error, Unavailable) else "failed", f"{where}: {error}"
        dead = sum(self._dead.values())
        aside = f", {dead} set aside as unreadable" if dead else ""
        return "running", f"{figures['events']:,} events counted, {figures['events_per_second']:g}/s, {figures['lag']:,} behind{aside}"
