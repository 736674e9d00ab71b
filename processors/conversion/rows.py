"""The rows of `conversion_by_minute` in Cassandra: 1 always wins over 0, whoever writes it and whenever."""

from datetime import datetime, timedelta

import numpy as np

from connectors.cassandra import Session
from infra.errors import Unavailable
from processors.join import AFTER_MS, BEFORE_MS, NO_ORDERS, Flags, Ints, Orders, Views, together
from schemas import views

EPOCH = datetime(1970, 1, 1)
MILLISECOND = timedelta(milliseconds=1)
# Stretches of time of one product that are asked for at once.
ASKED_AT_ONCE = 1000

Stretch = tuple[int, int, int]


class ConversionRows:
    """Reads and writes the rows of one generation. Raises Refused and Unavailable, as the session does."""

    def __init__(self, session: Session, keyspace: str, generation: int) -> None:
        self._session, self._generation = session, generation
        self._upsert = session.prepare(views.upsert(views.CONVERSION, keyspace))
        self._select = session.prepare(select_orders(keyspace))

    def write(self, orders: Orders, converted: Flags) -> None:
        """Writes a row for each order; returns when all will outlast Cassandra's death. Writing them again, in any order, changes nothing.

        Raises Refused; Unavailable also if Cassandra was started anew meanwhile, so that some may be lost.
        """
        columns = (orders.product, _minute(orders.ordered_ms), orders.order, converted.astype(np.int64), orders.user, orders.ordered_ms)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        values = [(*row, views.write_time(self._generation, row[3])) for row in rows]
        if not values:
            return
        since = self._session.incarnation()
        self._session.each(self._upsert, values)
        if not self._session.make_durable(lambda: self._session.each(self._upsert, values[-1:]), since):
            raise Unavailable("Cassandra was started anew while orders were written", "they are written again")

    def open_orders(self, seen: Views) -> Orders:
        """The orders that are not converted yet of the products of some views, placed when the views may have preceded them."""
        found = NO_ORDERS
        asked = stretches(seen)
        for begin in range(0, len(asked), ASKED_AT_ONCE):
            part = asked[begin : begin + ASKED_AT_ONCE]
            answers = self._session.each(self._select, part)
            rows = [
                (order, product, user, (at - EPOCH) // MILLISECOND)
                for (product, _, _), answer in zip(part, answers, strict=True)
                for order, converted, user, at in answer
                if not converted
            ]
            found = together(found, Orders(*np.array(rows, np.int64).reshape(-1, 4).T))
        return found


def select_orders(keyspace: str) -> str:
    """The prepared statement that reads the orders of a product; its arguments are the product, the first and the last minute."""
    product, minute, order = (column.name for column in views.CONVERSION.key)
    values = ", ".join(column.name for column in views.CONVERSION.values)
    return f"SELECT {order}, {values} FROM {keyspace}.{views.CONVERSION.name} WHERE {product} = ? AND {minute} >= ? AND {minute} <= ?"


def stretches(seen: Views) -> list[Stretch]:
    """Products with the first and the last minute of orders that the views may have preceded; overlapping stretches in one."""
    if not len(seen):
        return []
    order = np.lexsort((seen.viewed_ms, seen.product))
    product, first, last = seen.product[order], seen.viewed_ms[order] - AFTER_MS, seen.viewed_ms[order] + BEFORE_MS
    begins = np.flatnonzero(np.append(True, (product[1:] != product[:-1]) | (first[1:] > last[:-1])))
    ends = np.append(begins[1:], len(order)) - 1
    return list(zip(product[begins].tolist(), _minute(first[begins]).tolist(), _minute(last[ends]).tolist(), strict=True))


def _minute(at_ms: Ints) -> Ints:
    return at_ms - at_ms % views.MINUTE_MS
