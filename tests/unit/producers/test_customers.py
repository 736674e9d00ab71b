from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from producers.customers import HANDS_OFF, Action, Known, learn, left_alone, next_action


def a_day(seed, actions=5000):
    """What happens in a shop of ten users and ten products that answers everything."""
    random, known, ids = Random(seed), Known(list(range(1, 11)), list(range(1, 11))), iter(range(1000, 100_000))
    for _ in range(actions):
        action = next_action(random, known)
        number = next(ids)
        learn(known, action, {"order_id": number, "id": number, "product_id": number})
        yield action, len(known.open_orders)


def test_the_same_seed_makes_the_same_day():
    assert list(a_day(7)) == list(a_day(7))
    assert list(a_day(7)) != list(a_day(8))


def test_every_habit_shows_in_a_day():
    habits = Counter(action.habit for action, _ in a_day(7))
    assert set(habits) == {"order", "complete", "cancel", "move", "join", "offer"}
    assert habits["order"] > habits["complete"] > habits["cancel"]


def test_open_orders_do_not_pile_up():
    assert max(waiting for _, waiting in a_day(7, 20_000)) < 1000


def test_an_order_is_ended_only_once():
    ended = [action.order_id for action, _ in a_day(7) if action.order_id]
    assert len(ended) == len(set(ended))


def test_an_empty_shop_first_gets_a_user_and_then_a_product():
    known, random = Known(), Random(1)
    first = next_action(random, known)
    learn(known, first, {"id": 1})
    second = next_action(random, known)
    learn(known, second, {"product_id": 1})
    assert (first.habit, second.habit) == ("join", "offer")
    assert known == Known([1], [1])


@pytest.mark.parametrize("answer", [None, {"order_id": 5, "completedAt": "2026-01-01T00:00:00Z", "status": "1"}])
def test_an_order_that_ended_or_that_the_shop_would_not_end_is_forgotten(answer):
    known = Known([1], [1], [5, 6])
    learn(known, Action("complete", "POST", "/orders/5/complete", None, 5), answer)
    assert known.open_orders == [6]


def test_an_order_that_the_shop_declined_is_not_remembered():
    known = Known([1], [1])
    learn(known, Action("order", "POST", "/orders", {"user_id": 1, "product_id": 1}), None)
    assert known.open_orders == []


def test_a_young_order_of_somebody_else_is_left_to_them():
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    orders = [
        {"order_id": 1, "orderedAt": (now - HANDS_OFF).isoformat()},
        {"order_id": 2, "orderedAt": (now - HANDS_OFF + timedelta(seconds=1)).isoformat()},
    ]
    assert left_alone(orders, now) == [1]
