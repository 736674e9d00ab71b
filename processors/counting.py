"""How clicks become counts: pure arithmetic, exact under repetition.

A row is a count and the offset of the last event in it. Because the events of a partition come in the order of their offsets,
an event at or below a row's offset is in the count already; skipping it makes every repetition harmless.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from processors.decoding import Clicks


class Key(NamedTuple):
    """Which row: the subject looked at, the start of its window in milliseconds of UTC, and the Kafka partition of the events."""

    subject: int
    window_ms: int
    partition: int


class Row(NamedTuple):
    """A count, and the offset of the last event that it includes."""

    views: int
    last_offset: int


NOTHING = Row(0, -1)


def group(clicks: Clicks, window_ms: int) -> dict[Key, list[int]]:
    """The offsets of each row's events, ascending."""
    groups: dict[Key, list[int]] = {}
    columns = zip(clicks.subjects, clicks.viewed_ms, clicks.partitions, clicks.offsets, strict=True)
    for subject, viewed_ms, partition, offset in columns:
        groups.setdefault(Key(subject, viewed_ms - viewed_ms % window_ms, partition), []).append(offset)
    return groups


def add(rows: Mapping[Key, Row], groups: Mapping[Key, Sequence[int]]) -> dict[Key, Row]:
    """The rows that the groups change, as they are afterwards. `rows` has every key of `groups`."""
    changed = {}
    for key, offsets in groups.items():
        row = rows[key]
        new = len(offsets) - bisect_right(offsets, row.last_offset)
        if new:
            changed[key] = Row(row.views + new, offsets[-1])
    return changed


def following(partitions: Iterable[int], offsets: Iterable[int]) -> dict[int, int]:
    """The offset after the last of each partition: what to commit. The offsets of a partition ascend."""
    return {partition: offset + 1 for partition, offset in zip(partitions, offsets, strict=True)}


class RowCache:
    """The rows used last, as acknowledged by the store; never more than `most`, so that memory does not grow with the catalogue."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: OrderedDict[Key, Row] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def known(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """The rows of those keys that are here."""
        found = {}
        for key in keys:
            if (row := self._rows.get(key)) is not None:
                self._rows.move_to_end(key)
                found[key] = row
        return found

    def keep(self, rows: Mapping[Key, Row]) -> None:
        """Remembers rows that the store has acknowledged, in place of those used longest ago."""
        for key, row in rows.items():
            self._rows[key] = row
            self._rows.move_to_end(key)
        while len(self._rows) > self._most:
            self._rows.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything: somebody else may have counted on."""
        self._rows.clear()
