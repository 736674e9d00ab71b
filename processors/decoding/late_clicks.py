"""Which clicks are too late, or have an absurd time, to be counted."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class TimeRule:
    """The event times that count, in milliseconds before and after the record's log time.

    It decides the same in every replay.
    """

    horizon_ms: int
    ahead_ms: int

    def rejection(self, viewed_ms: int, logged_ms: int) -> str:
        """Return why a time does not count; "" if it does."""
        if viewed_ms < logged_ms - self.horizon_ms:
            late_seconds = (logged_ms - viewed_ms) // 1000
            horizon_seconds = self.horizon_ms // 1000
            return (
                f"late: viewed at {_format_time(viewed_ms)}, logged {late_seconds} s "
                f"later; the horizon is {horizon_seconds} s"
            )
        if viewed_ms > logged_ms + self.ahead_ms:
            viewed_at = _format_time(viewed_ms)
            return f"absurd time: viewed at {viewed_at}, which is after it was logged"
        return ""

    def is_late(self, viewed_ms: int, logged_ms: int) -> bool:
        """Return whether a time is before the horizon."""
        return viewed_ms < logged_ms - self.horizon_ms


def _format_time(at_ms: int) -> str:
    try:
        return (EPOCH + at_ms * MILLISECOND).isoformat(timespec="milliseconds")
    except OverflowError:
        return f"{at_ms} ms of the epoch"
