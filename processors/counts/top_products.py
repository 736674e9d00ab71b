"""The products looked at most in a window: a short list that stays exact without knowing all products.

Counts only grow, so whoever enters the list has just been looked at: the list afterwards is the best of the list before and of the
rows that a batch concerns. A row that a predecessor wrote may be ahead of the batch; then so is the list, and it may only be written
once counting has come as far.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from processors.counting import Key, Row
from schemas.views import TOP


class TopKey(NamedTuple):
    """Which list: the start of its window in milliseconds of UTC, and the Kafka partition."""

    window_ms: int
    partition: int


class Top(NamedTuple):
    """Products with their views, the most viewed first; and the offset of the last event that they include."""

    products: tuple[tuple[int, int], ...]
    last_offset: int


NO_PRODUCTS = Top((), -1)


def keys_of(rows: Iterable[Key]) -> set[TopKey]:
    """The lists that rows may change."""
    return {TopKey(key.window_ms, key.partition) for key in rows}


def ranked(lists: Mapping[TopKey, Top], rows: Mapping[Key, Row]) -> dict[TopKey, Top]:
    """The lists after some rows, as they are after a batch. `lists` has every key that `keys_of` names."""
    candidates = {key: dict(top.products) for key, top in lists.items()}
    last = {key: top.last_offset for key, top in lists.items()}
    for key, row in rows.items():
        place = TopKey(key.window_ms, key.partition)
        candidates[place][key.subject] = max(row.views, candidates[place].get(key.subject, 0))
        last[place] = max(last[place], row.last_offset)
    return {key: Top(_best(views), last[key]) for key, views in candidates.items()}


def _best(views: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(views.items(), key=lambda item: (-item[1], item[0]))[:TOP])
