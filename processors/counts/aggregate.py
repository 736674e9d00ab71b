"""How clicks become counts: pure arithmetic on columns, exact under repetition.

A row is a count and the offset of the last event in it. Because the events of a partition come in the order of their offsets,
an event at or below a row's offset is in the count already; skipping it makes every repetition harmless.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from processors.clicks import Clicks

Ints = NDArray[np.int64]
# A table of all combinations may be so many times as large as the batch before the combinations that occur are numbered instead.
SPARSE = 4


class Key(NamedTuple):
    """Which row: the subject looked at, the start of its window in milliseconds of UTC (0 without windows), the Kafka partition."""

    subject: int
    window_ms: int
    partition: int


class Row(NamedTuple):
    """A count, and the offset of the last event that it includes."""

    views: int
    last_offset: int


NOTHING = Row(0, -1)
# A named tuple from a tuple, in a third of the time that its own constructor takes: there are some for every row of every batch.
_new: Any = tuple.__new__


@dataclass(frozen=True)
class Codes:
    """For each event the number of its kind, from 0 to `size` - 1; not every number need occur."""

    of_event: Ints
    size: int

    def with_kind(self, other: "Codes") -> "Codes":
        """The combinations of two kinds."""
        together, size = self.of_event * other.size + other.of_event, self.size * other.size
        return Codes(together, size) if size <= SPARSE * len(together) + 1024 else numbered(together)


def numbered(values: Ints) -> Codes:
    """The distinct values, numbered as they come."""
    encoded = pa.array(values).dictionary_encode()
    return Codes(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(encoded.dictionary))


def subjects_of(clicks: Clicks) -> Codes:
    """The pairs of partition and subject, numbered."""
    return numbered(clicks.partition).with_kind(numbered(clicks.subject))


def windows(times_ms: Ints, length_ms: int) -> Ints:
    """The start of the window of each time."""
    return times_ms - times_ms % length_ms


@dataclass(frozen=True)
class Groups:
    """The rows that a batch concerns: their keys, how many events each gets, the offsets of the first and the last of them; and for each
    event the place of its row."""

    keys: list[Key]
    counts: list[int]
    first: list[int]
    last: list[int]
    of_event: Ints


def group(clicks: Clicks, subjects: Codes, window_ms: int | None) -> Groups:
    """The events of a batch by row; `subjects` numbers the pairs of partition and subject."""
    codes, starts = subjects, np.zeros(len(clicks), np.int64)
    if window_ms is not None and len(clicks):
        starts = windows(clicks.viewed_ms, window_ms)
        number = (starts - starts.min()) // window_ms
        span = int(number.max()) + 1
        codes = subjects.with_kind(Codes(number, span) if span <= SPARSE * len(clicks) + 1024 else numbered(number))
    occurring, counts, first, last = occurrences(codes)
    columns = zip(clicks.subject[last].tolist(), starts[last].tolist(), clicks.partition[last].tolist(), strict=True)
    place = np.zeros(codes.size, np.int64)
    place[occurring] = np.arange(len(occurring))
    return Groups(
        [_new(Key, column) for column in columns], counts.tolist(), clicks.offset[first].tolist(), clicks.offset[last].tolist(), place[codes.of_event]
    )


def occurrences(codes: Codes) -> tuple[Ints, Ints, Ints, Ints]:
    """The codes that occur; of each, how often, and the places of its first and its last event."""
    places = np.arange(len(codes.of_event))
    counts = np.bincount(codes.of_event, minlength=codes.size)
    first, last = np.zeros((2, codes.size), np.int64)
    # Of several values for one place the last one stays (NumPy, "Assigning values to indexed arrays").
    last[codes.of_event] = places
    first[codes.of_event[::-1]] = places[::-1]
    occurring = np.flatnonzero(counts)
    return occurring, counts[occurring], first[occurring], last[occurring]


def add(rows: Mapping[Key, Row], groups: Groups, clicks: Clicks, window_ms: int | None) -> dict[Key, Row]:
    """The rows that the groups change, as they are afterwards. `rows` has every key of `groups`."""
    changed = {}
    for key, count, first, last in zip(groups.keys, groups.counts, groups.first, groups.last, strict=True):
        row = rows[key]
        if first > row.last_offset:
            changed[key] = _new(Row, (row.views + count, last))
        elif last > row.last_offset:
            changed[key] = Row(row.views + count_after(row.last_offset, key, clicks, window_ms), last)
    return changed


def count_after(offset: int, key: Key, clicks: Clicks, window_ms: int | None) -> int:
    """How many events of a row come after an offset: for the few rows that were written ahead of the committed offsets."""
    wanted = (clicks.offset > offset) & (clicks.subject == key.subject) & (clicks.partition == key.partition)
    if window_ms is not None:
        wanted &= windows(clicks.viewed_ms, window_ms) == key.window_ms
    return int(np.count_nonzero(wanted))
