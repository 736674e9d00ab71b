"""The rows of one view that a worker has in memory: a bounded write-back cache.

Most rows need no read. A worker that begins at the committed offsets knows the largest
event time before them. A row of a later window holds only events that are still to be
read, so it begins empty. If an earlier worker wrote such a row beyond the committed
offsets, it is computed again, to the same counts.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Generic, Protocol, TypeVar

# Event times of a partition that has no committed offset, or a commit without a time.
NO_EVENTS = -1
UNKNOWN_TIME = 2**62


class WindowKey(Protocol):
    """A row's key, with its window's start (0 without windows) and its Kafka partition."""

    @property
    def window_ms(self) -> int: ...
    @property
    def partition(self) -> int: ...


K = TypeVar("K", bound=WindowKey)
V = TypeVar("V")


class RowCache(Generic[K, V]):
    """Rows by key. Safe to share between threads.

    A row leaves the cache only when Cassandra is certain to keep it.
    """

    def __init__(self, empty_row: V, window_ms: int | None, max_rows: int) -> None:
        """`window_ms` is the length of the view's windows, None for a view without windows.

        Each `mark_durable` leaves at least the `max_rows` / 2 rows that were used last.
        """
        self._empty_row = empty_row
        self._window_ms = window_ms
        self._max_rows = max_rows
        self._recent_rows: dict[K, V] = {}
        self._older_rows: dict[K, V] = {}
        self._dirty_rows: dict[K, V] = {}
        self._lock = threading.Lock()
        # By partition the last window of which Cassandra may hold rows. Rows of later
        # windows need no read; UNKNOWN_TIME makes every row be read.
        self._last_stored_windows: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._recent_rows) + len(self._older_rows)

    @property
    def dirty_count(self) -> int:
        """The number of rows that wait to be written."""
        return len(self._dirty_rows)

    def begin_epoch(self, max_event_times: Mapping[int, int]) -> None:
        """Forget all rows, because other workers may have counted in between.

        `max_event_times` has the largest event time counted before, by partition. Rows
        already handed to the writer are not changed.
        """
        windows = {
            partition: self._window_of(time_ms)
            for partition, time_ms in max_event_times.items()
        }
        with self._lock:
            self._recent_rows = {}
            self._older_rows = {}
            self._dirty_rows = {}
            self._last_stored_windows = windows

    def _window_of(self, time_ms: int) -> int:
        if time_ms in (NO_EVENTS, UNKNOWN_TIME):
            return time_ms
        return time_ms - time_ms % self._window_ms if self._window_ms else 0

    def lookup(self, keys: Iterable[K]) -> tuple[dict[K, V], list[K]]:
        """Return the rows in memory, and the keys whose rows must be read.

        A row that certainly holds nothing yet counts as in memory.
        """
        rows: dict[K, V] = {}
        missing_keys = []
        with self._lock:
            windows = self._last_stored_windows
            for key in keys:
                row = self._recent_rows.get(key) or self._refresh(key)
                if row is not None:
                    rows[key] = row
                elif key.window_ms > windows.get(key.partition, UNKNOWN_TIME):
                    rows[key] = self._empty_row
                else:
                    missing_keys.append(key)
        return rows, missing_keys

    def _refresh(self, key: K) -> V | None:
        row = self._older_rows.get(key)
        if row is not None:
            self._recent_rows[key] = row
        return row

    def put_clean(self, rows: Mapping[K, V]) -> None:
        """Add rows as Cassandra holds them."""
        with self._lock:
            self._recent_rows.update(rows)

    def put_dirty(self, rows: Mapping[K, V]) -> None:
        """Add changed rows, which wait to be written."""
        with self._lock:
            self._recent_rows.update(rows)
            self._dirty_rows.update(rows)

    def take_dirty(self) -> dict[K, V]:
        """Return the rows that wait to be written, which then no longer wait."""
        with self._lock:
            dirty_rows = self._dirty_rows
            self._dirty_rows = {}
            return dirty_rows

    def mark_durable(self) -> None:
        """Note that every change made before the last call of this method is durable now.

        If there are too many rows, those not used since an earlier call leave the cache.
        They are read again when they are needed.
        """
        with self._lock:
            if len(self._recent_rows) <= self._max_rows // 2:
                return
            windows = self._last_stored_windows
            for key in self._older_rows.keys() - self._recent_rows.keys():
                window_ms = windows.get(key.partition, UNKNOWN_TIME)
                windows[key.partition] = max(window_ms, key.window_ms)
            self._older_rows = self._recent_rows
            self._recent_rows = {}
