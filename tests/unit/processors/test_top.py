import random
from collections import Counter

from processors.counting import Key, Row
from processors.top import NO_PRODUCTS, Top, TopKey, keys_of, ranked
from schemas.views import TOP

NOW = TopKey(0, 3)


def test_the_most_viewed_products_stand_first_and_equals_in_their_order() -> None:
    changed = {Key(7, 0, 3): Row(2, 10), Key(9, 0, 3): Row(5, 11), Key(8, 0, 3): Row(2, 12)}
    assert ranked({NOW: NO_PRODUCTS}, changed) == {NOW: Top(((9, 5), (7, 2), (8, 2)), 12)}


def test_each_window_and_partition_has_its_list() -> None:
    changed = {Key(7, 0, 3): Row(2, 10), Key(7, 10_000, 3): Row(1, 11)}
    assert keys_of(changed) == {TopKey(0, 3), TopKey(10_000, 3)}


def test_what_is_repeated_takes_nothing_back() -> None:
    before = Top(((9, 5), (7, 2)), 12)
    assert ranked({NOW: before}, {Key(9, 0, 3): Row(4, 9)}) == {NOW: before}


def test_the_list_is_the_best_of_all_products_although_it_knows_few() -> None:
    chance, views, top = random.Random(5), Counter[int](), NO_PRODUCTS
    for offset in range(3000):
        product = int(200 * chance.random() ** 2)
        views[product] += 1
        top = ranked({NOW: top}, {Key(product, 0, 3): Row(views[product], offset)})[NOW]
    assert list(top.products) == sorted(views.items(), key=lambda item: (-item[1], item[0]))[:TOP]
