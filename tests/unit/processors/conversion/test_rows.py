"""The rows of the conversion in Cassandra: a conversion once found cannot be taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from processors.conversion.interval_join import Orders, Views
from processors.conversion.rows import ConversionRows, minute_ranges, select_orders
from processors.runtime.write_timestamp import write_time
from schemas.errors import Unavailable

NOON_MS = 1_772_366_400_000
MINUTE_MS = 60_000

Statement = tuple[str, list[tuple[Any, ...]]]


@dataclass
class Session:
    """Remembers the statements, and returns the given answers."""

    answers: list[Any] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    durable_statements: list[Statement] = field(default_factory=list)
    survives: bool = True

    def prepare(self, cql: str) -> str:
        return cql

    def execute_each(
        self, prepared: str, arguments: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        self.statements.append((prepared, list(arguments)))
        return self.answers

    def incarnation(self) -> int:
        return 7

    def make_durable(self, write_again: Callable[[], object], since: int) -> bool:
        self.durable_statements = list(self.statements)
        write_again()
        return since == 7 and self.survives


def conversion_rows(session: Any, generation: int = 1) -> ConversionRows:
    return ConversionRows(session, "shop", generation)


def orders_of(*columns: list[int]) -> Orders:
    return Orders(*np.array(columns, np.int64))


def test_a_conversion_wins_over_its_absence_and_a_generation_over_the_one_before() -> None:
    session = Session()
    orders = orders_of([1, 2], [7, 8], [5, 6], [NOON_MS + 59_000, NOON_MS])
    conversion_rows(session, 3).write_orders(orders, np.array([False, True]))
    ((statement, arguments),) = session.durable_statements
    assert statement.startswith(
        "INSERT INTO shop.conversion_by_minute (product_id, minute, order_id, converted, "
        "user_id, ordered_at)"
    )
    assert arguments == [
        (7, NOON_MS, 1, 0, 5, NOON_MS + 59_000, write_time(3, 0)),
        (8, NOON_MS, 2, 1, 6, NOON_MS, write_time(3, 1)),
    ]
    assert write_time(2, 1) < write_time(3, 0) < write_time(3, 1)


def test_orders_that_cassandra_may_have_lost_in_a_crash_are_not_reported_as_written() -> (
    None
):
    rows = conversion_rows(Session(survives=False))
    with pytest.raises(Unavailable, match="Cassandra restarted"):
        rows.write_orders(orders_of([1], [7], [5], [NOON_MS]), np.array([True]))


def test_open_orders_are_read_where_a_view_may_have_preceded_them() -> None:
    noon = datetime(2026, 3, 1, 12)
    open_order = (1, 0, 5, noon)
    converted_order = (2, 1, 5, noon)
    session = Session([[open_order, converted_order], []])
    views = Views(*np.array([[7, 8], [5, 5], [NOON_MS, NOON_MS + 30_000]], np.int64))
    orders = conversion_rows(session).read_open_orders(views)
    assert orders.order.tolist() == [1]
    assert orders.product.tolist() == [7]
    assert orders.user.tolist() == [5]
    assert orders.ordered_ms.tolist() == [NOON_MS]
    ((statement, arguments),) = session.statements
    assert statement == select_orders("shop")
    assert arguments == [
        (7, NOON_MS - MINUTE_MS, NOON_MS + 30 * MINUTE_MS),
        (8, NOON_MS, NOON_MS + 30 * MINUTE_MS),
    ]


def test_overlapping_ranges_of_a_product_are_read_once() -> None:
    minutes = np.array([500, 0, 29, 55, 0], np.int64)
    products = np.array([7, 7, 7, 7, 8], np.int64)
    views = Views(products, np.ones(5, np.int64), minutes * MINUTE_MS)
    ranges = [
        (product, first // MINUTE_MS, last // MINUTE_MS)
        for product, first, last in minute_ranges(views)
    ]
    assert ranges == [(7, -1, 85), (7, 499, 530), (8, -1, 30)]


def test_without_views_nothing_is_read() -> None:
    no_views = Views(*np.empty((3, 0), np.int64))
    session = Session()
    assert len(conversion_rows(session).read_open_orders(no_views)) == 0
    assert session.statements == []
