"""The repairs that the state file of capture shows."""

from collections import deque
from datetime import UTC, datetime

REPORTED_REPAIRS = 10


class RepairLog:
    """The last repairs, each with its time and what was done."""

    def __init__(self) -> None:
        self._repairs: deque[dict[str, object]] = deque(maxlen=REPORTED_REPAIRS)

    def add(self, at: float, kind: str, detail: object) -> None:
        """Note a repair. `kind` is its key in the state file, with `detail` as the value."""
        self._repairs.append({"at": utc_text(at), kind: detail})

    def entries(self) -> list[dict[str, object]]:
        """Return the last repairs, the oldest first."""
        return list(self._repairs)


def utc_text(at: float) -> str:
    """Return a Unix time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
