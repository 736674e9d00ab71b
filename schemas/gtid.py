"""MySQL's global transaction identifiers, one by one and as sets.

Source of the forms: MySQL Reference Manual, "GTID Format and Storage". A GTID is `uuid:number` or `uuid:tag:number`; a set lists
intervals of numbers by origin, as in `uuid:1-5:8,uuid:tag:1-3`. Sets compare by containment, never by the greatest number.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from infra.errors import ContractError

Intervals = tuple[tuple[int, int], ...]  # ascending, apart from each other; both ends belong to an interval
ORIGIN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:[a-z_]\w{0,31})?")


def parts(gtid: str) -> tuple[str, int]:
    """A GTID's origin (with its tag) and number. Raises ContractError if it is none."""
    origin, _, number = gtid.rpartition(":")
    if not (number.isdecimal() and _is_origin(origin)):
        raise ContractError(f"{gtid!r} is no GTID", "MySQL must run with gtid_mode=ON")
    return origin, int(number)


@lru_cache
def _is_origin(text: str) -> bool:
    return ORIGIN.fullmatch(text) is not None


@dataclass(frozen=True)
class GtidSet:
    """A set of transactions."""

    intervals: Mapping[str, Intervals] = field(default_factory=dict)

    def __contains__(self, gtid: str) -> bool:
        origin, number = parts(gtid)
        held = self.intervals.get(origin, ())
        place = bisect_right(held, (number, number)) - 1
        after = place + 1 < len(held) and held[place + 1][0] == number
        return after or (place >= 0 and number <= held[place][1])

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __str__(self) -> str:
        return ",".join(":".join([origin, *map(_interval, self.intervals[origin])]) for origin in sorted(self.intervals))

    def plus(self, gtids: Iterable[str]) -> "GtidSet":
        """The set with more transactions."""
        more: dict[str, list[tuple[int, int]]] = {}
        for gtid in gtids:
            origin, number = parts(gtid)
            more.setdefault(origin, []).append((number, number))
        joined = {origin: _joined([*self.intervals.get(origin, ()), *found]) for origin, found in more.items()}
        return GtidSet({**self.intervals, **joined})

    def joined(self, other: "GtidSet") -> "GtidSet":
        """The transactions of either set."""
        together = {origin: _joined([*self.intervals.get(origin, ()), *held]) for origin, held in other.intervals.items()}
        return GtidSet({**self.intervals, **together})

    def covers(self, other: "GtidSet") -> bool:
        """Whether it has every transaction of another."""
        return all(self._spans(origin, *span) for origin, spans in other.intervals.items() for span in spans)

    def _spans(self, origin: str, first: int, last: int) -> bool:
        return any(low <= first and last <= high for low, high in self.intervals.get(origin, ()))

    def last(self, origin: str) -> int:
        """The greatest number of an origin; 0 for none."""
        return self.intervals[origin][-1][1] if origin in self.intervals else 0

    def filled(self) -> "GtidSet":
        """The set with all that came before each origin's last: what a server has executed that numbers its transactions in commit order.

        Transactions that change no captured row (DDL, accounts, other databases) have numbers too, and leave holes in what capture sees.
        """
        return GtidSet({origin: ((1, held[-1][1]),) for origin, held in self.intervals.items()})


def gtid_set(text: str) -> GtidSet:
    """A set from its text. Raises ContractError if it is none."""
    intervals: dict[str, Intervals] = {}
    for part in filter(None, "".join(text.split()).split(",")):
        words = part.split(":")
        tagged = len(words) > 1 and not words[1][:1].isdecimal()
        origin, numbers = ":".join(words[: 2 if tagged else 1]), words[2 if tagged else 1 :]
        if not ORIGIN.fullmatch(origin) or not numbers:
            raise ContractError(f"{part!r} is no set of GTIDs", "it reads such as 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77")
        intervals[origin] = _joined([*intervals.get(origin, ()), *map(_parsed, numbers)])
    return GtidSet(intervals)


def _parsed(numbers: str) -> tuple[int, int]:
    first, _, last = numbers.partition("-")
    if not (first.isdecimal() and (not last or last.isdecimal())):
        raise ContractError(f"{numbers!r} are no numbers of GTIDs", "they read such as 1-77")
    return int(first), int(last or first)


def _joined(intervals: Iterable[tuple[int, int]]) -> Intervals:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(intervals):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _interval(held: tuple[int, int]) -> str:
    return str(held[0]) if held[0] == held[1] else f"{held[0]}-{held[1]}"
