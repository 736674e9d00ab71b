"""What the rows of the live counts must be, recounted from the events: arithmetic on columns, sharing nothing with the code that counts.

Each row states the last event that it includes, and is compared as of that event, so that counting may go on meanwhile. Besides,
every event below the offset that the counting group has committed must be in its row: a row that stayed behind, or that is not
there at all, differs too.

numpy's whole numbers are 64 bits wide: subjects, users, offsets, and times in milliseconds of UTC.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from infra.differences import Difference, Outcome, Wrong
from schemas import views

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]

# A number of viewers is an estimate: five standard errors of the sketch, and two for the rounding of small numbers.
MOST_RELATIVE_ERROR = 5 * 1.04 / 2 ** (views.SKETCH_BITS / 2)
MOST_ABSOLUTE_ERROR = 2


def _no_ints() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Events:
    """The counted events of one partition as columns of one length, in the order of the log."""

    offsets: Ints = field(default_factory=_no_ints)
    subjects: Ints = field(default_factory=_no_ints)
    users: Ints = field(default_factory=_no_ints)
    viewed_ms: Ints = field(default_factory=_no_ints)


@dataclass(frozen=True)
class Rows:
    """Rows of a view as columns of one length. Subjects or windows are 0 where the view has none; values are what the view answers."""

    subjects: Ints
    windows: Ints
    partitions: Ints
    values: Values
    last_offsets: Ints

    def of(self, partition: int) -> "Rows":
        """The rows that count one partition."""
        mine = self.partitions == partition
        return Rows(self.subjects[mine], self.windows[mine], self.partitions[mine], self.values[mine], self.last_offsets[mine])


class Pairs:
    """Distinct pairs of numbers in their order, to find many of them at once."""

    def __init__(self, firsts: Ints, seconds: Ints) -> None:
        self._firsts, self._seconds = np.unique(firsts), np.unique(seconds)
        codes, _ = self._code(firsts, seconds)
        self._codes = np.unique(codes)

    def find(self, firsts: Ints, seconds: Ints) -> Ints:
        """The place of each pair among the distinct ones, or -1."""
        if not len(self._codes):
            return np.full(len(firsts), -1)
        codes, known = self._code(firsts, seconds)
        places, found = _places(self._codes, codes)
        return np.where(known & found, places, -1)

    def _code(self, firsts: Ints, seconds: Ints) -> tuple[Ints, Flags]:
        """A pair's place in the grid of all numbers seen, and whether both are on it."""
        if not len(self._firsts):
            return _no_ints(), np.empty(0, np.bool_)
        rows, on_row = _places(self._firsts, firsts)
        columns, on_column = _places(self._seconds, seconds)
        return rows * len(self._seconds) + columns, on_row & on_column


def _places(ascending: Ints, wanted: Ints) -> tuple[Ints, Flags]:
    """Where each wanted number stands, and whether it really does."""
    places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return places, ascending[places] == wanted


class Groups:
    """The events of a partition gathered by the row that they belong to: groups ascend by subject and window, their events by offset."""

    def __init__(self, subjects: Ints, windows: Ints, offsets: Ints) -> None:
        self.order: Ints = np.lexsort((windows, subjects))  # stable: within a group, the order of the log
        self._offsets = offsets
        subjects, windows = subjects[self.order], windows[self.order]
        first = np.ones(len(offsets), np.bool_)
        first[1:] = (subjects[1:] != subjects[:-1]) | (windows[1:] != windows[:-1])
        self.starts: Ints = np.flatnonzero(first)
        self.numbers: Ints = np.cumsum(first) - 1
        self.subjects, self.windows = subjects[self.starts], windows[self.starts]
        self._pairs = Pairs(self.subjects, self.windows)
        self._codes = self.numbers * (len(offsets) + 1) + self.order

    def find(self, subjects: Ints, windows: Ints) -> Ints:
        """The group of each row, or -1 for a row without events."""
        return self._pairs.find(subjects, windows)

    def upto(self, groups: Ints, offsets: Ints | int) -> Ints:
        """How many events of each group lie at or before an offset; 0 for the group -1."""
        if not len(self.starts):
            return np.zeros(len(groups), np.int64)
        in_the_log = np.searchsorted(self._offsets, offsets, "right")
        reached = np.searchsorted(self._codes, groups * (len(self._offsets) + 1) + in_the_log)
        return np.where(groups >= 0, reached - self.starts[groups], 0)

    def last(self, groups: Ints, counts: Ints) -> Ints:
        """The offset of the last of each group's first so many events; -1 if there is none."""
        if not len(self.starts):
            return np.full(len(groups), -1)
        return np.where(counts > 0, self._offsets[self.order[self.starts[groups] + np.maximum(counts, 1) - 1]], -1)


