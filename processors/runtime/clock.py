"""The time that a process lives by, so that tests can let it pass without waiting."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits. Safe to share between threads."""

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, for at most `seconds`. Returns whether it is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Return the seconds of `time.monotonic`."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, for at most `seconds`. Returns whether it is set."""
        return event.wait(seconds)


SYSTEM_CLOCK = SystemClock()
