"""Compares each version of the warehouse, from its own files, with the ledger at its tick."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.runtime.settings import Settings
from schemas.gtid import gtid_set
from schemas.manifest import Manifest
from spark.storage.parquet import read_table
from tests.chaos.ledger import Ledger, State, day_at


class VersionReader:
    """The versions of a warehouse, and their rows."""

    def __init__(self, settings: Settings) -> None:
        self._hdfs = Hdfs(settings.hdfs)
        self.store = ManifestStore(self._hdfs, settings.hdfs.root)

    def rows(self, manifest: Manifest, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table in a version."""
        rows: list[dict[str, Any]] = []
        for partition in manifest.tables[table].partitions.values():
            for entry in self._hdfs.list(partition.location):
                path = f"{partition.location}/{entry.name}"
                rows += read_table(self._hdfs.read_bytes(path), path).to_pylist()
        return rows

    def tick_of(self, manifest: Manifest) -> int:
        """Return the tick that a version holds; -1 if it has no ledger."""
        if "ledger_clock" not in manifest.tables:
            return -1
        ticks = [row["tick"] for row in self.rows(manifest, "ledger_clock")]
        return int(ticks[0]) if ticks else -1

    def differences(self, manifest: Manifest, expected: State) -> Iterator[str]:
        """Yield the parts of the ledger that differ in a version."""
        accounts = self.rows(manifest, "ledger_accounts")
        amounts = sorted((row["id"], row["amount"]) for row in accounts)
        if amounts != sorted(expected.accounts.items()):
            yield "accounts"
        orders = self.rows(manifest, "orders")
        if ledger_orders(orders) != expected_orders(expected):
            yield "orders"
        completed = {row["order_id"] for row in self.rows(manifest, "completed_orders")}
        half_completed = {
            row["order_id"] for row in orders if row["status"] == "1"
        } ^ completed
        if half_completed:
            yield f"orders completed in one table only {sorted(half_completed)[:3]}"


def ledger_orders(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the ledger's orders among rows of a version, sorted."""
    columns = ("order_id", "orderedAt", "product_id", "status")
    return sorted(
        tuple(row[name] for name in columns) for row in rows if row["order_id"] < 0
    )


def expected_orders(state: State) -> list[tuple[Any, ...]]:
    """Return the ledger's orders in a state as a version has them, sorted."""
    orders = []
    for number, order in state.orders.items():
        ordered_at = day_at(order.day).astimezone(UTC)
        orders.append((number, ordered_at, order.product, order.status))
    return sorted(orders)


def is_misplaced(manifest: Manifest, ledger: Ledger, tick: int) -> bool:
    """Return whether a version's GTID set lacks the transaction of its tick, or has the next one.

    Transactions that the ledger does not know count as right.
    """
    transactions = gtid_set(manifest.gtid)
    own = ledger.gtid(tick)
    following = ledger.gtid(tick + 1)
    is_missing = own is not None and own not in transactions
    is_beyond = following is not None and following in transactions
    return is_missing or is_beyond


@dataclass
class VersionChecker:
    """Checks each new version once.

    `checked` counts the versions with a ledger, `placed` those whose transaction is known, `last`
    is the newest checked one. `wrong` has a line for each difference.
    """

    versions: VersionReader
    ledger: Ledger
    last: int
    checked: int = 0
    placed: int = 0
    wrong: list[str] = field(default_factory=list)

    def check_new_versions(self) -> None:
        """Check the versions since the last call. Raises KappaError while HDFS is unreachable."""
        store = self.versions.store
        for number in store.numbers():
            if number > self.last:
                self._check(store.read(number))
                self.last = number

    def _check(self, manifest: Manifest) -> None:
        number = manifest.version
        assert self.last < 0 or manifest.previous == self.last, (
            f"version {number} follows {manifest.previous}, not {self.last}"
        )
        tick = self.versions.tick_of(manifest)
        if tick < 0 or not manifest.whole:
            return
        # All of them before any is noted: HDFS may be killed in between.
        differences = list(self.versions.differences(manifest, self.ledger.state(tick)))
        for difference in differences:
            self.wrong.append(f"version {number}, tick {tick}: {difference}")
        gtid = self.ledger.gtid(tick)
        if is_misplaced(manifest, self.ledger, tick):
            self.wrong.append(
                f"version {number} says {manifest.gtid}, and holds tick {tick}, which is {gtid}"
            )
        self.checked += 1
        self.placed += gtid is not None
