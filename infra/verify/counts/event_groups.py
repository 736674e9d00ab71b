"""Events grouped by the row that counts them: a subject and a window.

Columns are numpy arrays of equal length; integers are 64 bits wide.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]


def _no_ints() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Events:
    """The counted events of one partition, in the order of the log; times in ms of UTC."""

    offsets: Ints = field(default_factory=_no_ints)
    subjects: Ints = field(default_factory=_no_ints)
    users: Ints = field(default_factory=_no_ints)
    viewed_ms: Ints = field(default_factory=_no_ints)


class PairIndex:
    """Distinct pairs of numbers in ascending order, to find many of them in one step."""

    def __init__(self, firsts: Ints, seconds: Ints) -> None:
        self._firsts = np.unique(firsts)
        self._seconds = np.unique(seconds)
        codes, _ = self._code(firsts, seconds)
        self._codes = np.unique(codes)

    def find(self, firsts: Ints, seconds: Ints) -> Ints:
        """Return the index of each pair among the distinct ones, or -1."""
        if not len(self._codes):
            return np.full(len(firsts), -1)
        codes, is_known = self._code(firsts, seconds)
        indexes, is_present = _positions(self._codes, codes)
        return np.where(is_known & is_present, indexes, -1)

    def _code(self, firsts: Ints, seconds: Ints) -> tuple[Ints, Mask]:
        """Return each pair's number in the grid of all numbers, and whether both are on it."""
        if not len(self._firsts):
            return _no_ints(), np.empty(0, np.bool_)
        rows, has_row = _positions(self._firsts, firsts)
        columns, has_column = _positions(self._seconds, seconds)
        return rows * len(self._seconds) + columns, has_row & has_column


def _positions(ascending: Ints, numbers: Ints) -> tuple[Ints, Mask]:
    """Return the position of each number among ascending ones, and whether it is there."""
    last = len(ascending) - 1
    positions = np.minimum(np.searchsorted(ascending, numbers), last)
    return positions, ascending[positions] == numbers


class EventGroups:
    """The events of a partition, grouped by subject and window.

    Groups ascend by subject and window, their events by offset. `order` sorts events by group,
    `starts` is where each group begins in that order, `numbers` the group of each event in it.
    """

    def __init__(self, subjects: Ints, windows: Ints, offsets: Ints) -> None:
        # lexsort is stable: within a group events keep the order of the log.
        self.order: Ints = np.lexsort((windows, subjects))
        self._offsets = offsets
        subjects = subjects[self.order]
        windows = windows[self.order]
        is_first = np.ones(len(offsets), np.bool_)
        is_first[1:] = subjects[1:] != subjects[:-1]
        is_first[1:] |= windows[1:] != windows[:-1]
        self.starts: Ints = np.flatnonzero(is_first)
        self.numbers: Ints = np.cumsum(is_first) - 1
        self.subjects = subjects[self.starts]
        self.windows = windows[self.starts]
        self._pairs = PairIndex(self.subjects, self.windows)
        self._codes = self.numbers * (len(offsets) + 1) + self.order

    def find(self, subjects: Ints, windows: Ints) -> Ints:
        """Return the number of each row's group, or -1 for a row without events."""
        return self._pairs.find(subjects, windows)

    def count_upto(self, groups: Ints, offsets: Ints | int) -> Ints:
        """Count the events of each group at or before an offset; 0 for the group -1."""
        if not len(self.starts):
            return np.zeros(len(groups), np.int64)
        events_upto = np.searchsorted(self._offsets, offsets, "right")
        codes = groups * (len(self._offsets) + 1) + events_upto
        ends = np.searchsorted(self._codes, codes)
        return np.where(groups >= 0, ends - self.starts[groups], 0)

    def last_offset(self, groups: Ints, counts: Ints) -> Ints:
        """Return the offset of the last of each group's first `counts` events; -1 if 0."""
        if not len(self.starts):
            return np.full(len(groups), -1)
        last = self.starts[groups] + np.maximum(counts, 1) - 1
        return np.where(counts > 0, self._offsets[self.order[last]], -1)
