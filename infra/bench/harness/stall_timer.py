"""The time for which a figure has not changed."""

import time


class StallTimer:
    """Measures for how long a number has not changed. It starts at 0, when the timer is made."""

    def __init__(self) -> None:
        self._number = 0
        self._changed_at = time.monotonic()

    def update(self, number: int) -> float:
        """Note the number; return the seconds since it last changed."""
        if number != self._number:
            self._number = number
            self._changed_at = time.monotonic()
        return time.monotonic() - self._changed_at
