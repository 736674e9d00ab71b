from dataclasses import dataclass, field

import numpy as np

from processors.clicks import Clicks
from processors.counting import NOTHING, Codes, Groups, Key, Row, add, group, numbered

TEN_SECONDS = 10_000


def clicks(*rows: tuple[int, int, int, int]) -> Clicks:
    """Clicks from (partition, offset, product, milliseconds)."""
    partition, offset, subject, viewed_ms = np.array(rows, np.int64).T
    return Clicks(partition, offset, subject, np.ones(len(rows), np.int64), viewed_ms)


def grouped(batch: Clicks, window_ms: int | None = TEN_SECONDS) -> Groups:
    return group(batch, numbered(batch.partition).with_kind(numbered(batch.subject)), window_ms)


def offsets(found: Groups) -> dict[Key, tuple[int, int, int]]:
    """Of each row: how many events, the first offset and the last."""
    return {key: rest for key, *rest in zip(found.keys, found.counts, found.first, found.last, strict=True)}  # type: ignore[misc]


@dataclass
class Counts:
    """Rows as a store would keep them, fed with batches."""

    rows: dict[Key, Row] = field(default_factory=dict)

    def count(self, batch: Clicks) -> None:
        groups = grouped(batch)
        self.rows |= add({key: self.rows.get(key, NOTHING) for key in groups.keys}, groups, batch, TEN_SECONDS)


def test_views_of_one_product_in_one_window_are_one_row() -> None:
    found = offsets(grouped(clicks((0, 5, 7, 1_000), (0, 6, 7, 9_999), (0, 7, 7, 10_000))))
    assert found == {Key(7, 0, 0): [2, 5, 6], Key(7, 10_000, 0): [1, 7, 7]}


def test_without_windows_all_views_of_a_product_are_one_row() -> None:
    found = offsets(grouped(clicks((0, 5, 7, 1_000), (0, 6, 7, 10**12), (0, 7, 8, 3)), None))
    assert found == {Key(7, 0, 0): [2, 5, 6], Key(8, 0, 0): [1, 7, 7]}


def test_each_partition_counts_in_a_row_of_its_own() -> None:
    found = offsets(grouped(clicks((0, 5, 7, 1_000), (1, 5, 7, 1_000))))
    assert found == {Key(7, 0, 0): [1, 5, 5], Key(7, 0, 1): [1, 5, 5]}


def test_windows_far_apart_and_many_products_are_counted_all_the_same() -> None:
    chance = np.random.default_rng(3)
    rows = [(int(p), at, int(s), int(t)) for at, (p, s, t) in enumerate(zip(*chance.integers(0, [[4], [10**15], [10**13]], (3, 500)), strict=True))]
    rows += [(p, 1000 + at, s, t) for at, (p, _, s, t) in enumerate(rows)]
    found = grouped(clicks(*rows))
    assert sum(found.counts) == 1000
    assert set(found.counts) == {2}
    assert [found.keys[place].subject for place in found.of_event.tolist()] == [subject for _, _, subject, _ in rows]


def test_a_click_before_1970_falls_into_the_window_that_contains_it() -> None:
    assert grouped(clicks((0, 0, 7, -1))).keys == [Key(7, -10_000, 0)]


def test_a_late_click_counts_in_its_own_window() -> None:
    counts = Counts()
    counts.count(clicks((0, 0, 7, 5_000), (0, 1, 7, 65_000), (0, 2, 7, 6_000)))
    assert counts.rows == {Key(7, 0, 0): Row(2, 2), Key(7, 60_000, 0): Row(1, 1)}


def test_counting_a_batch_twice_changes_nothing() -> None:
    once, twice = Counts(), Counts()
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
    batch = clicks((0, 18, 7, 0), (0, 19, 7, 0), (0, 20, 7, 0))
    assert add({Key(7, 0, 0): Row(9, 20)}, grouped(batch), batch, TEN_SECONDS) == {}


def test_kinds_that_would_make_a_huge_table_are_numbered() -> None:
    one, other = numbered(np.arange(10_000)), numbered(np.arange(10_000))
    assert one.with_kind(other).size == 10_000
    assert Codes(np.array([0, 1]), 2).with_kind(Codes(np.array([1, 0]), 2)).of_event.tolist() == [1, 2]