# What the rows of some groups must answer after so many of their events.
Expect = Callable[[Ints, Ints], Values]


@dataclass(frozen=True)
class Kind:
    """How the rows of a view come from events: by subject or for all subjects together, and what a row answers."""

    by_subject: bool
    expecting: Callable[[Groups, Events], Expect]
    agrees: Callable[[Values, Values], Flags]


def _counting(groups: Groups, events: Events) -> Expect:
    return lambda _, counts: counts


def _viewers(groups: Groups, events: Events) -> Expect:
    """Distinct users: each is counted at the first event in a group."""
    users = events.users[groups.order]
    order = np.lexsort((users, groups.numbers))
    first = np.ones(len(users), np.bool_)
    first[1:] = (users[order][1:] != users[order][:-1]) | (groups.numbers[order][1:] != groups.numbers[order][:-1])
    seen = np.zeros(len(users) + 1, np.int64)
    seen[order + 1] = first
    seen = np.cumsum(seen)

    def expect(numbers: Ints, counts: Ints) -> Values:
        if not len(groups.starts):
            return np.zeros(len(numbers), np.int64)
        starts = groups.starts[numbers]
        return np.where(numbers >= 0, seen[starts + counts] - seen[starts], 0)

    return expect


def _top(groups: Groups, events: Events) -> Expect:
    products = events.subjects[groups.order]

    def expect(numbers: Ints, counts: Ints) -> Values:
        lists = np.empty(len(numbers), object)
        for place, (number, count) in enumerate(zip(numbers.tolist(), counts.tolist(), strict=True)):
            start = groups.starts[number] if count else 0
            lists[place] = most_viewed(products[start : start + count])
        return lists

    return expect


def most_viewed(products: Ints) -> tuple[tuple[int, int], ...]:
    """The products looked at most with their views, the most viewed first, the lower number first among equals."""
    kinds, counts = np.unique(products, return_counts=True)
    best = np.lexsort((kinds, -counts))[: views.TOP]
    return tuple(zip(kinds[best].tolist(), counts[best].tolist(), strict=True))


def _equal(stored: Values, expected: Values) -> Flags:
    return np.fromiter((one == other for one, other in zip(stored, expected, strict=True)), np.bool_, len(stored))


def _near(stored: Values, expected: Values) -> Flags:
    near: Flags = np.abs(stored - expected) <= MOST_RELATIVE_ERROR * expected + MOST_ABSOLUTE_ERROR
    return near


KINDS: dict[views.View, Kind] = dict.fromkeys(views.COUNTS, Kind(True, _counting, np.equal))
KINDS |= {views.TOP_PRODUCTS: Kind(False, _top, _equal), views.VIEWERS: Kind(True, _viewers, _near)}


def compare(view: views.View, window_ms: int | None, rows: Rows, log: Mapping[int, Events], committed: Mapping[int, int]) -> Outcome:
    """Compares all rows of a view with the counted events of its topic by partition; `committed` is the group's next offset of each.

    `window_ms` is the length of the view's windows, None if it has none.
    """
    outcome = Outcome(view.name, rows=len(rows.subjects))
    for partition in sorted({*log, *np.unique(rows.partitions).tolist()}):
        recount = PartitionRecount(view, window_ms, partition, log.get(partition, Events()))
        recount.judge(rows.of(partition), committed.get(partition, 0), outcome)
    return outcome


