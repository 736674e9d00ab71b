"""A clock for tests of threads: time passes only when the test says so."""

import threading
from collections.abc import Callable

from tests.eventually import eventually

POLL_SECONDS = 0.002
WITHIN_SECONDS = 10


class ManualClock:
    """Implements `processors.runtime.clock.Clock`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._advanced = threading.Condition()

    def monotonic(self) -> float:
        with self._advanced:
            return self._now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        with self._advanced:
            deadline = self._now + seconds
            while not event.is_set() and self._now < deadline:
                self._advanced.wait(POLL_SECONDS)  # an event does not notify the clock
            return event.is_set()

    def advance(self, seconds: float) -> None:
        with self._advanced:
            self._now += seconds
            self._advanced.notify_all()

    def advance_until(
        self, condition: Callable[[], object], because: str, step_seconds: float = 1.0
    ) -> None:
        """Let time pass until something has happened in another thread."""

        def check() -> bool:
            if condition():
                return True
            self.advance(step_seconds)
            return False

        eventually(check, within=WITHIN_SECONDS, because=because)


class InstantClock:
    """A clock on which every wait is over immediately."""

    def monotonic(self) -> float:
        return 0.0

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.is_set()
