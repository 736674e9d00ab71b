"""The most viewed products of a window: a short list that is exact without all products.

Counts only grow, so a product enters the list only when it has just been viewed. The new
list is the best of the old list and of the rows that a batch changes. A row that an
earlier worker wrote may be ahead of the batch. Then the list is ahead too, and it may only
be written when counting has reached the list's last offset.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from processors.counts.aggregate import CountKey, CountRow
from schemas.count_tables import TOP


class TopKey(NamedTuple):
    """The key of a list: the window's start in milliseconds of UTC, the Kafka partition."""

    window_ms: int
    partition: int


class TopProducts(NamedTuple):
    """Pairs of product and views, most viewed first; the offset of the last event counted."""

    products: tuple[tuple[int, int], ...]
    last_offset: int


EMPTY_TOP = TopProducts((), -1)


def top_keys(count_keys: Iterable[CountKey]) -> set[TopKey]:
    """Return the keys of the lists that these rows may change."""
    return {TopKey(key.window_ms, key.partition) for key in count_keys}


def update_tops(
    tops: Mapping[TopKey, TopProducts], rows: Mapping[CountKey, CountRow]
) -> dict[TopKey, TopProducts]:
    """Return the lists after these rows. `tops` has every key that `top_keys` names."""
    views = {key: dict(top.products) for key, top in tops.items()}
    last_offsets = {key: top.last_offset for key, top in tops.items()}
    for key, row in rows.items():
        top_key = TopKey(key.window_ms, key.partition)
        listed_views = views[top_key].get(key.subject, 0)
        views[top_key][key.subject] = max(row.views, listed_views)
        last_offsets[top_key] = max(last_offsets[top_key], row.last_offset)
    return {key: TopProducts(_most_viewed(views[key]), last_offsets[key]) for key in views}


def _most_viewed(views: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """Sort by descending views, then by ascending product id."""
    ranking = sorted(views.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ranking[:TOP])