class PartitionRecount:
    """The recount of one partition for one view."""

    def __init__(self, view: views.View, window_ms: int | None, partition: int, events: Events) -> None:
        kind = KINDS[view]
        nothing = np.zeros(len(events.offsets), np.int64)
        windows = events.viewed_ms - events.viewed_ms % window_ms if window_ms else nothing
        self._view, self._partition, self._agrees = view, partition, kind.agrees
        self._groups = Groups(events.subjects if kind.by_subject else nothing, windows, events.offsets)
        self._expect = kind.expecting(self._groups, events)

    def judge(self, rows: Rows, committed: int, outcome: Outcome) -> None:
        """Adds to the outcome what the rows hold and where they differ."""
        groups = self._groups
        found = groups.find(rows.subjects, rows.windows)
        included = groups.upto(found, rows.last_offsets)
        every = np.arange(len(groups.starts))
        due = groups.upto(every, committed - 1)
        missing = every[(due > 0) & ~np.isin(every, found)]
        owed = np.where(found >= 0, due[found], 0) if len(due) else np.zeros_like(found)
        outcome.events += int(np.maximum(included, owed).sum() + due[missing].sum())
        wrong = ~self._agrees(rows.values, self._expect(found, included))
        self._differ(outcome, "value", rows, found, included, wrong)
        misplaced = ~wrong & ((included == 0) | (groups.last(found, included) != rows.last_offsets))
        self._differ(outcome, "last_offset", rows, found, included, misplaced)
        behind = ~wrong & ~misplaced & (owed > included)
        behind[behind] = ~self._agrees(rows.values[behind], self._expect(found[behind], owed[behind]))
        self._differ(outcome, "behind", rows, found, owed, behind)
        self._miss(outcome, missing, due[missing])

    def _differ(self, outcome: Outcome, wrong: Wrong, rows: Rows, found: Ints, counts: Ints, differs: Flags) -> None:
        """Some rows differ from the first so many events of their groups."""
        outcome.differing += int(differs.sum())
        chosen = np.flatnonzero(differs)[: outcome.room]
        numbers, counts = found[chosen], counts[chosen]
        columns = (rows.subjects, rows.windows, rows.values, rows.last_offsets)
        kept = zip(*(column[chosen] for column in columns), self._expect(numbers, counts), self._groups.last(numbers, counts), strict=True)
        for subject, window, value, last_offset, expected, end in kept:
            differing = self._difference(wrong, subject, window, _plain(expected), int(end))
            outcome.differences.append(replace(differing, cassandra=_plain(value), last_offset=int(last_offset)))

    def _miss(self, outcome: Outcome, missing: Ints, counts: Ints) -> None:
        """The missing groups have no row."""
        outcome.differing += len(missing)
        missing, counts = missing[: outcome.room], counts[: outcome.room]
        subjects, windows = self._groups.subjects[missing], self._groups.windows[missing]
        kept = zip(subjects, windows, self._expect(missing, counts), self._groups.last(missing, counts), strict=True)
        outcome.differences += [self._difference("missing", subject, window, _plain(due), int(end)) for subject, window, due, end in kept]

    def _difference(self, wrong: Wrong, subject: np.int64, window: np.int64, log: Any, offset: int) -> Difference:
        """A difference of a row whose key is made of a subject and a window where the view has them."""
        of_type = {"timestamp": int(window), "bigint": int(subject), "int": self._partition}
        key = {column.name: of_type[column.type] for column in self._view.key}
        return Difference(self._view.name, key, wrong, None, log, self._view.topic, self._partition, None, offset if offset >= 0 else None)


def _plain(value: Any) -> Any:
    """A value without numpy's wrapping."""
    return value.item() if isinstance(value, np.generic) else value
