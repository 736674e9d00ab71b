"""The rows of one view that a worker knows: read at need, changed here, written by somebody else, and never more than a stated number.

Most rows need not be read at all. When a worker begins at the committed offsets, it knows the largest event time counted before them
(`floors`): a row of a later window holds only events that are still to come, so it begins with nothing. Whatever a predecessor has
written of it beyond the committed offsets is computed again, to the same counts.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Generic, Protocol, TypeVar

NOTHING_BEFORE = -1
UNKNOWN = 2**62  # no floor is known: every row must be read


class Windowed(Protocol):
    """What is asked of a row's key: the start of its window (0 without windows) and the Kafka partition of its events."""

    @property
    def window_ms(self) -> int: ...
    @property
    def partition(self) -> int: ...


K = TypeVar("K", bound=Windowed)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Rows by key; safe to share between threads. A row is forgotten only when Cassandra is certain to keep what it says of it."""

    def __init__(self, nothing: V, window_ms: int | None, most: int) -> None:
        """`window_ms` is the length of the view's windows, None without. With each `settled`, at least half of `most` rows stay, those used last."""
        self._nothing, self._window_ms, self._most = nothing, window_ms, most
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._dirty: dict[K, V] = {}
        self._lock = threading.Lock()
        self._floors: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def unwritten(self) -> int:
        """How many rows wait to be written."""
        return len(self._dirty)

    def begin(self, times_ms: Mapping[int, int]) -> None:
        """Forgets everything: others may have counted on. `times_ms` is the largest event time counted before, by partition.

        What was taken stays whole with whoever is writing it.
        """
        with self._lock:
            self._young, self._old, self._dirty = {}, {}, {}
            self._floors = {partition: self._start_of(at_ms) for partition, at_ms in times_ms.items()}

    def _start_of(self, at_ms: int) -> int:
        if at_ms in (NOTHING_BEFORE, UNKNOWN):
            return at_ms
        return at_ms - at_ms % self._window_ms if self._window_ms else 0

    def known(self, keys: Iterable[K]) -> tuple[dict[K, V], list[K]]:
        """The rows that are known, those that certainly hold nothing yet among them; and the keys whose rows must be read."""
        found: dict[K, V] = {}
        missing = []
        with self._lock:
            for key in keys:
                row = self._young.get(key) or self._aged(key)
                if row is not None:
                    found[key] = row
                elif key.window_ms > self._floors.get(key.partition, UNKNOWN):
                    found[key] = self._nothing
                else:
                    missing.append(key)
        return found, missing

    def _aged(self, key: K) -> V | None:
        row = self._old.get(key)
        if row is not None:
            self._young[key] = row
        return row

    def keep(self, rows: Mapping[K, V]) -> None:
        """Remembers rows."""
        with self._lock:
            self._young.update(rows)

    def change(self, rows: Mapping[K, V]) -> None:
        """Remembers rows that are to be written."""
        with self._lock:
            self._young.update(rows)
            self._dirty.update(rows)

    def take(self) -> dict[K, V]:
        """The rows that are to be written now."""
        with self._lock:
            taken, self._dirty = self._dirty, {}
            return taken

    def settled(self) -> None:
        """Says that all that had changed at the last call of this is durable by now. If there are too many rows, those not used since an
        earlier call are forgotten, and will be read when they are needed again."""
        with self._lock:
            if len(self._young) <= self._most // 2:
                return
            for key in self._old.keys() - self._young.keys():
                self._floors[key.partition] = max(self._floors.get(key.partition, UNKNOWN), key.window_ms)
            self._old, self._young = self._young, {}
