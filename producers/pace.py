"""Evenly paced actions: so many per second, without a burst after a pause."""

import math

MIN_WAIT_SECONDS = 0.01  # so that fast rates come in batches
MAX_WAIT_SECONDS = 1.0
# A time that is due up to rounding is due.
ROUNDING = 1e-9
# A meter keeps this many totals per window.
MARKS_PER_WINDOW = 10


class Pace:
    """Counts the actions that are due at a rate per second.

    Times are seconds of any clock that only moves forward.
    """

    def __init__(self, rate: float, now: float, max_arrears_seconds: float = 1.0) -> None:
        """After a pause, at most the actions of `max_arrears_seconds` are due."""
        self.rate = rate
        self._max_arrears_seconds = max_arrears_seconds
        self._counted_until = now

    def due(self, now: float) -> int:
        """Return how many actions are due since the last call."""
        if self.rate <= 0:
            return 0
        arrears_seconds = max(self._max_arrears_seconds, 1 / self.rate)
        self._counted_until = max(self._counted_until, now - arrears_seconds)
        count = math.floor((now - self._counted_until) * self.rate + ROUNDING)
        self._counted_until += count / self.rate
        return count

    def wait_seconds(self, now: float) -> float:
        """Return how long until the next action is due, from 10 ms to a second."""
        if self.rate <= 0:
            return MAX_WAIT_SECONDS
        seconds = self._counted_until + 1 / self.rate - now
        return min(MAX_WAIT_SECONDS, max(MIN_WAIT_SECONDS, seconds))


class Meter:
    """Measures events per second over about the last ten seconds."""

    def __init__(self, now: float, window_seconds: float = 10.0) -> None:
        self._window_seconds = window_seconds
        self._marks = [(now, 0)]

    def per_second(self, total: int, now: float) -> float:
        """Return the rate, given the total number of events until now."""
        window_start = now - self._window_seconds
        recent_marks = [mark for mark in self._marks if mark[0] >= window_start]
        self._marks = recent_marks or self._marks[-1:]
        first_at, first_total = self._marks[0]
        last_at, _ = self._marks[-1]
        if now - last_at >= self._window_seconds / MARKS_PER_WINDOW:
            self._marks.append((now, total))
        if now <= first_at:
            return 0.0
        return (total - first_total) / (now - first_at)
