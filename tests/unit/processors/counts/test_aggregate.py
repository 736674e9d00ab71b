from dataclasses import dataclass, field

import numpy as np

from processors.counts.aggregate import (
    EMPTY_ROW,
    CountKey,
    CountRow,
    EventGroups,
    GroupIds,
    add_to_rows,
    factorize,
    group_by_subject,
    group_events,
)
from processors.decoding.clicks import Clicks

TEN_SECONDS = 10_000
KEY = CountKey(7, 0, 0)


def clicks(*rows: tuple[int, int, int, int]) -> Clicks:
    """Return clicks from (partition, offset, product, milliseconds)."""
    partition, offset, subject, viewed_ms = np.array(rows, np.int64).T
    return Clicks(partition, offset, subject, np.ones(len(rows), np.int64), viewed_ms)


def grouped(batch: Clicks, window_ms: int | None = TEN_SECONDS) -> EventGroups:
    return group_events(batch, group_by_subject(batch), window_ms)


def counts_and_offsets(groups: EventGroups) -> dict[CountKey, tuple[int, int, int]]:
    """Return the number of events, the first and the last offset of each row."""
    figures = zip(groups.counts, groups.first_offsets, groups.last_offsets, strict=True)
    return dict(zip(groups.keys, figures, strict=True))


@dataclass
class Counts:
    """Rows as a store keeps them."""

    rows: dict[CountKey, CountRow] = field(default_factory=dict)

    def count(self, batch: Clicks) -> None:
        groups = grouped(batch)
        rows = {key: self.rows.get(key, EMPTY_ROW) for key in groups.keys}
        self.rows |= add_to_rows(rows, groups, batch, TEN_SECONDS)


def test_views_of_one_product_in_one_window_are_one_row() -> None:
    groups = grouped(clicks((0, 5, 7, 1_000), (0, 6, 7, 9_999), (0, 7, 7, 10_000)))
    assert counts_and_offsets(groups) == {
        CountKey(7, 0, 0): (2, 5, 6),
        CountKey(7, 10_000, 0): (1, 7, 7),
    }


def test_without_windows_all_views_of_a_product_are_one_row() -> None:
    batch = clicks((0, 5, 7, 1_000), (0, 6, 7, 10**12), (0, 7, 8, 3))
    assert counts_and_offsets(grouped(batch, None)) == {
        CountKey(7, 0, 0): (2, 5, 6),
        CountKey(8, 0, 0): (1, 7, 7),
    }


def test_each_partition_counts_in_a_row_of_its_own() -> None:
    groups = grouped(clicks((0, 5, 7, 1_000), (1, 5, 7, 1_000)))
    assert counts_and_offsets(groups) == {
        CountKey(7, 0, 0): (1, 5, 5),
        CountKey(7, 0, 1): (1, 5, 5),
    }


def test_windows_far_apart_and_many_products_are_counted_all_the_same() -> None:
    chance = np.random.default_rng(3)
    limits = [[4], [10**15], [10**13]]
    partitions, subjects, times = chance.integers(0, limits, (3, 500)).tolist()
    rows = list(zip(partitions, range(500), subjects, times, strict=True))
    rows += list(zip(partitions, range(1000, 1500), subjects, times, strict=True))
    groups = grouped(clicks(*rows))
    assert sum(groups.counts) == 1000
    assert set(groups.counts) == {2}
    subject_of_event = [groups.keys[row].subject for row in groups.row_of_event.tolist()]
    assert subject_of_event == subjects * 2


def test_a_click_before_1970_falls_into_the_window_that_contains_it() -> None:
    assert grouped(clicks((0, 0, 7, -1))).keys == [CountKey(7, -10_000, 0)]


def test_a_late_click_counts_in_its_own_window() -> None:
    counts = Counts()
    counts.count(clicks((0, 0, 7, 5_000), (0, 1, 7, 65_000), (0, 2, 7, 6_000)))
    assert counts.rows == {KEY: CountRow(2, 2), CountKey(7, 60_000, 0): CountRow(1, 1)}


def test_counting_a_batch_twice_changes_nothing() -> None:
    once = Counts()
    twice = Counts()
    batch = clicks((0, 0, 7, 0), (0, 1, 8, 0), (1, 0, 7, 0), (0, 2, 7, 0))
    once.count(batch)
    twice.count(batch)
    twice.count(batch)
    assert twice == once


def test_a_batch_that_was_half_counted_is_completed() -> None:
    counts = Counts({KEY: CountRow(3, 11)})
    counts.count(clicks((0, 10, 7, 0), (0, 11, 7, 0), (0, 12, 7, 0), (0, 15, 7, 0)))
    assert counts.rows == {KEY: CountRow(5, 15)}


def test_a_row_that_is_ahead_of_the_batch_is_not_written() -> None:
    batch = clicks((0, 18, 7, 0), (0, 19, 7, 0), (0, 20, 7, 0))
    rows = {KEY: CountRow(9, 20)}
    assert add_to_rows(rows, grouped(batch), batch, TEN_SECONDS) == {}


def test_few_combinations_of_many_ids_are_numbered_anew() -> None:
    first = factorize(np.arange(10_000))
    second = factorize(np.arange(10_000))
    assert first.combine(second).size == 10_000


def test_combined_ids_tell_the_combinations_apart() -> None:
    first = GroupIds(np.array([0, 1]), 2)
    second = GroupIds(np.array([1, 0]), 2)
    assert first.combine(second).of_event.tolist() == [1, 2]
