from random import Random

import pytest

from infra.bench.capture.order_changes import (
    CHANGES,
    DELETES,
    INSERTS,
    UPDATES,
    OrderChanges,
    Pace,
)


def test_each_transaction_changes_orders_that_exist_and_leaves_as_many() -> None:
    existing = {number for number in range(1, 4001) if number % 4 == 1}
    orders = OrderChanges(4000, 1, 4, Random(1))
    for _ in range(50):
        changes = orders.next_transaction()
        assert len({*changes.inserted, *changes.updated, *changes.deleted}) == CHANGES
        sizes = (len(changes.inserted), len(changes.updated), len(changes.deleted))
        assert sizes == (INSERTS, UPDATES, DELETES)
        assert existing.issuperset([*changes.updated, *changes.deleted])
        assert existing.isdisjoint(changes.inserted)
        existing = (existing | set(changes.inserted)) - set(changes.deleted)
        assert {order_id % 4 for order_id in existing} == {1}
    assert len(existing) == 1000


def test_connections_never_change_the_same_orders() -> None:
    first = OrderChanges(4000, 0, 4, Random(1)).next_transaction()
    second = OrderChanges(4000, 3, 4, Random(1)).next_transaction()
    assert {order_id % 4 for order_id in first.inserted} == {0}
    assert {order_id % 4 for order_id in second.inserted} == {3}


@pytest.mark.parametrize(
    ("sent", "now", "pause"),
    [(0, 100.0, 0.0), (1, 100.0, 0.5), (3, 101.2, 0.3), (1, 103, 0)],
)
def test_a_late_transaction_does_not_delay_the_next_ones(
    sent: int, now: float, pause: float
) -> None:
    assert Pace(100.0, 2.0).pause_seconds(sent, now) == pytest.approx(pause)


def test_without_a_rate_nothing_waits() -> None:
    assert Pace(100.0, 0.0).pause_seconds(1000, 100.0) == 0.0
