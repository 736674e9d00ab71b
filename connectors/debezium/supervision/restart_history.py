"""When a connector that has failed is restarted: immediately, and then at growing intervals."""

from collections import deque
from collections.abc import Sequence

MAX_PAUSE_SECONDS = 60.0
# A task that has run for this long has recovered: its next failure starts a new series.
RECOVERED_SECONDS = 180.0
# How long Connect may show the failure of a task that was restarted.
STALE_SECONDS = 5.0
REMEMBERED_RESTARTS = 32


class RestartHistory:
    """The failures and restarts of a connector.

    `count` is the number of restarts, with those by earlier processes; `last_error` the error of
    the last failure, empty if there was none; `next_at` when the next restart is due, None if
    none is.
    """

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.last_error = ""
        self.next_at: float | None = None
        self._restart_times: deque[float] = deque(maxlen=REMEMBERED_RESTARTS)
        self._has_run = True

    def note_run(self) -> None:
        """Note that nothing has failed."""
        self._has_run = True
        self.next_at = None

    def note_absence(self) -> None:
        """Note that there is no connector that could be restarted."""
        self.next_at = None

    def note_failure(self, error: str) -> None:
        """Note a failure. Another error than the last one starts a new series."""
        if error != self.last_error:
            # It has come further than at the last failure.
            self._restart_times.clear()
        self.last_error = error

    def note_restart(self, now: float) -> None:
        """Note that a restart is begun."""
        self._has_run = False
        self._restart_times.append(now)
        self.count += 1

    def plan(self, now: float) -> bool:
        """Set when the next restart is due. Returns whether it is due now."""
        self.next_at = next_restart(self._restart_times, now)
        return now >= self.next_at

    def is_new_failure(self, now: float) -> bool:
        """Whether the tasks have run since they were last restarted.

        For a moment Connect still shows the failure from before.
        """
        if self._has_run or not self._restart_times:
            return True
        return now - self._restart_times[-1] > STALE_SECONDS


def next_restart(history: Sequence[float], now: float) -> float:
    """Return when the next restart may happen: now, then after 1, 2, 4, … 60 seconds.

    `history` has the times of earlier restarts. A pause of more than RECOVERED_SECONDS between two
    of them ends a series.
    """
    failures_in_series = 0
    later = now
    for restarted_at in reversed(history):
        if later - restarted_at > RECOVERED_SECONDS:
            break
        failures_in_series += 1
        later = restarted_at
    if not failures_in_series:
        return now
    pause_seconds = min(2.0 ** (failures_in_series - 1), MAX_PAUSE_SECONDS)
    return history[-1] + pause_seconds
