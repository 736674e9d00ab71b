"""Which orders had been preceded by a look: both sides of the join in memory, as columns, found by product and user together.

Times are milliseconds of UTC. Of an order's time only the second is known, so a look counts as before it up to the END of that second:
`ordered - 30 min <= viewed < ordered + 1 s`. What a side remembers is stated by its `floor_ms`: of everything it was ever given, it has
all that is not older than that. Whoever needs what is older must look in the log or in Cassandra.
"""

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas import views

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Mixes = NDArray[np.uint64]

BEFORE_MS, AFTER_MS = views.CONVERSION_MS, views.SECOND_MS
ANY_TIME, NO_TIME = -(2**62), 2**62
# Odd, so that product and mix together still say who the user is: mix = product * ODD + user (mod 2^64).
ODD = np.uint64(0x9E3779B97F4A7C15)
# The largest piece of memory that is sorted as one, and how much memory is given up at once when there is no more room.
LARGEST_PIECE = 2**18
GIVEN_UP = 0.25
FLOOR_STEP_MS = views.MINUTE_MS


@dataclass(frozen=True)
class Columns:
    """Columns of one length."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))


C = TypeVar("C", bound=Columns)


@dataclass(frozen=True)
class Views(Columns):
    """Who looked at what, and when."""

    product: Ints
    user: Ints
    viewed_ms: Ints


@dataclass(frozen=True)
class Orders(Columns):
    """Who ordered what, and when (the start of the second)."""

    order: Ints
    product: Ints
    user: Ints
    ordered_ms: Ints


NO_VIEWS, NO_ORDERS = Views(*np.empty((3, 0), np.int64)), Orders(*np.empty((4, 0), np.int64))


def those(columns: C, chosen: Flags | Ints) -> C:
    """The chosen rows of some columns."""
    return type(columns)(*(getattr(columns, field.name)[chosen] for field in fields(columns)))


def together(first: C, second: C) -> C:
    """The rows of both."""
    return type(first)(*(np.concatenate([getattr(first, field.name), getattr(second, field.name)]) for field in fields(first)))


def mixed(product: Ints, user: Ints) -> Mixes:
    """One number for each pair of product and user. Two pairs may share one, though then their products differ."""
    return product.astype(np.uint64) * ODD + user.astype(np.uint64)


class Looks:
    """Views sorted by product and user, then by time: 24 bytes each, found by binary search."""

    def __init__(self, mix: Mixes, product: Ints, viewed_ms: Ints) -> None:
        order = np.lexsort((viewed_ms, mix))
        self.mix, self.product, self.viewed_ms = mix[order], product[order], viewed_ms[order]

    @classmethod
    def of(cls, seen: Views) -> "Looks":
        """Those views."""
        return cls(mixed(seen.product, seen.user), seen.product, seen.viewed_ms)

    def __len__(self) -> int:
        return len(self.mix)

    def and_(self, other: "Looks") -> "Looks":
        """Both in one."""
        return Looks(
            np.concatenate([self.mix, other.mix]),
            np.concatenate([self.product, other.product]),
            np.concatenate([self.viewed_ms, other.viewed_ms]),
        )

    def since(self, at_ms: int) -> "Looks":
        """Those that are not older."""
        young = self.viewed_ms >= at_ms
        return self if young.all() else Looks(self.mix[young], self.product[young], self.viewed_ms[young])

    def precede(self, orders: Orders) -> Flags:
        """Which of the orders had been preceded by one of these looks."""
        mix = mixed(orders.product, orders.user)
        first, end = np.searchsorted(self.mix, mix, "left"), np.searchsorted(self.mix, mix, "right")
        found: Flags = first < end
        of_pair = np.flatnonzero(found)
        first, end, orders = first[of_pair], end[of_pair], those(orders, of_pair)
        last = self._first_not_before(orders.ordered_ms + AFTER_MS, first, end) - 1
        before = last >= first
        last = np.maximum(last, first)
        in_time = before & (self.viewed_ms[last] >= orders.ordered_ms - BEFORE_MS)
        for place in np.flatnonzero(in_time & (self.product[last] != orders.product)).tolist():  # another pair of the same mix
            in_time[place] = self._precede_one(orders, place, slice(first[place], end[place]))
        found[of_pair] = in_time
        return found

    def _first_not_before(self, at_ms: Ints, first: Ints, end: Ints) -> Ints:
        """Of each stretch from `first` to `end`, the place of the first look that is not before a time: all bisected side by side."""
        low, high = first.copy(), end.copy()
        while (searching := low < high).any():
            middle = np.where(searching, (low + high) // 2, first)
            earlier = self.viewed_ms[middle] < at_ms
            low = np.where(searching & earlier, middle + 1, low)
            high = np.where(searching & ~earlier, middle, high)
        return low

    def _precede_one(self, orders: Orders, place: int, stretch: slice) -> bool:
        ordered_ms, viewed_ms = orders.ordered_ms[place], self.viewed_ms[stretch]
        in_time = (viewed_ms >= ordered_ms - BEFORE_MS) & (viewed_ms < ordered_ms + AFTER_MS)
        return bool((in_time & (self.product[stretch] == orders.product[place])).any())


class RecentViews:
    """The views read lately, at most `most` of them (24 bytes each)."""

    def __init__(self, most: int, floor_ms: int = ANY_TIME) -> None:
        self._most = most
        self._pieces: list[Looks] = []
        self.floor_ms = floor_ms

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def precede(self, orders: Orders) -> Flags:
        """Which of the orders had been preceded by a remembered look. The others had not, if they are `covered`."""
        found = np.zeros(len(orders), np.bool_)
        for piece in self._pieces:
            unfound = np.flatnonzero(~found)
            found[unfound] = piece.precede(those(orders, unfound))
        return found

    def cover(self, orders: Orders) -> Flags:
        """For which of the orders every look in question that was ever added is remembered."""
        covered: Flags = orders.ordered_ms - BEFORE_MS >= self.floor_ms
        return covered

    def add(self, looks: Looks) -> None:
        """Remembers looks. Small pieces are merged into larger ones, each look a few times in all."""
        self._pieces.append(looks.since(self.floor_ms))
        while len(self._pieces) > 1 and self._mergeable(*map(len, self._pieces[-2:])):
            last = self._pieces.pop()
            self._pieces[-1] = self._pieces[-1].and_(last)
        if (count := len(self)) > self._most:
            self._raise_floor(_floor([piece.viewed_ms for piece in self._pieces], count - int(self._most * (1 - GIVEN_UP))))

    @staticmethod
    def _mergeable(size: int, following: int) -> bool:
        return size < 2 * following and size + following <= LARGEST_PIECE

    def forget_before(self, at_ms: int) -> None:
        """Gives up what is older, a minute's worth at a time."""
        if at_ms >= self.floor_ms + FLOOR_STEP_MS:
            self._raise_floor(at_ms)

    def _raise_floor(self, at_ms: int) -> None:
        self.floor_ms = at_ms
        kept = (piece.since(at_ms) for piece in self._pieces)
        self._pieces = [piece for piece in kept if len(piece)]


