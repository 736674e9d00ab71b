"""Versions hold whole transactions only.

Every change of MySQL reaches Hive, and an invariant of each commit holds in each version.
"""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.hadoop import hive_metastore, hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.runtime.process_state import read_state
from schemas.errors import Refused, Unavailable
from schemas.manifest import Manifest
from spark.publish.version_database import pin
from tests.compare import assert_hive_agrees_with_mysql
from tests.conftest import Stack
from tests.faults import Kill

SCENARIO = Path(__file__).with_name("scenario.sql")
SCENARIO_TABLES = [
    f"scenario_{name}" for name in ("keys", "pairs", "child", "parent", "emptied")
]
BIG = 20_000
LONG_TABLES = ("long_rows", "long_notes")
PAUSE_SECONDS = 0.1


def mysql(stack: Stack) -> Connection:
    """Return a connection of MySQL's administrator."""
    settings = stack.settings
    return connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database)


@pytest.fixture
def scenario(stack: Stack) -> Iterator[list[list[str]]]:
    """The statements of the scenario, in the parts that versions divide.

    Its tables are dropped afterwards.
    """
    lines = []
    for line in SCENARIO.read_text().splitlines():
        if line == "-- version" or not line.startswith("--"):
            lines.append(line)
    parts = []
    for part in "\n".join(lines).split("-- version"):
        statements = [statement.strip() for statement in part.split(";\n")]
        parts.append([statement for statement in statements if statement])
    yield parts
    with mysql(stack) as connection:
        for table in SCENARIO_TABLES:
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def versions(stack: Stack) -> ManifestStore:
    return ManifestStore(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)


def rows_stated(manifest: Manifest, table: str) -> int:
    """Return how many rows a version says that a table has."""
    if table not in manifest.tables:
        return 0
    return sum(part.rows for part in manifest.tables[table].partitions.values())


def test_everything_that_mysql_does_reaches_hive_row_by_row(
    stack: Stack, scenario: list[list[str]]
) -> None:
    with mysql(stack) as connection:
        for number, part in enumerate(scenario):
            if number:
                stack.kappa("compact", "--now", check=True)
            for statement in part:
                connection.execute(statement)
    assert_hive_agrees_with_mysql(stack.settings, SCENARIO_TABLES)


