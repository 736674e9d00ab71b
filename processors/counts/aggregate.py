"""Count clicks by row: arithmetic on columns, exact when a batch is repeated.

A row is a count and the offset of the last event in it. The events of a partition
arrive in the order of their offsets, so an event at or below a row's offset is in the
count already. Skipping it makes every repetition harmless.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from processors.decoding.clicks import Clicks

Ints = NDArray[np.int64]
# The ids of two groupings are combined by multiplication as long as the number of
# possible ids is at most this many times the number of events (and a small constant).
# Beyond that, only the combinations that occur get an id.
SPARSE_FACTOR = 4
SPARSE_MINIMUM = 1024


class CountKey(NamedTuple):
    """The key of a row.

    `subject` is the id of the product or order that was viewed, `window_ms` the start of
    the window in milliseconds of UTC (0 without windows), `partition` the Kafka partition.
    """

    subject: int
    window_ms: int
    partition: int


class CountRow(NamedTuple):
    """A count, and the offset of the last event that it includes."""

    views: int
    last_offset: int


EMPTY_ROW = CountRow(0, -1)
# Makes a named tuple from a tuple in a third of the time that its constructor takes: there
# are some for every row of every batch.
_named_tuple: Any = tuple.__new__


@dataclass(frozen=True)
class GroupIds:
    """The group of each event: an id from 0 to `size` - 1. Not every id need occur."""

    of_event: Ints
    size: int

    def combine(self, other: "GroupIds") -> "GroupIds":
        """Return the groups of events that are in the same group of both."""
        pair_ids = self.of_event * other.size + other.of_event
        size = self.size * other.size
        if _is_sparse(size, len(pair_ids)):
            return factorize(pair_ids)
        return GroupIds(pair_ids, size)


def _is_sparse(size: int, events: int) -> bool:
    return size > SPARSE_FACTOR * events + SPARSE_MINIMUM


def factorize(values: Ints) -> GroupIds:
    """Give each distinct value an id, in the order of first occurrence."""
    encoded = pa.array(values).dictionary_encode()
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    return GroupIds(indices.astype(np.int64), len(encoded.dictionary))


def group_by_subject(clicks: Clicks) -> GroupIds:
    """Group clicks by Kafka partition and subject."""
    return factorize(clicks.partition).combine(factorize(clicks.subject))


def window_starts(times_ms: Ints, length_ms: int) -> Ints:
    """Return the start of the window that contains each time, in milliseconds of UTC."""
    return times_ms - times_ms % length_ms


@dataclass(frozen=True, kw_only=True)
class EventGroups:
    """The events of a batch, grouped by row.

    The lists have one element per row: its key, its number of events, the offsets of the
    first and the last of them. `row_of_event` has the index of the row of each event.
    """

    keys: list[CountKey]
    counts: list[int]
    first_offsets: list[int]
    last_offsets: list[int]
    row_of_event: Ints


def group_events(clicks: Clicks, subjects: GroupIds, window_ms: int | None) -> EventGroups:
    """Group the events of a batch by row. `subjects` comes from `group_by_subject`."""
    starts = np.zeros(len(clicks), np.int64)
    groups = subjects
    if window_ms is not None and len(clicks):
        starts = window_starts(clicks.viewed_ms, window_ms)
        groups = subjects.combine(_group_by_window(starts, window_ms))
    extents = group_extents(groups)
    last = extents.last_events
    columns = (clicks.subject[last], starts[last], clicks.partition[last])
    key_values = zip(*(column.tolist() for column in columns), strict=True)
    row_of_id = np.zeros(groups.size, np.int64)
    row_of_id[extents.ids] = np.arange(len(extents.ids))
    return EventGroups(
        keys=[_named_tuple(CountKey, values) for values in key_values],
        counts=extents.counts.tolist(),
        first_offsets=clicks.offset[extents.first_events].tolist(),
        last_offsets=clicks.offset[last].tolist(),
        row_of_event=row_of_id[groups.of_event],
    )


def _group_by_window(starts: Ints, window_ms: int) -> GroupIds:
    numbers = (starts - starts.min()) // window_ms
    size = int(numbers.max()) + 1
    if _is_sparse(size, len(starts)):
        return factorize(numbers)
    return GroupIds(numbers, size)


class GroupExtents(NamedTuple):
    """The ids of groups that have events, in ascending order.

    Beside each stand its number of events and the indices of its first and last event.
    """

    ids: Ints
    counts: Ints
    first_events: Ints
    last_events: Ints


def group_extents(groups: GroupIds) -> GroupExtents:
    """Count the events of each group, and find its first and its last event."""
    events = np.arange(len(groups.of_event))
    counts = np.bincount(groups.of_event, minlength=groups.size)
    first_events = np.zeros(groups.size, np.int64)
    last_events = np.zeros(groups.size, np.int64)
    # Of several values assigned to one index the last one stays (NumPy, "Assigning values
    # to indexed arrays").
    last_events[groups.of_event] = events
    first_events[groups.of_event[::-1]] = events[::-1]
    ids = np.flatnonzero(counts)
    return GroupExtents(ids, counts[ids], first_events[ids], last_events[ids])


def add_to_rows(
    rows: Mapping[CountKey, CountRow],
    groups: EventGroups,
    clicks: Clicks,
    window_ms: int | None,
) -> dict[CountKey, CountRow]:
    """Return the rows that the events change, with their new values.

    `rows` has every key of `groups`.
    """
    changed_rows = {}
    columns = zip(
        groups.keys,
        groups.counts,
        groups.first_offsets,
        groups.last_offsets,
        strict=True,
    )
    for key, count, first_offset, last_offset in columns:
        row = rows[key]
        if first_offset > row.last_offset:
            changed_rows[key] = _named_tuple(CountRow, (row.views + count, last_offset))
        elif last_offset > row.last_offset:
            new_events = count_events_after(row.last_offset, key, clicks, window_ms)
            changed_rows[key] = CountRow(row.views + new_events, last_offset)
    return changed_rows


def count_events_after(
    offset: int, key: CountKey, clicks: Clicks, window_ms: int | None
) -> int:
    """Count the events of a row beyond an offset.

    Needed only for the few rows that were written ahead of the committed offsets.
    """
    is_new = clicks.offset > offset
    is_new &= clicks.subject == key.subject
    is_new &= clicks.partition == key.partition
    if window_ms is not None:
        is_new &= window_starts(clicks.viewed_ms, window_ms) == key.window_ms
    return int(np.count_nonzero(is_new))
