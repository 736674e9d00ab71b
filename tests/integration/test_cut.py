"""Whole transactions only: what MySQL does reaches Hive row by row, and what holds at each of its commits holds in each version."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import hive
from connectors.hdfs import Hdfs
from connectors.mysql import Connection, SqlRefused, connect
from infra.errors import Refused, Unavailable
from infra.state import read_state
from spark.manifest import Manifest, Versions
from spark.pinned import pin
from tests.compare import assert_hive_agrees_with_mysql
from tests.conftest import Stack
from tests.faults import Kill

SCENARIO = Path(__file__).with_name("scenario.sql")
BIG = 100_000
PAUSE_SECONDS = 0.1


def mysql(stack: Stack) -> Connection:
    settings = stack.settings
    return connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database)


@pytest.fixture
def scenario(stack: Stack) -> Iterator[list[list[str]]]:
    """The statements of the scenario, in the parts that versions divide; its tables go afterwards."""
    lines = [line for line in SCENARIO.read_text().splitlines() if not line.startswith("--") or line == "-- version"]
    parts = "\n".join(lines).split("-- version")
    yield [[statement.strip() for statement in part.split(";\n") if statement.strip()] for part in parts]
    with mysql(stack) as connection:
        for table in ("keys", "pairs", "child", "parent", "emptied"):
            connection.execute(f"DROP TABLE IF EXISTS scenario_{table}")


def versions(stack: Stack) -> Versions:
    return Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)


def rows_stated(manifest: Manifest, table: str) -> int:
    return sum(part.rows for part in manifest.tables[table].partitions.values()) if table in manifest.tables else 0


def test_everything_that_mysql_does_reaches_hive_row_by_row(stack: Stack, scenario: list[list[str]]) -> None:
    with mysql(stack) as connection:
        for number, part in enumerate(scenario):
            if number:
                stack.kappa("compact", "--now", check=True)
            for statement in part:
                connection.execute(statement)
    assert_hive_agrees_with_mysql(stack.settings, [f"scenario_{table}" for table in ("keys", "pairs", "parent", "child", "emptied")])


class Shoppers(threading.Thread):
    """Orders placed, completed one by one and many at once, and cancelled, each in one transaction, until told to stop."""

    def __init__(self, stack: Stack, seed: int) -> None:
        super().__init__(daemon=True)
        self._stack, self._random, self.stop = stack, random.Random(seed), threading.Event()
        self.completed = 0

    def run(self) -> None:
        with mysql(self._stack) as connection:
            while not self.stop.wait(PAUSE_SECONDS):
                try:
                    with connection.transaction():
                        self.act(connection)
                except (Unavailable, SqlRefused):
                    continue  # two shoppers were in each other's way: nothing of it happened

    def act(self, connection: Connection) -> None:
        orders = [
            connection.execute("INSERT INTO orders (user_id, product_id) VALUES (1, 1)").inserted_id
            for _ in range(self._random.choice((1, 1, 1, 20)))
        ]
        if self._random.random() < 0.7:
            for order in orders:
                connection.execute("UPDATE orders SET status = '1' WHERE order_id = %s", (order,))
                connection.execute("INSERT INTO completed_orders (order_id, status) VALUES (%s, '1')", (order,))
            self.completed += len(orders)
        if self._random.random() < 0.3:
            for table in ("completed_orders", "orders"):
                connection.execute(f"DELETE FROM {table} WHERE order_id = %s", (orders[0],))


@pytest.fixture
def shoppers(stack: Stack) -> Iterator[list[Shoppers]]:
    crowd = [Shoppers(stack, seed) for seed in range(3)]
    for one in crowd:
        one.start()
    yield crowd
    for one in crowd:
        one.stop.set()
        one.join(30)


def broken(stack: Stack, database: str) -> set[int]:
    """The orders that are completed in one table and not in the other, as a reader of one database sees it."""

    def ask(sql: str) -> set[int]:
        return {int(order) for (order,) in hive.query(stack.settings.hive, sql, database=database).rows}

    return ask("SELECT order_id FROM orders WHERE status = '1'") ^ ask("SELECT order_id FROM completed_orders")


def long_transaction(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO long_notes VALUES (1)")
        for first in range(0, BIG, 5000):
            connection.insert("long_rows", [{"id": number, "v": f"row {number}"} for number in range(first, first + 5000)])
        connection.execute("INSERT INTO long_notes VALUES (2)")


@pytest.fixture
def long_tables(stack: Stack) -> Iterator[Connection]:
    with mysql(stack) as connection:
        connection.execute("CREATE TABLE long_rows (id INT PRIMARY KEY, v VARCHAR(20))")
        connection.execute("CREATE TABLE long_notes (id INT PRIMARY KEY)")
        for table in ("long_rows", "long_notes"):
            connection.execute(f"TRUNCATE TABLE {table}")
        yield connection
        for table in ("long_rows", "long_notes"):
            connection.execute(f"TRUNCATE TABLE {table}")
        connection.execute("DROP TABLE long_rows, long_notes")


def test_what_holds_at_each_commit_holds_in_each_version_under_load_and_a_long_transaction_waits_whole(
    stack: Stack, shoppers: list[Shoppers], long_tables: Connection, load_seconds: float
) -> None:
    store, until = versions(stack), time.monotonic() + load_seconds
    long_transaction(long_tables)
    kill = Kill(stack.settings, "connect")
    kill.inject()  # very likely in the midst of the long transaction; it is whole in any case
    completed: dict[int, set[int]] = {}
    sizes: dict[int, tuple[int, int]] = {}
    while time.monotonic() < until or (BIG, 2) not in sizes.values():
        assert time.monotonic() < until + 120, f"the long transaction is not published: {sizes}"
        newest = store.newest()
        if newest.version not in completed and (read_state(stack.settings.home, "compactor") or {}).get("version", -1) >= newest.version:
            sizes[newest.version] = rows_stated(newest, "long_rows"), rows_stated(newest, "long_notes")
            completed[newest.version] = broken(stack, pin(stack.settings, newest.version))
    assert set(sizes.values()) <= {(0, 0), (BIG, 2)}, f"a part of the long transaction was published: {sizes}"
    assert not any(completed.values()), f"orders completed in one table only, by version: {completed}"
    assert sum(one.completed for one in shoppers) > 50, "there was load"


def test_a_version_says_what_it_is_in_hive_and_the_command_line_reads_it(stack: Stack) -> None:
    newest = versions(stack).newest()
    stated = rows_stated(newest, "productview")
    done = stack.kappa("query", "hive", "--version", str(newest.version), "--csv", "SELECT count(*) FROM ecommerce.productview", check=True)
    assert done.stdout.split()[1:] == [str(stated)]
    with hive.Metastore(stack.settings.hive.metastore_uris) as metastore:
        assert metastore.database_properties(pin(stack.settings, newest.version))["kappa.gtid"] == newest.gtid
        assert int(metastore.database_properties(stack.settings.hive.warehouse_database)["kappa.version"]) >= newest.version
    with pytest.raises(Refused, match=rf"version {newest.version + 1_000_000} is not kept: versions \d+ to \d+ can be read"):
        pin(stack.settings, newest.version + 1_000_000)
