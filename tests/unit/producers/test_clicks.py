from collections import Counter
from random import Random

import fastavro
import pytest

from producers.clicks import Audience, Click, create_audience, next_click
from schemas import topics
from schemas.events import CONTRACTS

START_MS = 1_767_225_600_000
OPEN_ORDERS = ((70, 3), (71, 4))


def audience(open_orders: tuple[tuple[int, int], ...] = OPEN_ORDERS) -> Audience:
    return create_audience(1, [1, 2, 3, 4], list(range(1, 101)), open_orders)


def clicks(seed: int, count: int, audience: Audience) -> list[Click]:
    random = Random(seed)
    return [
        next_click(random, audience, f"event {number}", START_MS + number)
        for number in range(count)
    ]


def test_the_same_seed_gives_the_same_clicks() -> None:
    assert clicks(7, 500, audience()) == clicks(7, 500, audience())
    assert clicks(7, 500, audience()) != clicks(8, 500, audience())


def test_popular_products_are_viewed_more_often() -> None:
    viewers = audience(open_orders=())
    views = Counter(click.record["product_id"] for click in clicks(7, 20_000, viewers))
    first, tenth, last = (views[viewers.products[rank]] for rank in (0, 9, 99))
    assert first > 5 * tenth > 5 * 2 * last > 0


def test_the_popularity_of_a_product_does_not_depend_on_its_id() -> None:
    assert audience().products != tuple(range(1, 101))


def test_a_new_product_leaves_the_order_of_the_others_as_it_was() -> None:
    before = audience().products
    after = create_audience(1, [1], list(range(1, 102)), []).products
    assert tuple(product for product in after if product != 101) == before


def test_an_order_is_checked_by_the_user_who_placed_it() -> None:
    checks = set()
    for click in clicks(7, 1000, audience()):
        if click.topic == topics.ORDER_VIEW:
            checks.add((click.record["order_id"], click.record["user_id"]))
    assert checks == set(OPEN_ORDERS)


def test_without_open_orders_only_products_are_viewed() -> None:
    click_topics = {click.topic for click in clicks(7, 1000, audience(open_orders=()))}
    assert click_topics == {topics.PRODUCT_VIEW}


def test_an_empty_shop_has_no_audience() -> None:
    assert not Audience().ready
    assert not create_audience(1, [1], [], []).ready


@pytest.mark.parametrize("topic", topics.CLICK_TOPICS)
def test_a_click_fits_the_contract_of_its_topic(topic: str) -> None:
    schema = fastavro.parse_schema(dict(CONTRACTS[topic]))
    records = [click.record for click in clicks(7, 200, audience()) if click.topic == topic]
    assert records
    assert all(fastavro.validate(record, schema, strict=True) for record in records)


def test_a_click_is_keyed_by_the_decimal_text_of_its_subject() -> None:
    assert Click(topics.PRODUCT_VIEW, {"product_id": 42}).key == b"42"
    assert Click(topics.ORDER_VIEW, {"order_id": 7, "user_id": 1}).key == b"7"
