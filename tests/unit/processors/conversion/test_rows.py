"""The rows of the conversion in Cassandra: a conversion once found cannot be taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from infra.errors import Unavailable
from processors.conversion_rows import ConversionRows, select_orders, stretches
from processors.join import Orders, Views
from schemas.views import write_time

NOON_MS, MINUTE_MS = 1_772_366_400_000, 60_000


@dataclass
class Session:
    """Remembers what it was asked, and answers with what it was given."""

    answers: list[Any] = field(default_factory=list)
    asked: list[tuple[str, list[tuple[Any, ...]]]] = field(default_factory=list)
    written: list[tuple[str, list[tuple[Any, ...]]]] = field(default_factory=list)
    survives: bool = True

    def prepare(self, cql: str) -> str:
        return cql

    def each(self, prepared: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        self.asked.append((prepared, list(arguments)))
        return self.answers

    def incarnation(self) -> int:
        return 7

    def make_durable(self, write_again: Callable[[], object], since: int) -> bool:
        self.written = list(self.asked)
        write_again()
        return since == 7 and self.survives


def rows(session: Session, generation: int = 1) -> ConversionRows:
    return ConversionRows(session, "shop", generation)  # type: ignore[arg-type]


def test_a_conversion_is_written_later_than_its_absence_and_a_generation_later_than_the_one_before() -> None:
    session = Session()
    orders = Orders(*np.array([[1, 2], [7, 8], [5, 6], [NOON_MS + 59_000, NOON_MS]], np.int64))
    rows(session, 3).write(orders, np.array([False, True]))
    ((statement, arguments),) = session.written
    assert statement.startswith("INSERT INTO shop.conversion_by_minute (product_id, minute, order_id, converted, user_id, ordered_at)")
    assert arguments == [
        (7, NOON_MS, 1, 0, 5, NOON_MS + 59_000, write_time(3, 0)),
        (8, NOON_MS, 2, 1, 6, NOON_MS, write_time(3, 1)),
    ]
    assert write_time(2, 1) < write_time(3, 0) < write_time(3, 1)


def test_orders_that_cassandra_may_have_lost_when_it_died_are_not_written() -> None:
    orders = Orders(*np.array([[1], [7], [5], [NOON_MS]], np.int64))
    with pytest.raises(Unavailable, match="started anew"):
        rows(Session(survives=False)).write(orders, np.array([True]))


def test_orders_are_sought_where_a_view_may_have_preceded_them_and_converted_ones_are_left_out() -> None:
    noon = datetime(2026, 3, 1, 12)
    session = Session([[(1, 0, 5, noon), (2, 1, 5, noon)], []])
    found = rows(session).open_orders(Views(*np.array([[7, 8], [5, 5], [NOON_MS, NOON_MS + 30_000]], np.int64)))
    assert [column.tolist() for column in (found.order, found.product, found.user, found.ordered_ms)] == [[1], [7], [5], [NOON_MS]]
    ((statement, arguments),) = session.asked
    assert statement == select_orders("shop")
    assert arguments == [(7, NOON_MS - MINUTE_MS, NOON_MS + 30 * MINUTE_MS), (8, NOON_MS, NOON_MS + 30 * MINUTE_MS)]


def test_stretches_of_a_product_that_overlap_are_asked_for_once() -> None:
    minutes = np.array([500, 0, 29, 55, 0], np.int64)
    seen = Views(np.array([7, 7, 7, 7, 8], np.int64), np.ones(5, np.int64), minutes * MINUTE_MS)
    assert [(product, first // MINUTE_MS, last // MINUTE_MS) for product, first, last in stretches(seen)] == [(7, -1, 85), (7, 499, 530), (8, -1, 30)]


def test_where_nobody_looked_nothing_is_asked() -> None:
    session = Session()
    assert len(rows(session).open_orders(Views(*np.empty((3, 0), np.int64)))) == 0
    assert session.asked == []
