"""MySQL's global transaction identifiers, one by one and as sets.

Source of the forms: MySQL Reference Manual, "GTID Format and Storage". A GTID is `uuid:number` or
`uuid:tag:number`; a set lists intervals of numbers by origin, as in `uuid:1-5:8,uuid:tag:1-3`
(MySQL itself names the server once: `uuid:1-5:8:tag:1-3`). Sets compare by containment, never by
the highest number.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from schemas.errors import ContractError

# Inclusive at both ends, ascending, with a gap between each two.
Intervals = tuple[tuple[int, int], ...]
NUMBERS_END = 2**63
ORIGIN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:[a-z_]\w{0,31})?")


def split_gtid(gtid: str) -> tuple[str, int]:
    """Return a GTID's origin (with its tag) and number. Raises ContractError for other text."""
    origin, _, number = gtid.rpartition(":")
    if not (number.isdecimal() and _is_origin(origin)):
        raise ContractError(f"{gtid!r} is no GTID", "MySQL must run with gtid_mode=ON")
    return origin, int(number)


@lru_cache
def _is_origin(text: str) -> bool:
    return ORIGIN.fullmatch(text) is not None


@dataclass(frozen=True)
class GtidSet:
    """A set of transactions: the intervals of numbers by origin."""

    intervals: Mapping[str, Intervals] = field(default_factory=dict)

    def __contains__(self, gtid: str) -> bool:
        origin, number = split_gtid(gtid)
        intervals = self.intervals.get(origin, ())
        index = bisect_right(intervals, (number, NUMBERS_END)) - 1
        return index >= 0 and number <= intervals[index][1]

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __str__(self) -> str:
        origins = []
        for origin in sorted(self.intervals):
            numbers = [_interval_text(*interval) for interval in self.intervals[origin]]
            origins.append(":".join([origin, *numbers]))
        return ",".join(origins)

    def with_gtids(self, gtids: Iterable[str]) -> "GtidSet":
        """Return the set with more transactions. Raises ContractError for text that is no GTID."""
        intervals: dict[str, list[tuple[int, int]]] = {}
        for gtid in gtids:
            origin, number = split_gtid(gtid)
            intervals.setdefault(origin, []).append((number, number))
        return self._with_intervals(intervals)

    def union(self, other: "GtidSet") -> "GtidSet":
        """Return the transactions of either set."""
        return self._with_intervals(other.intervals)

    def _with_intervals(self, more: Mapping[str, Iterable[tuple[int, int]]]) -> "GtidSet":
        intervals = dict(self.intervals)
        for origin, more_intervals in more.items():
            intervals[origin] = _merged([*intervals.get(origin, ()), *more_intervals])
        return GtidSet(intervals)

    def covers(self, other: "GtidSet") -> bool:
        """Return whether the set has every transaction of another."""
        for origin, intervals in other.intervals.items():
            if not all(self._has_interval(origin, *interval) for interval in intervals):
                return False
        return True

    def _has_interval(self, origin: str, first: int, last: int) -> bool:
        intervals = self.intervals.get(origin, ())
        index = bisect_right(intervals, (first, NUMBERS_END)) - 1
        return index >= 0 and last <= intervals[index][1]

    def last_number(self, origin: str) -> int:
        """Return the highest number of an origin, 0 for an origin without transactions."""
        return self.intervals[origin][-1][1] if origin in self.intervals else 0

    def without_gaps(self) -> "GtidSet":
        """Return the set with every number before the last one of each origin.

        A server that numbers its transactions in commit order has executed all of these.
        Transactions that change no captured row (DDL, accounts, other databases) have numbers too,
        and leave gaps in what capture sees.
        """
        return GtidSet(
            {origin: ((1, self.last_number(origin)),) for origin in self.intervals}
        )


def gtid_set(text: str) -> GtidSet:
    """Return the set that a text describes. Raises ContractError for other text."""
    intervals: dict[str, Intervals] = {}
    for part in "".join(text.split()).split(","):
        if not part:
            continue
        server, *words = part.split(":")
        for origin, numbers in _numbers_by_origin(server, words).items():
            if not ORIGIN.fullmatch(origin) or not numbers:
                raise ContractError(
                    f"{part!r} is no set of GTIDs",
                    "a set is written as 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77",
                )
            new_intervals = [_parse_interval(interval) for interval in numbers]
            intervals[origin] = _merged([*intervals.get(origin, ()), *new_intervals])
    return GtidSet(intervals)


def _numbers_by_origin(server: str, words: list[str]) -> dict[str, list[str]]:
    """Return the intervals of a server: those before the first tag, and those after each tag."""
    numbers: dict[str, list[str]] = {}
    origin = server
    for word in words:
        if word[:1].isdecimal():
            numbers.setdefault(origin, []).append(word)
        else:
            origin = f"{server}:{word}"
            numbers.setdefault(origin, [])
    return numbers or {server: []}


def _parse_interval(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (not last or last.isdecimal())):
        raise ContractError(
            f"{text!r} is no interval of GTIDs", "an interval is written as 1-77"
        )
    return int(first), int(last or first)


def _merged(intervals: Iterable[tuple[int, int]]) -> Intervals:
    merged_ranges: list[tuple[int, int]] = []
    for first, last in sorted(intervals):
        if merged_ranges and first <= merged_ranges[-1][1] + 1:
            previous_first, previous_last = merged_ranges[-1]
            merged_ranges[-1] = (previous_first, max(previous_last, last))
        else:
            merged_ranges.append((first, last))
    return tuple(merged_ranges)


def _interval_text(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
