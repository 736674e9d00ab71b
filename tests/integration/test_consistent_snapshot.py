"""Consistent snapshots of MySQL beside many writers."""

import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest

from connectors.mysql.client import Connection, connect, gtid_executed
from connectors.mysql.consistent_snapshot import snapshot
from connectors.runtime.settings import Settings
from schemas.gtid import gtid_set
from tests.conftest import Stack
from tests.integration.shadow import DATABASE, shadow

WRITERS = 6
COUNTERS = f"{DATABASE}.counters"


@pytest.fixture
def mysql(stack: Stack) -> Iterator[Connection]:
    """A connection, with a database that is removed afterwards."""
    with shadow(stack.settings) as (_, connection):
        yield connection


class CounterWriters:
    """Threads that each add 1 to their own row of a table, one transaction after the other.

    `seconds` are the durations of the transactions.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self.seconds = list[float]()
        self._threads = [
            threading.Thread(target=self._write, args=(place,)) for place in range(WRITERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, place: int) -> None:
        sql = f"UPDATE {COUNTERS} SET number = number + 1 WHERE id = %s"
        with connect(
            self._settings.mysql, self._settings.login("mysql.admin")
        ) as connection:
            while not self._stop.is_set():
                begin = time.monotonic()
                connection.execute(sql, (place,))
                self.seconds.append(time.monotonic() - begin)


def test_a_snapshot_beside_many_writers_is_the_set_that_it_states_and_delays_no_writer(
    stack: Stack, mysql: Connection, quiet: None
) -> None:
    """The sum of the counters is the number of transactions that a snapshot sees."""
    mysql.execute("SET sql_log_bin = 1")
    mysql.execute(f"CREATE TABLE {COUNTERS} (id INT PRIMARY KEY, number INT NOT NULL)")
    counters = ", ".join(f"({place}, 0)" for place in range(WRITERS))
    mysql.execute(f"INSERT INTO {COUNTERS} VALUES {counters}")
    settings = stack.settings
    base = transactions_in(gtid_executed(mysql))
    slow_query = threading.Thread(target=run_slow_query, args=(settings,))
    slow_query.start()
    try:
        with CounterWriters(settings) as writers:
            for _ in range(20):
                with snapshot(settings.mysql, settings.login("mysql.admin"), 2) as taken:
                    sums = [sum_of_counters(reader) for reader in taken.readers]
                    assert sums == [transactions_in(taken.gtids) - base] * 2
    finally:
        slow_query.join()
    assert len(writers.seconds) > 100
    assert sorted(writers.seconds)[-5] < 1, (
        "no write waits for the snapshots, though a statement runs on the table for seconds"
    )


def transactions_in(gtids: str) -> int:
    """Return how many transactions a GTID set holds."""
    count = 0
    for spans in gtid_set(gtids).intervals.values():
        count += sum(last - first + 1 for first, last in spans)
    return count


def sum_of_counters(reader: Connection) -> int:
    return int(reader.query(f"SELECT SUM(number) AS n FROM {COUNTERS}")[0]["n"])


def run_slow_query(settings: Settings) -> None:
    """Query the counters for three seconds."""
    with connect(settings.mysql, settings.login("mysql.admin")) as connection:
        connection.query(f"SELECT SLEEP(3) FROM {COUNTERS} LIMIT 1")
