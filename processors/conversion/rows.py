"""The rows of `conversion_by_minute` in Cassandra.

A row that says 1 always wins over one that says 0, in any order of writing.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from connectors.cassandra.client import Session
from processors.conversion.interval_join import (
    AFTER_MS,
    BEFORE_MS,
    NO_ORDERS,
    Flags,
    Ints,
    Orders,
    Views,
    concatenate,
)
from processors.runtime.write_timestamp import write_time
from schemas import count_tables
from schemas.errors import Unavailable

EPOCH = datetime(1970, 1, 1)
MILLISECOND = timedelta(milliseconds=1)
QUERIES_PER_REQUEST = 1000


class MinuteRange(NamedTuple):
    """The minutes of a product to read, both included, in milliseconds of UTC.

    Also the arguments of the statement of `select_orders`.
    """

    product: int
    first_minute: int
    last_minute: int


class ConversionRows:
    """Reads and writes the rows of one generation.

    Every method raises Refused and Unavailable, as the session does.
    """

    def __init__(self, session: Session, keyspace: str, generation: int) -> None:
        self._session = session
        self._generation = generation
        upsert = count_tables.upsert(count_tables.CONVERSION, keyspace)
        self._upsert = session.prepare(upsert)
        self._select = session.prepare(select_orders(keyspace))

    def write_orders(self, orders: Orders, converted: Flags) -> None:
        """Write a row per order; returns when all rows would survive a crash of Cassandra.

        Writing them again, in any order, changes nothing. Raises Unavailable also if
        Cassandra restarted in between, so that some rows may be lost.
        """
        if not len(orders):
            return
        flags = converted.astype(np.int64)
        write_times = [write_time(self._generation, flag) for flag in flags.tolist()]
        columns = (
            orders.product.tolist(),
            _minute(orders.ordered_ms).tolist(),
            orders.order.tolist(),
            flags.tolist(),
            orders.user.tolist(),
            orders.ordered_ms.tolist(),
            write_times,
        )
        rows = list(zip(*columns, strict=True))
        incarnation = self._session.incarnation()
        self._session.execute_each(self._upsert, rows)
        is_durable = self._session.make_durable(
            lambda: self._session.execute_each(self._upsert, rows[-1:]), incarnation
        )
        if not is_durable:
            raise Unavailable(
                "Cassandra restarted while orders were written",
                "they are written again",
            )

    def read_open_orders(self, views: Views) -> Orders:
        """Return unconverted orders that one of the views may have preceded."""
        orders = NO_ORDERS
        ranges = minute_ranges(views)
        for start in range(0, len(ranges), QUERIES_PER_REQUEST):
            chunk = ranges[start : start + QUERIES_PER_REQUEST]
            answers = self._session.execute_each(self._select, chunk)
            rows = []
            for minute_range, answer in zip(chunk, answers, strict=True):
                for order, converted, user, ordered_at in answer:
                    if not converted:
                        ordered_ms = (ordered_at - EPOCH) // MILLISECOND
                        rows.append((order, minute_range.product, user, ordered_ms))
            columns = np.array(rows, np.int64).reshape(-1, 4).T
            orders = concatenate(orders, Orders(*columns))
        return orders


def select_orders(keyspace: str) -> str:
    """Return the statement that reads the orders of a product.

    Its arguments are the product, the first and the last minute.
    """
    table = count_tables.CONVERSION
    product, minute, order = (column.name for column in table.key)
    values = ", ".join(column.name for column in table.values)
    return (
        f"SELECT {order}, {values} FROM {keyspace}.{table.name} WHERE "
        f"{product} = ? AND {minute} >= ? AND {minute} <= ?"
    )


def minute_ranges(views: Views) -> list[MinuteRange]:
    """Return the minutes of the orders that the views may have preceded.

    Overlapping ranges of a product are joined.
    """
    if not len(views):
        return []
    order = np.lexsort((views.viewed_ms, views.product))
    product = views.product[order]
    first_ms = views.viewed_ms[order] - AFTER_MS
    last_ms = views.viewed_ms[order] + BEFORE_MS
    is_new_range = product[1:] != product[:-1]
    is_new_range |= first_ms[1:] > last_ms[:-1]
    starts = np.flatnonzero(np.append(True, is_new_range))
    ends = np.append(starts[1:], len(order)) - 1
    columns = zip(
        product[starts].tolist(),
        _minute(first_ms[starts]).tolist(),
        _minute(last_ms[ends]).tolist(),
        strict=True,
    )
    return [MinuteRange(*values) for values in columns]


def _minute(at_ms: Ints) -> Ints:
    return at_ms - at_ms % count_tables.MINUTE_MS
