from collections import Counter
from random import Random

import fastavro
import pytest

from producers.clicks import Audience, Click, audience, next_click
from schemas import topics
from schemas.events import CONTRACTS


def an_audience(open_orders=((70, 3), (71, 4))):
    return audience(1, [1, 2, 3, 4], list(range(1, 101)), list(open_orders))


def clicks(seed, count, who):
    random = Random(seed)
    return [next_click(random, who, f"event {n}", 1_767_225_600_000 + n) for n in range(count)]


def test_the_same_seed_makes_the_same_clicks():
    assert clicks(7, 500, an_audience()) == clicks(7, 500, an_audience())
    assert clicks(7, 500, an_audience()) != clicks(8, 500, an_audience())


def test_popular_products_are_looked_at_more_often():
    who = an_audience(open_orders=())
    seen = Counter(click.record["product_id"] for click in clicks(7, 20_000, who))
    first, tenth, last = (seen[who.products[rank]] for rank in (0, 9, 99))
    assert first > 5 * tenth > 5 * 2 * last > 0


def test_popularity_has_nothing_to_do_with_ids():
    assert an_audience().products != tuple(range(1, 101))


def test_a_new_product_leaves_the_order_of_the_others_as_it_was():
    before = an_audience().products
    after = audience(1, [1], list(range(1, 102)), []).products
    assert tuple(product for product in after if product != 101) == before


def test_an_order_is_checked_by_the_user_who_placed_it():
    checks = [click.record for click in clicks(7, 1000, an_audience()) if click.topic == topics.ORDER_VIEW]
    assert {(check["order_id"], check["user_id"]) for check in checks} == {(70, 3), (71, 4)}


def test_without_open_orders_only_products_are_looked_at():
    assert {click.topic for click in clicks(7, 1000, an_audience(open_orders=()))} == {topics.PRODUCT_VIEW}


def test_nobody_clicks_in_an_empty_shop():
    assert not Audience().ready
    assert not audience(1, [1], [], []).ready


@pytest.mark.parametrize("topic", topics.CLICK_TOPICS)
def test_a_click_fits_the_contract_of_its_topic(topic):
    schema = fastavro.parse_schema(CONTRACTS[topic])
    of_topic = [click.record for click in clicks(7, 200, an_audience()) if click.topic == topic]
    assert of_topic
    for record in of_topic:
        fastavro.validate(record, schema, strict=True)


def test_a_click_is_keyed_by_the_decimal_text_of_what_it_is_about():
    assert Click(topics.PRODUCT_VIEW, {"product_id": 42}).key == b"42"
    assert Click(topics.ORDER_VIEW, {"order_id": 7, "user_id": 1}).key == b"7"
