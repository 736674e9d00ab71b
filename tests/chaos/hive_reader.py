"""A reader of the ledger's tables in Hive, which notes every answer that belongs to no version."""

import threading
from collections.abc import Callable

from connectors.hadoop import hiveserver2
from connectors.retry import RetryPolicy
from connectors.runtime.settings import Settings
from schemas.errors import KappaError
from tests.chaos.ledger import ORDERS, TOTAL

READS_PER_SESSION = 10

RunQuery = Callable[[str], hiveserver2.Rows]


class Reader(threading.Thread):
    """Reads the ledger's orders and accounts in turn, with the retries of `kappa query hive`.

    `reads` counts the answers and `waits` the queries that waited for a server. `wrong` has a line
    for each wrong answer, and for the failure that ended the reader.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.reads = 0
        self.waits = 0
        self.wrong: list[str] = []
        self._hive = settings.hive

    def run(self) -> None:
        retry_policy = RetryPolicy(
            timeout_seconds=self._hive.patience_seconds, on_wait=self._count_wait
        )
        database = self._hive.warehouse_database
        while not self.stop.is_set():
            try:
                with hiveserver2.session(
                    self._hive, database=database, retry_policy=retry_policy
                ) as run_query:
                    self._read(run_query)
            except KappaError as error:
                self.wrong.append(f"a read failed: {error}")
                return

    def _count_wait(self, _reason: str) -> None:
        self.waits += 1

    def _read(self, run_query: RunQuery) -> None:
        for _ in range(READS_PER_SESSION):
            if self.stop.is_set():
                return
            self._read_orders(run_query)
            self._read_accounts(run_query)

    def _read_orders(self, run_query: RunQuery) -> None:
        """Read the orders: at every commit all are for one product.

        They lie in several hive partitions, and move between them.
        """
        rows = run_query("SELECT order_id, product_id FROM orders WHERE order_id < 0").rows
        numbers = {number for number, _ in rows}
        products = {product for _, product in rows}
        if (len(rows), len(numbers), len(products)) != (ORDERS, ORDERS, 1):
            orders = f"{len(rows)} of {ORDERS} orders"
            self.wrong.append(
                f"a read was of no version: {orders}, of the products {sorted(products)}"
            )
        self.reads += 1

    def _read_accounts(self, run_query: RunQuery) -> None:
        """Read the accounts: their sum is the same at every commit."""
        rows = run_query("SELECT id, amount FROM ledger_accounts").rows
        total = sum(amount for _, amount in rows)
        if total != TOTAL:
            self.wrong.append(
                f"a read was of no version: accounts sum up to {total}, not {TOTAL}"
            )
        self.reads += 1
