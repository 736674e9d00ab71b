"""Join orders with the product views before them: both sides in memory, as columns.

Times are milliseconds of UTC. Of an order's time only the second is known, so a view counts
as before the order up to the END of that second:
`ordered - 30 min <= viewed < ordered + 1 s`. The `floor_ms` of a side states what it still
has: everything ever added to it that is not older. Older views must be read from the log,
older orders from Cassandra.
"""

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas import count_tables

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

BEFORE_MS = count_tables.CONVERSION_MS
AFTER_MS = count_tables.SECOND_MS
MIN_TIME = -(2**62)
MAX_TIME = 2**62
# Odd, so that product and hash together identify the user:
# hash = product * MULTIPLIER + user (mod 2^64).
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Views that are sorted in one piece of memory at most.
MAX_PIECE_VIEWS = 2**18
# The share of the memory that is freed when there is no room left.
FREED_SHARE = 0.25
FLOOR_STEP_MS = count_tables.MINUTE_MS


@dataclass(frozen=True)
class Columns:
    """Columns of one length."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))


C = TypeVar("C", bound=Columns)


@dataclass(frozen=True)
class Views(Columns):
    """Product views."""

    product: Ints
    user: Ints
    viewed_ms: Ints


@dataclass(frozen=True)
class Orders(Columns):
    """Orders; `ordered_ms` is the start of the order's second."""

    order: Ints
    product: Ints
    user: Ints
    ordered_ms: Ints


NO_ORDERS = Orders(*np.empty((4, 0), np.int64))


def select_rows(columns: C, rows: Flags | Ints) -> C:
    """Return the rows that a mask or indices select."""
    values = [getattr(columns, field.name)[rows] for field in fields(columns)]
    return type(columns)(*values)


def concatenate(first: C, second: C) -> C:
    """Return the rows of both."""
    values = []
    for field in fields(first):
        parts = [getattr(first, field.name), getattr(second, field.name)]
        values.append(np.concatenate(parts))
    return type(first)(*values)


def pair_hashes(product: Ints, user: Ints) -> Hashes:
    """Return one number per pair of product and user.

    Two pairs may share a number, but then their products differ.
    """
    return product.astype(np.uint64) * MULTIPLIER + user.astype(np.uint64)


