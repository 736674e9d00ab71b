from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from producers.customers import (
    ACTION_WEIGHTS,
    LEFT_ALONE,
    Action,
    ShopIds,
    learn,
    next_action,
    orders_to_adopt,
)


def a_day(seed: int, actions: int = 5000) -> Iterator[tuple[Action, int]]:
    """Yield actions in a shop of ten users and products, and the number of open orders."""
    random = Random(seed)
    ids = ShopIds(list(range(1, 11)), list(range(1, 11)))
    for new_id in range(1000, 1000 + actions):
        action = next_action(random, ids)
        learn(ids, action, {"order_id": new_id, "id": new_id, "product_id": new_id})
        yield action, len(ids.open_orders)


def test_the_same_seed_gives_the_same_day() -> None:
    assert list(a_day(7)) == list(a_day(7))
    assert list(a_day(7)) != list(a_day(8))


def test_every_kind_of_action_happens_in_a_day() -> None:
    kinds = Counter(action.kind for action, _ in a_day(7))
    assert set(kinds) == set(ACTION_WEIGHTS)
    assert kinds["order"] > kinds["complete"] > kinds["cancel"]


def test_the_number_of_open_orders_stays_small() -> None:
    assert max(open_orders for _, open_orders in a_day(7, 20_000)) < 1000


def test_an_order_is_ended_only_once() -> None:
    ended_orders = [action.order_id for action, _ in a_day(7) if action.order_id]
    assert len(ended_orders) > 1000
    assert len(ended_orders) == len(set(ended_orders))


def test_an_empty_shop_first_gets_a_user_and_then_a_product() -> None:
    ids = ShopIds()
    random = Random(1)
    first = next_action(random, ids)
    learn(ids, first, {"id": 1})
    second = next_action(random, ids)
    learn(ids, second, {"product_id": 1})
    assert first.kind == "join"
    assert second.kind == "offer"
    assert ids == ShopIds([1], [1])


COMPLETION = {"order_id": 5, "completedAt": "2026-01-01T00:00:00Z", "status": "1"}


@pytest.mark.parametrize("answer", [None, COMPLETION])
def test_an_order_that_ended_or_that_the_shop_would_not_end_is_forgotten(
    answer: Any,
) -> None:
    ids = ShopIds([1], [1], [5, 6])
    learn(ids, Action("complete", "POST", "/orders/5/complete", order_id=5), answer)
    assert ids.open_orders == [6]


def test_an_order_that_the_shop_declined_is_not_remembered() -> None:
    ids = ShopIds([1], [1])
    order = Action("order", "POST", "/orders", {"user_id": 1, "product_id": 1})
    learn(ids, order, None)
    assert ids.open_orders == []


def test_a_recent_order_of_somebody_else_is_left_alone() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    old_enough = now - LEFT_ALONE
    too_recent = old_enough + timedelta(seconds=1)
    orders = [
        {"order_id": 1, "orderedAt": old_enough.isoformat()},
        {"order_id": 2, "orderedAt": too_recent.isoformat()},
    ]
    assert orders_to_adopt(orders, now) == [1]
