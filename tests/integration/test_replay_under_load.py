"""The warehouse replayed and rolled back while it is written and read."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.hadoop import hiveserver2
from schemas.errors import KappaError
from schemas.warehouse_layout import Kind
from tests.conftest import Stack
from tests.eventually import eventually
from tests.integration.test_cut import Shoppers, mysql, shoppers, versions

__all__ = ["shoppers"]  # a fixture

# The queries of two readers without a pause would take the processors from what is tried here.
PAUSE_SECONDS = 2.0
COMPLETED_ORDERS = (
    "SELECT o.order_id FROM orders o JOIN completed_orders c ON o.order_id = c.order_id "
    "WHERE o.status = '1'"
)
# The rows, the orders, and the rows in another partition than that of their date.
SUMMARY = (
    "SELECT count(*), count(DISTINCT order_id), "
    "sum(IF(order_date = date_format(orderedat, 'yyyy-MM-dd'), 0, 1)) FROM orders"
)


def live_rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query of the live tables in Hive."""
    hive = stack.settings.hive
    return hiveserver2.query(hive, sql, database=hive.warehouse_database).rows


class Reader(threading.Thread):
    """Queries the live orders again and again. Each answer must be of one state of the table."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self.stop = threading.Event()
        self.answers = 0
        self.failures = list[str]()

    def run(self) -> None:
        while not self.stop.wait(PAUSE_SECONDS):
            try:
                self._read()
            except KappaError as error:
                self.failures.append(str(error))

    def _read(self) -> None:
        ((rows, orders, misplaced),) = live_rows(self._stack, SUMMARY)
        self.answers += 1
        if rows != orders or misplaced:
            failure = f"{rows} rows of {orders} orders, {misplaced} in the wrong partition"
            self.failures.append(failure)


@pytest.fixture
def readers(stack: Stack) -> Iterator[list[Reader]]:
    """Two readers at work."""
    pair = [Reader(stack) for _ in range(2)]
    for reader in pair:
        reader.start()
    yield pair
    for reader in pair:
        reader.stop.set()
        reader.join(60)


def replay(stack: Stack, *options: str) -> dict[str, Any]:
    """Return what `kappa replay warehouse --json` prints."""
    result = stack.kappa("replay", "warehouse", *options, "--json", check=True)
    return dict(json.loads(result.stdout))


def wait_for_version_after(stack: Stack, version: int, because: str) -> None:
    """Wait until a version is published after another. Raises AssertionError."""
    eventually(lambda: versions(stack).numbers()[-1] > version, within=60, because=because)


@pytest.mark.long
def test_the_warehouse_is_replayed_and_rolled_back_while_it_is_written_and_read(
    stack: Stack, shoppers: list[Shoppers], readers: list[Reader]
) -> None:
    eventually(
        lambda: sum(shopper.completed_orders for shopper in shoppers) > 5,
        within=60,
        because="orders are completed",
    )
    outcome = replay(stack)
    assert (outcome["differing"], outcome["refused"]) == ({}, {})
    assert outcome["compared"] > 0
    switched = outcome["switched"]
    assert switched["seconds"] < 5  # under 1 s on a quiet machine; see docs/warehouse.md
    manifest = versions(stack).read(switched["version"])
    kinds = {manifest.tables[name].kind for name in manifest.rebuilt_tables}
    assert kinds == {Kind.CHANGES.value, Kind.FACTS.value}
    because = "the compactor continues from the rebuilt tables"
    wait_for_version_after(stack, manifest.version, because)
    rollback = replay(stack, "--rollback")
    because = "the compactor continues after the rollback"
    wait_for_version_after(stack, rollback["switched"]["version"], because)
    for shopper in shoppers:
        shopper.stop.set()
        shopper.join(30)
    for reader in readers:
        assert reader.failures == []
        assert reader.answers > 0
    with mysql(stack) as connection:
        rows = connection.query("SELECT order_id FROM orders WHERE status = '1'")
    completed_orders = {int(row["order_id"]) for row in rows}
    eventually(
        lambda: (
            completed_orders
            <= {int(order) for (order,) in live_rows(stack, COMPLETED_ORDERS)}
        ),
        within=60,
        because="every completed order is in Hive",
    )
