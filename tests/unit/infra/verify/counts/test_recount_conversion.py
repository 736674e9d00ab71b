"""The recount of the conversion against tables of expectations."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from infra.verify.counts.differences import ViewOutcome
from infra.verify.counts.event_groups import Events
from infra.verify.counts.recount_conversion import (
    CommittedOffsets,
    ConversionRows,
    Orders,
    compare,
)

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
SECOND = 1000

Event = tuple[int, int, int, int]  # offset, subject, user, viewed_at in ms


def columns(rows: Iterable[tuple[int, ...]], names: list[str]) -> dict[str, Any]:
    values = list(zip(*rows, strict=True)) or [()] * len(names)
    return {
        name: np.array(column, np.int64) for name, column in zip(names, values, strict=True)
    }


def texts(outcome: ViewOutcome) -> list[str]:
    assert outcome.differing == len(outcome.differences)
    return [difference.text() for difference in outcome.differences]


# Orders of product 7: by user 1 at 12:30:00, by user 2, who viewed it a millisecond too early, and
# by user 3, who viewed it within the order's second.
HALF_PAST = NOON + 30 * 60 * SECOND
PLACED = [
    (0, 100, 1, 1, 7, HALF_PAST),
    (0, 101, 2, 2, 7, HALF_PAST + 1000),
    (0, 103, 3, 3, 7, HALF_PAST),
]
VIEWS: dict[int, list[Event]] = {
    2: [
        (10, 7, 1, NOON),
        (11, 7, 2, NOON + 999),
        (12, 7, 3, HALF_PAST + 999),
        (13, 7, 2, HALF_PAST + 2000),
    ]
}
CONVERTED = [
    (7, HALF_PAST, 1, 1, 1, HALF_PAST),
    (7, HALF_PAST, 2, 0, 2, HALF_PAST + 1000),
    (7, HALF_PAST, 3, 1, 3, HALF_PAST),
]
ROW_NAMES = ["products", "minutes", "orders", "flags", "users", "ordered_ms"]
ORDER_NAMES = ["partitions", "offsets", "orders", "users", "products", "ordered_ms"]
BOTH = CommittedOffsets({0: 104}, {2: 14})
ORDER = "conversion_by_minute product 7 minute 2026-01-01T12:30:00Z order"


def conversion(
    stored: list[tuple[int, ...]],
    committed: CommittedOffsets = BOTH,
    placed: list[tuple[int, ...]] = PLACED,
) -> ViewOutcome:
    log = {
        partition: Events(**columns(views, ["offsets", "subjects", "users", "viewed_ms"]))
        for partition, views in VIEWS.items()
    }
    return compare(
        ConversionRows(**columns(stored, ROW_NAMES)),
        Orders(**columns(placed, ORDER_NAMES)),
        "cdc.eCommerce.orders",
        log,
        committed,
    )


def test_orders_that_a_view_of_the_buyer_preceded_are_converted() -> None:
    outcome = conversion(CONVERTED)
    assert (texts(outcome), outcome.rows, outcome.events) == ([], 3, 3)


@pytest.mark.parametrize("place, log", [(0, 1), (1, 0), (2, 1)])
def test_a_converted_flag_that_is_wrong_is_named(place: int, log: int) -> None:
    stored = [
        (*row[:3], 1 - row[3], *row[4:]) if place == number else row
        for number, row in enumerate(CONVERTED)
    ]
    [found] = texts(conversion(stored))
    order = PLACED[place]
    assert (
        found
        == f"{ORDER} {order[2]}: Cassandra converted {1 - log}, log converted {log} (up to "
        f"offset {order[1]} of cdc.eCommerce.orders[0])"
    )


def test_while_a_view_is_not_committed_its_order_may_be_converted_or_not() -> None:
    either = [(*CONVERTED[0][:3], 0, *CONVERTED[0][4:]), *CONVERTED[1:]]
    assert texts(conversion(either, CommittedOffsets({0: 104}, {2: 10}))) == []
    assert texts(conversion(CONVERTED, CommittedOffsets({0: 104}, {2: 10}))) == []
    assert len(texts(conversion(either, CommittedOffsets({0: 104}, {2: 11})))) == 1


def test_an_order_without_its_row_is_named_once_it_is_committed() -> None:
    assert texts(conversion(CONVERTED[:2], CommittedOffsets({0: 103}, {}))) == []
    assert texts(conversion(CONVERTED[:2])) == [
        f"{ORDER} 3: Cassandra has no row, log converted 1 user_id 3 ordered_at "
        "2026-01-01T12:30:00Z (up to offset 103 of cdc.eCommerce.orders[0])"
    ]


def test_a_row_of_an_order_that_nobody_placed_is_named() -> None:
    stored = [*CONVERTED, (7, HALF_PAST, 4, 1, 4, HALF_PAST)]
    assert texts(conversion(stored)) == [
        f"{ORDER} 4: Cassandra converted 1 user_id 4 ordered_at 2026-01-01T12:30:00Z, log "
        "nothing (cdc.eCommerce.orders has no event of it)"
    ]


def test_an_order_that_the_log_holds_twice_has_one_row_and_a_wrong_buyer_is_named() -> None:
    twice = [*PLACED, (0, 104, *PLACED[0][2:])]
    assert texts(conversion(CONVERTED, replace(BOTH, orders={0: 105}), twice)) == []
    stored = [(*CONVERTED[0][:4], 9, CONVERTED[0][5]), *CONVERTED[1:]]
    [found] = texts(conversion(stored))
    assert "Cassandra user_id 9, log user_id 1 " in found


def test_with_no_orders_and_no_rows_nothing_differs() -> None:
    assert texts(conversion([], placed=[])) == []
    outcome = compare(
        ConversionRows(**columns([], ROW_NAMES)),
        Orders(**columns(PLACED, ORDER_NAMES)),
        "cdc.eCommerce.orders",
        {},
        CommittedOffsets({}, {}),
    )
    assert texts(outcome) == []
