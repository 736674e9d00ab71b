"""How often the site's visitors act: so many times a second, evenly, and with no rush after a pause."""

import math


class Pace:
    """Counts what is due at a rate per second. Times are seconds of any clock that only moves forward."""

    def __init__(self, rate: float, now: float, most_arrears_seconds: float = 1.0) -> None:
        self.rate = rate
        self._most_arrears_seconds = most_arrears_seconds
        self._paid_until = now

    def due(self, now: float) -> int:
        """How many actions are due since they were last asked for; what a long pause left undone stays undone."""
        if self.rate <= 0:
            return 0
        self._paid_until = max(self._paid_until, now - max(self._most_arrears_seconds, 1 / self.rate))
        count = math.floor((now - self._paid_until) * self.rate + 1e-9)
        self._paid_until += count / self.rate
        return count

    def wait_seconds(self, now: float) -> float:
        """How long until the next action is due, between 10 ms (so that fast rates come in batches) and a second."""
        if self.rate <= 0:
            return 1.0
        return min(1.0, max(0.01, self._paid_until + 1 / self.rate - now))


class Meter:
    """Events per second over about the last ten seconds."""

    def __init__(self, now: float, window_seconds: float = 10.0) -> None:
        self._window_seconds = window_seconds
        self._marks = [(now, 0)]

    def per_second(self, total: int, now: float) -> float:
        """The rate, given the total so far."""
        self._marks = [mark for mark in self._marks if now - mark[0] <= self._window_seconds] or self._marks[-1:]
        since, before = self._marks[0]
        if now - self._marks[-1][0] >= self._window_seconds / 10:
            self._marks.append((now, total))
        return (total - before) / (now - since) if now > since else 0.0
