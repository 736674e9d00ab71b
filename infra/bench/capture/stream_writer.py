"""A writer of the stream benchmark: a process with some connections that change orders.

Run as `python -m infra.bench.capture.stream_writer <task>`, with JSON. It answers each line of its
input, a rate in changes per second (0: as fast as it can) and seconds, with the changes that it had
committed by certain monotonic times since its start.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

from connectors.mysql import client as mysql
from connectors.mysql.client import Connection
from connectors.retry import RetryPolicy
from connectors.runtime import settings
from connectors.runtime.settings import Settings
from infra.bench.capture.order_changes import CHANGES, OrderChanges, OrderTransaction, Pace
from schemas.shop_tables import quoted

# Commits between two entries of the answer are within this time.
ENTRY_SECONDS = 0.05
# After a deadlock or a timeout MySQL has rolled the transaction back.
RETRY = RetryPolicy(timeout_seconds=30)


class CommitCount:
    """The changes committed so far, by time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = 0
        self._times: list[float] = []
        self._values: list[int] = []

    def add(self) -> None:
        """Note that a transaction is committed."""
        with self._lock:
            self._changes += CHANGES
            now = time.monotonic()
            if not self._times or now - self._times[-1] >= ENTRY_SECONDS:
                self._add_entry(now)

    def take_entries(self) -> dict[str, Sequence[float]]:
        """Return the entries since the last time, with one of now."""
        with self._lock:
            self._add_entry(time.monotonic())
            entries: dict[str, Sequence[float]] = {
                "times": self._times,
                "values": self._values,
            }
            self._times = []
            self._values = []
        return entries

    def _add_entry(self, at: float) -> None:
        self._times.append(at)
        self._values.append(self._changes)


def write(connection: Connection, table: str, changes: OrderTransaction) -> None:
    """Execute a transaction. Raises Unavailable, SqlRefused."""
    name = quoted(table)
    inserted = ", ".join(
        f"({order_id}, {order_id % 100_000}, {order_id % 500}, NOW(), '0')"
        for order_id in changes.inserted
    )
    updated = ", ".join(map(str, changes.updated))
    deleted = ", ".join(map(str, changes.deleted))
    with connection.transaction():
        connection.execute(
            f"INSERT INTO {name} (order_id, user_id, product_id, orderedAt, status) "
            f"VALUES {inserted}"
        )
        connection.execute(
            f"UPDATE {name} SET status = IF(status = '0', '1', '0') "
            f"WHERE order_id IN ({updated})"
        )
        connection.execute(f"DELETE FROM {name} WHERE order_id IN ({deleted})")


def main() -> None:
    """Answer until the input ends."""
    own_settings = settings.load(os.environ)
    task = json.loads(sys.argv[1])
    numbers = list(task["numbers"])
    count = CommitCount()
    connections = [_connect(own_settings) for _ in numbers]
    orders = [
        OrderChanges(task["rows"], number, task["connections"], Random(number))
        for number in numbers
    ]
    with ThreadPoolExecutor(len(numbers)) as pool:
        print("{}", flush=True)
        for line in sys.stdin:
            question = json.loads(line)
            begin = time.monotonic()
            pace = Pace(begin, question["rate"] / CHANGES / len(numbers))
            end = begin + question["seconds"]

            def run(index: int, pace: Pace = pace, end: float = end) -> None:
                _write_until(
                    connections[index], task["table"], orders[index], pace, end, count
                )

            list(pool.map(run, range(len(numbers))))
            print(json.dumps(count.take_entries()), flush=True)


def _write_until(
    connection: Connection,
    table: str,
    orders: OrderChanges,
    pace: Pace,
    end: float,
    count: CommitCount,
) -> None:
    sent = 0
    while True:
        pause = pace.pause_seconds(sent, time.monotonic())
        if time.monotonic() + pause >= end:
            time.sleep(max(end - time.monotonic(), 0.0))
            return
        time.sleep(pause)
        RETRY.call(partial(write, connection, table, orders.next_transaction()))
        count.add()
        sent += 1


def _connect(own_settings: Settings) -> Connection:
    login = own_settings.login("mysql.shop")
    connection = mysql.connect(own_settings.mysql, login, own_settings.mysql.database)
    # Without locks of the gaps between rows, into which another connection inserts.
    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    return connection


if __name__ == "__main__":
    main()