class Shoppers(threading.Thread):
    """Places, completes and cancels orders until told to stop.

    It does so with one order or many, each time in one transaction.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._random = random.Random(seed)
        self.stop = threading.Event()
        self.completed_orders = 0

    def run(self) -> None:
        with mysql(self._stack) as connection:
            while not self.stop.wait(PAUSE_SECONDS):
                try:
                    with connection.transaction():
                        self.act(connection)
                except (Unavailable, SqlRefused):
                    continue  # two shoppers were in conflict: nothing of it happened

    def act(self, connection: Connection) -> None:
        orders = []
        for _ in range(self._random.choice((1, 1, 1, 20))):
            placed_order = connection.execute(
                "INSERT INTO orders (user_id, product_id) VALUES (1, 1)"
            )
            orders.append(placed_order.inserted_id)
        if self._random.random() < 0.7:
            for order in orders:
                connection.execute(
                    "UPDATE orders SET status = '1' WHERE order_id = %s", (order,)
                )
                connection.execute(
                    "INSERT INTO completed_orders (order_id, status) VALUES (%s, '1')",
                    (order,),
                )
            self.completed_orders += len(orders)
        if self._random.random() < 0.3:
            for table in ("completed_orders", "orders"):
                connection.execute(f"DELETE FROM {table} WHERE order_id = %s", (orders[0],))


@pytest.fixture
def shoppers(stack: Stack) -> Iterator[list[Shoppers]]:
    """Three shoppers at work."""
    crowd = [Shoppers(stack, seed) for seed in range(3)]
    for shopper in crowd:
        shopper.start()
    yield crowd
    for shopper in crowd:
        shopper.stop.set()
        shopper.join(30)


def half_completed_orders(stack: Stack, database: str) -> set[int]:
    """Return the orders that are completed in one table of a Hive database but not in the other."""
    answers = []
    for sql in (
        "SELECT order_id FROM orders WHERE status = '1'",
        "SELECT order_id FROM completed_orders",
    ):
        rows = hiveserver2.query(stack.settings.hive, sql, database=database).rows
        answers.append({int(order) for (order,) in rows})
    by_status, by_completion = answers
    return by_status ^ by_completion


def long_transaction(connection: Connection) -> None:
    """Write many rows to one table, a row before and a row after to another, and commit once."""
    with connection.transaction():
        connection.execute("INSERT INTO long_notes VALUES (1)")
        for first in range(0, BIG, 5000):
            numbers = range(first, first + 5000)
            rows = [{"id": number, "v": f"row {number}"} for number in numbers]
            connection.insert("long_rows", rows)
        connection.execute("INSERT INTO long_notes VALUES (2)")


@pytest.fixture
def long_tables(stack: Stack) -> Iterator[Connection]:
    """Two empty tables for the long transaction; dropped afterwards."""
    with mysql(stack) as connection:
        connection.execute("CREATE TABLE long_rows (id INT PRIMARY KEY, v VARCHAR(20))")
        connection.execute("CREATE TABLE long_notes (id INT PRIMARY KEY)")
        for table in LONG_TABLES:
            connection.execute(f"TRUNCATE TABLE {table}")
        yield connection
        for table in LONG_TABLES:
            connection.execute(f"TRUNCATE TABLE {table}")
        connection.execute("DROP TABLE long_rows, long_notes")


def test_under_load_each_version_holds_whole_transactions_also_a_very_long_one(
    stack: Stack, shoppers: list[Shoppers], long_tables: Connection, load_seconds: float
) -> None:
    store = versions(stack)
    until = time.monotonic() + load_seconds
    long_transaction(long_tables)
    kill = Kill(stack.settings, "connect")
    kill.inject()  # very likely in the midst of the long transaction; it is whole in any case
    half_completed: dict[int, set[int]] = {}
    sizes: dict[int, tuple[int, int]] = {}
    whole = (BIG, 2)
    while time.monotonic() < until or whole not in sizes.values():
        assert time.monotonic() < until + 600, (
            f"the long transaction is not published: {sizes}"
        )
        newest = store.newest()
        version = newest.version
        if version not in half_completed and compactor_version(stack) >= version:
            sizes[version] = (
                rows_stated(newest, "long_rows"),
                rows_stated(newest, "long_notes"),
            )
            half_completed[version] = half_completed_orders(
                stack, pin(stack.settings, version)
            )
    assert set(sizes.values()) <= {(0, 0), whole}, (
        f"a part of the long transaction was published: {sizes}"
    )
    assert not any(half_completed.values()), (
        f"orders completed in one table only, by version: {half_completed}"
    )
    assert sum(shopper.completed_orders for shopper in shoppers) > 50, "there was load"


def compactor_version(stack: Stack) -> int:
    """Return the version that the compactor last reported, -1 if none."""
    state = read_state(stack.settings.home, "compactor") or {}
    return int(state.get("version", -1))


def test_a_version_says_what_it_is_in_hive_and_the_command_line_reads_it(
    stack: Stack,
) -> None:
    newest = versions(stack).newest()
    stated = rows_stated(newest, "productview")
    count = "SELECT count(*) FROM ecommerce.productview"
    result = stack.kappa(
        "query", "hive", "--version", str(newest.version), "--csv", count, check=True
    )
    assert result.stdout.split()[1:] == [str(stated)]
    with hive_metastore.Metastore(stack.settings.hive.metastore_uris) as metastore:
        version_database = pin(stack.settings, newest.version)
        version_properties = metastore.database_properties(version_database)
        live_database = stack.settings.hive.warehouse_database
        live_properties = metastore.database_properties(live_database)
    assert version_properties["kappa.gtid"] == newest.gtid
    assert int(live_properties["kappa.version"]) >= newest.version
    missing_version = newest.version + 1_000_000
    refusal = rf"version {missing_version} is not kept: versions \d+ to \d+ can be read"
    with pytest.raises(Refused, match=refusal):
        pin(stack.settings, missing_version)