class OpenOrders:
    """The orders that no look is known to have preceded, at most `most` of them (40 bytes each), those of the latest times."""

    def __init__(self, most: int, floor_ms: int = ANY_TIME) -> None:
        self._most = most
        self._mix: Mixes = np.empty(0, np.uint64)
        self._orders = NO_ORDERS
        self.floor_ms = floor_ms

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, orders: Orders) -> None:
        """Remembers orders."""
        if not len(orders):
            return
        orders = together(self._orders, those(orders, orders.ordered_ms >= self.floor_ms))
        if len(orders) > self._most:
            self.floor_ms = _floor([orders.ordered_ms], len(orders) - int(self._most * (1 - GIVEN_UP)))
            orders = those(orders, orders.ordered_ms >= self.floor_ms)
        mix = mixed(orders.product, orders.user)
        order = np.argsort(mix, kind="stable")
        self._mix, self._orders = mix[order], those(orders, order)

    def preceded_by(self, looks: Looks) -> Orders:
        """The orders that one of the looks had preceded."""
        return those(self._orders, self._places(looks))

    def close(self, looks: Looks) -> None:
        """Forgets the orders that one of the looks had preceded."""
        if len(places := self._places(looks)):
            kept = np.ones(len(self._mix), np.bool_)
            kept[places] = False
            self._mix, self._orders = self._mix[kept], those(self._orders, kept)

    def missed_by(self, seen: Views) -> Flags:
        """Which of the views may have preceded an order that is not remembered because of its age."""
        missed: Flags = seen.viewed_ms - AFTER_MS < self.floor_ms
        return missed

    def _places(self, looks: Looks) -> Ints:
        mix = looks.mix[np.flatnonzero(np.diff(looks.mix, prepend=~looks.mix[:1]))]
        first, end = np.searchsorted(self._mix, mix, "left"), np.searchsorted(self._mix, mix, "right")
        places = _stretches(first, end - first)
        return places[looks.precede(those(self._orders, places))]


def _stretches(first: Ints, lengths: Ints) -> Ints:
    """The places of several stretches, one after the other."""
    offsets = np.cumsum(lengths) - lengths
    return np.repeat(first - offsets, lengths) + np.arange(lengths.sum())


def _floor(times: list[Ints], count: int) -> int:
    """The time before which at least `count` of all these lie."""
    everything = np.concatenate(times)
    return int(np.partition(everything, count - 1)[count - 1]) + 1
