from dataclasses import dataclass

from processors.counting import NOTHING, Key, Row, RowCache, add, following, group
from processors.decoding import Clicks

TEN_SECONDS = 10_000


def clicks(*rows: tuple[int, int, int, int]) -> Clicks:
    """Clicks from (partition, offset, product, milliseconds)."""
    partitions, offsets, subjects, viewed_ms = (list(column) for column in zip(*rows, strict=True))
    return Clicks(partitions, offsets, subjects, viewed_ms)


@dataclass
class Counts:
    """Rows as a store would keep them, fed with batches."""

    rows: dict[Key, Row]

    def count(self, batch: Clicks) -> None:
        groups = group(batch, TEN_SECONDS)
        self.rows |= add({key: self.rows.get(key, NOTHING) for key in groups}, groups)


def test_views_of_one_product_in_one_window_are_one_row() -> None:
    found = group(clicks((0, 5, 7, 1_000), (0, 6, 7, 9_999), (0, 7, 7, 10_000)), TEN_SECONDS)
    assert found == {Key(7, 0, 0): [5, 6], Key(7, 10_000, 0): [7]}


def test_each_partition_counts_in_a_row_of_its_own() -> None:
    found = group(clicks((0, 5, 7, 1_000), (1, 5, 7, 1_000)), TEN_SECONDS)
    assert found == {Key(7, 0, 0): [5], Key(7, 0, 1): [5]}


def test_a_click_before_1970_falls_into_the_window_that_contains_it() -> None:
    assert list(group(clicks((0, 0, 7, -1)), TEN_SECONDS)) == [Key(7, -10_000, 0)]


def test_a_late_click_counts_in_its_own_window() -> None:
    counts = Counts({})
    counts.count(clicks((0, 0, 7, 5_000), (0, 1, 7, 65_000), (0, 2, 7, 6_000)))
    assert counts.rows == {Key(7, 0, 0): Row(2, 2), Key(7, 60_000, 0): Row(1, 1)}


def test_counting_a_batch_twice_changes_nothing() -> None:
    once, twice = Counts({}), Counts({})
    batch = clicks((0, 0, 7, 0), (0, 1, 8, 0), (1, 0, 7, 0), (0, 2, 7, 0))
    once.count(batch)
    twice.count(batch)
    twice.count(batch)
    assert twice == once


def test_a_batch_that_was_half_counted_is_completed() -> None:
    counts = Counts({Key(7, 0, 0): Row(3, 11)})
    counts.count(clicks((0, 10, 7, 0), (0, 11, 7, 0), (0, 12, 7, 0), (0, 15, 7, 0)))
    assert counts.rows == {Key(7, 0, 0): Row(5, 15)}


def test_a_row_that_is_ahead_of_the_batch_is_not_written() -> None:
    key = Key(7, 0, 0)
    assert add({key: Row(9, 20)}, {key: [18, 19, 20]}) == {}


def test_the_offset_after_the_last_of_each_partition_is_committed() -> None:
    assert following([0, 1, 0], [5, 9, 8]) == {0: 9, 1: 10}


def test_the_cache_keeps_the_rows_used_last() -> None:
    cache = RowCache(most=2)
    first, second, third = (Key(product, 0, 0) for product in (1, 2, 3))
    cache.keep({first: Row(1, 0), second: Row(1, 1)})
    cache.known([first])
    cache.keep({third: Row(1, 2)})
    assert cache.known([first, second, third]) == {first: Row(1, 0), third: Row(1, 2)}
    cache.clear()
    assert len(cache) == 0
