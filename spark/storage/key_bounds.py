"""Which keys a set of rows may hold, in little space: the lowest and the highest integer."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class KeySpan:
    """Keys from `low` to `high`, both included; without these, any key."""

    low: int | None = None
    high: int | None = None

    def wider(self, other: "KeySpan | None") -> "KeySpan":
        """Return the span that covers both."""
        if other is None:
            return self
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return ANY_KEY
        return KeySpan(min(self.low, other.low), max(self.high, other.high))

    def meets(self, other: "KeySpan") -> bool:
        """Return whether both may hold the same key."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return True
        return self.low <= other.high and other.low <= self.high


ANY_KEY = KeySpan()


def span_of(keys: pa.Array | pa.ChunkedArray) -> KeySpan | None:
    """Return the span of some keys; None if there are none."""
    if not len(keys):
        return None
    if not pa.types.is_integer(keys.type):
        return ANY_KEY
    extremes = pc.min_max(keys).as_py()
    return KeySpan(extremes["min"], extremes["max"])