class ViewIndex:
    """Views sorted by product and user, then by time: 24 bytes each, for binary search."""

    def __init__(self, pair_hash: Hashes, product: Ints, viewed_ms: Ints) -> None:
        """Sort the columns."""
        order = np.lexsort((viewed_ms, pair_hash))
        self.pair_hash = pair_hash[order]
        self.product = product[order]
        self.viewed_ms = viewed_ms[order]

    @classmethod
    def from_views(cls, views: Views) -> "ViewIndex":
        """Return an index of these views."""
        pair_hash = pair_hashes(views.product, views.user)
        return cls(pair_hash, views.product, views.viewed_ms)

    def __len__(self) -> int:
        return len(self.pair_hash)

    def merge(self, other: "ViewIndex") -> "ViewIndex":
        """Return an index of the views of both."""
        return ViewIndex(
            np.concatenate([self.pair_hash, other.pair_hash]),
            np.concatenate([self.product, other.product]),
            np.concatenate([self.viewed_ms, other.viewed_ms]),
        )

    def since(self, at_ms: int) -> "ViewIndex":
        """Return the views that are not older than a time."""
        is_recent = self.viewed_ms >= at_ms
        if is_recent.all():
            return self
        return ViewIndex(
            self.pair_hash[is_recent], self.product[is_recent], self.viewed_ms[is_recent]
        )

    def preceded_orders(self, orders: Orders) -> Flags:
        """Return a mask of the orders that one of these views preceded within 30 minutes."""
        pair_hash = pair_hashes(orders.product, orders.user)
        starts = np.searchsorted(self.pair_hash, pair_hash, "left")
        ends = np.searchsorted(self.pair_hash, pair_hash, "right")
        is_preceded: Flags = starts < ends
        candidates = np.flatnonzero(is_preceded)
        is_preceded[candidates] = self._preceded_candidates(
            select_rows(orders, candidates), starts[candidates], ends[candidates]
        )
        return is_preceded

    def _preceded_candidates(self, orders: Orders, starts: Ints, ends: Ints) -> Flags:
        """Return a mask of orders that each have views, from `starts` to `ends`."""
        latest = orders.ordered_ms + AFTER_MS
        last_views = self._first_not_before(latest, starts, ends) - 1
        has_view = last_views >= starts
        last_views = np.maximum(last_views, starts)
        earliest = orders.ordered_ms - BEFORE_MS
        is_preceded: Flags = has_view & (self.viewed_ms[last_views] >= earliest)
        has_other_product = self.product[last_views] != orders.product
        for index in np.flatnonzero(is_preceded & has_other_product).tolist():
            # The last view is of another pair with the same hash.
            views = slice(starts[index], ends[index])
            is_preceded[index] = self._is_preceded(orders, index, views)
        return is_preceded

    def _first_not_before(self, at_ms: Ints, starts: Ints, ends: Ints) -> Ints:
        """Return the index of the first view in each stretch that is not before a time.

        Bisects all stretches side by side.
        """
        low = starts.copy()
        high = ends.copy()
        while (is_open := low < high).any():
            middle = np.where(is_open, (low + high) // 2, starts)
            is_earlier = self.viewed_ms[middle] < at_ms
            low = np.where(is_open & is_earlier, middle + 1, low)
            high = np.where(is_open & ~is_earlier, middle, high)
        return low

    def _is_preceded(self, orders: Orders, index: int, views: slice) -> bool:
        ordered_ms = orders.ordered_ms[index]
        viewed_ms = self.viewed_ms[views]
        matches = viewed_ms >= ordered_ms - BEFORE_MS
        matches &= viewed_ms < ordered_ms + AFTER_MS
        matches &= self.product[views] == orders.product[index]
        return bool(matches.any())


class RecentViews:
    """The views read lately, at most `max_views` (24 bytes each)."""

    def __init__(self, max_views: int, floor_ms: int = MIN_TIME) -> None:
        self._max_views = max_views
        self._pieces: list[ViewIndex] = []
        self.floor_ms = floor_ms

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def preceded_orders(self, orders: Orders) -> Flags:
        """Return a mask of the orders that one of these views preceded within 30 minutes.

        The others had no such view, if they are among the `covered_orders`.
        """
        is_preceded = np.zeros(len(orders), np.bool_)
        for piece in self._pieces:
            remaining = np.flatnonzero(~is_preceded)
            remaining_orders = select_rows(orders, remaining)
            is_preceded[remaining] = piece.preceded_orders(remaining_orders)
        return is_preceded

    def covered_orders(self, orders: Orders) -> Flags:
        """Return a mask of the orders of which every view ever added is still here."""
        is_covered: Flags = orders.ordered_ms - BEFORE_MS >= self.floor_ms
        return is_covered

    def add_views(self, views: ViewIndex) -> None:
        """Add views. Small pieces are merged into larger ones, each view a few times."""
        pieces = self._pieces
        pieces.append(views.since(self.floor_ms))
        while len(pieces) > 1 and self._can_merge(len(pieces[-2]), len(pieces[-1])):
            last_piece = pieces.pop()
            pieces[-1] = pieces[-1].merge(last_piece)
        count = len(self)
        if count > self._max_views:
            excess = count - int(self._max_views * (1 - FREED_SHARE))
            times = [piece.viewed_ms for piece in pieces]
            self._raise_floor(_floor(times, excess))

    @staticmethod
    def _can_merge(size: int, next_size: int) -> bool:
        return size < 2 * next_size and size + next_size <= MAX_PIECE_VIEWS

    def forget_before(self, at_ms: int) -> None:
        """Free the memory of views before a time, a minute's worth in each step."""
        if at_ms >= self.floor_ms + FLOOR_STEP_MS:
            self._raise_floor(at_ms)

    def _raise_floor(self, at_ms: int) -> None:
        self.floor_ms = at_ms
        recent_pieces = [piece.since(at_ms) for piece in self._pieces]
        self._pieces = [piece for piece in recent_pieces if len(piece)]


class OpenOrders:
    """Orders without a known view before them: the latest `max_orders` (40 bytes each)."""

    def __init__(self, max_orders: int, floor_ms: int = MIN_TIME) -> None:
        self._max_orders = max_orders
        self._pair_hash: Hashes = np.empty(0, np.uint64)
        self._orders = NO_ORDERS
        self.floor_ms = floor_ms

    def __len__(self) -> int:
        return len(self._orders)

    def add_orders(self, orders: Orders) -> None:
        """Add orders."""
        if not len(orders):
            return
        recent_orders = select_rows(orders, orders.ordered_ms >= self.floor_ms)
        orders = concatenate(self._orders, recent_orders)
        if len(orders) > self._max_orders:
            excess = len(orders) - int(self._max_orders * (1 - FREED_SHARE))
            self.floor_ms = _floor([orders.ordered_ms], excess)
            orders = select_rows(orders, orders.ordered_ms >= self.floor_ms)
        pair_hash = pair_hashes(orders.product, orders.user)
        order = np.argsort(pair_hash, kind="stable")
        self._pair_hash = pair_hash[order]
        self._orders = select_rows(orders, order)

    def preceded_by(self, views: ViewIndex) -> Orders:
        """Return the orders that one of the views preceded within 30 minutes."""
        return select_rows(self._orders, self._preceded_indices(views))

    def remove_preceded_by(self, views: ViewIndex) -> None:
        """Remove the orders that one of the views preceded within 30 minutes."""
        indices = self._preceded_indices(views)
        if len(indices):
            remains = np.ones(len(self._pair_hash), np.bool_)
            remains[indices] = False
            self._pair_hash = self._pair_hash[remains]
            self._orders = select_rows(self._orders, remains)

    def uncovered_views(self, views: Views) -> Flags:
        """Return a mask of the views that may precede an order too old to be here."""
        is_uncovered: Flags = views.viewed_ms - AFTER_MS < self.floor_ms
        return is_uncovered

    def _preceded_indices(self, views: ViewIndex) -> Ints:
        first_of_pair = np.diff(views.pair_hash, prepend=~views.pair_hash[:1])
        pair_hash = views.pair_hash[np.flatnonzero(first_of_pair)]
        starts = np.searchsorted(self._pair_hash, pair_hash, "left")
        ends = np.searchsorted(self._pair_hash, pair_hash, "right")
        indices = _ranges(starts, ends - starts)
        candidates = select_rows(self._orders, indices)
        return indices[views.preceded_orders(candidates)]


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """Return the indices of several ranges, one after the other."""
    offsets = np.cumsum(lengths) - lengths
    return np.repeat(starts - offsets, lengths) + np.arange(lengths.sum())


def _floor(times: list[Ints], count: int) -> int:
    """Return a time before which at least `count` of all these times lie."""
    all_times = np.concatenate(times)
    return int(np.partition(all_times, count - 1)[count - 1]) + 1
