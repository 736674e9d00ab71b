import random
from collections import Counter

from processors.counts.aggregate import CountKey, CountRow
from processors.counts.top_products import (
    EMPTY_TOP,
    TopKey,
    TopProducts,
    top_keys,
    update_tops,
)
from schemas.count_tables import TOP

NOW = TopKey(0, 3)


def test_the_most_viewed_products_come_first_and_equals_by_ascending_id() -> None:
    rows = {
        CountKey(7, 0, 3): CountRow(2, 10),
        CountKey(9, 0, 3): CountRow(5, 11),
        CountKey(8, 0, 3): CountRow(2, 12),
    }
    expected = TopProducts(((9, 5), (7, 2), (8, 2)), 12)
    assert update_tops({NOW: EMPTY_TOP}, rows) == {NOW: expected}


def test_each_window_and_partition_has_its_list() -> None:
    keys = [CountKey(7, 0, 3), CountKey(7, 10_000, 3), CountKey(8, 0, 3)]
    assert top_keys(keys) == {TopKey(0, 3), TopKey(10_000, 3)}


def test_a_repeated_batch_takes_nothing_back() -> None:
    before = TopProducts(((9, 5), (7, 2)), 12)
    rows = {CountKey(9, 0, 3): CountRow(4, 9)}
    assert update_tops({NOW: before}, rows) == {NOW: before}


def test_the_list_is_the_best_of_all_products_although_it_knows_few() -> None:
    chance = random.Random(5)
    views = Counter[int]()
    top = EMPTY_TOP
    for offset in range(3000):
        product = int(200 * chance.random() ** 2)
        views[product] += 1
        rows = {CountKey(product, 0, 3): CountRow(views[product], offset)}
        top = update_tops({NOW: top}, rows)[NOW]
    ranking = sorted(views.items(), key=lambda item: (-item[1], item[0]))
    assert list(top.products) == ranking[:TOP]
