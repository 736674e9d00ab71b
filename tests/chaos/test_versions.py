"""Every version of the warehouse equals MySQL at its transaction, whatever is killed, and no reader of Hive sees anything else."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from connectors import hive
from connectors.hdfs import Hdfs
from connectors.patience import Patience
from infra.errors import KappaError
from infra.settings import Settings
from schemas.gtid import gtid_set
from spark.manifest import Manifest, Versions
from spark.parquet import read_table
from tests.chaos.ledger import ORDERS, TOTAL, Ledger, State, day_at
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import Kill

# What a version passes on its way, or rests on.
VICTIMS = ("mysql", "kafka", "connect", "registry", "namenode", "datanode", "metastore", "hiveserver2", "compactor")
HEALED_SECONDS, STILL_SECONDS = 120.0, 180.0
READS_PER_VERSION, READS_PER_SESSION = 10, 10

Ask = Callable[[str], hive.Rows]


class Killer(threading.Thread):
    """Kills one process after the other, and waits each time until it is back."""

    def __init__(self, settings: Settings, seed: int, calm_seconds: float) -> None:
        super().__init__(daemon=True)
        self.stop, self.killed, self.failure = threading.Event(), list[str](), ""
        self._settings, self._chance, self._calm_seconds = settings, random.Random(seed), calm_seconds

    def run(self) -> None:
        order = [*VICTIMS]
        while not self.stop.is_set():
            self._chance.shuffle(order)
            for name in order:
                if self.stop.wait(self._calm_seconds * self._chance.uniform(0.5, 3)):
                    return
                try:
                    self._kill(name)
                except AssertionError as error:
                    self.failure = str(error)
                    return

    def _kill(self, name: str) -> None:
        fault = Kill(self._settings, name)
        fault.inject()
        self.killed.append(name)
        fault.healed(HEALED_SECONDS)


@dataclass
class Reader(threading.Thread):
    """Asks Hive for the ledger's orders and accounts in turn, as patiently as `kappa query hive`, and notes what cannot be, or failed."""

    settings: Settings
    stop: threading.Event = field(default_factory=threading.Event)
    reads: int = 0
    waits: int = 0
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        patience = Patience(self.settings.hive.patience_seconds, self._waits)
        while not self.stop.is_set():
            try:
                with hive.session(self.settings.hive, database=self.settings.hive.warehouse_database, patience=patience) as ask:
                    self._read(ask)
            except KappaError as error:
                self.wrong.append(f"a read failed: {error}")
                return

    def _waits(self, _because: str) -> None:
        self.waits += 1

    def _read(self, ask: Ask) -> None:
        """All orders are for one product at every commit; they lie in several hive partitions, and move between them. Money only changes hands."""
        for _ in range(READS_PER_SESSION):
            if self.stop.is_set():
                return
            orders = ask("SELECT order_id, product_id FROM orders WHERE order_id < 0").rows
            products = {product for _, product in orders}
            if len({number for number, _ in orders}) != ORDERS or len(orders) != ORDERS or len(products) != 1:
                self.wrong.append(f"a read was of no version: {len(orders)} of {ORDERS} orders, of the products {sorted(products)}")
            self.reads += 1
            total = sum(amount for _, amount in ask("SELECT id, amount FROM ledger_accounts").rows)
            if total != TOTAL:
                self.wrong.append(f"a read was of no version: accounts sum up to {total}, not {TOTAL}")
            self.reads += 1


@pytest.fixture
def ledger(stack: Stack) -> Iterator[Ledger]:
    """A writer whose first state Hive shows; it stops at the end, and its tables go."""
    made = Ledger(stack.settings, seed=5)
    try:
        eventually(lambda: tick_of(newest(stack)) == 0, within=120, because="the ledger's tables are in the warehouse")
        eventually(lambda: hive.query(stack.settings.hive, "SELECT * FROM ledger_clock", database="ecommerce").rows, within=60, because="and in Hive")
        yield made
    finally:
        made.stop.set()
        if made.ident:
            made.join(60)
        made.remove()


def store(stack: Stack) -> Versions:
    return Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)


def newest(stack: Stack) -> tuple[Hdfs, Manifest]:
    return Hdfs(stack.settings.hdfs), store(stack).newest()


def rows(hdfs: Hdfs, manifest: Manifest, table: str) -> list[dict[str, Any]]:
    """The rows of a version, from its own files."""
    found: list[dict[str, Any]] = []
    for partition in manifest.tables[table].partitions.values():
        for entry in hdfs.list(partition.location):
            path = f"{partition.location}/{entry.name}"
            read: pa.Table = read_table(hdfs.read_bytes(path), path)
            found += read.to_pylist()
    return found


def tick_of(found: tuple[Hdfs, Manifest]) -> int:
    """The tick that a version holds; -1 if it has no ledger."""
    if "ledger_clock" not in found[1].tables:
        return -1
    ticks = [row["tick"] for row in rows(*found, "ledger_clock")]
    return int(ticks[0]) if ticks else -1


def differences(hdfs: Hdfs, manifest: Manifest, expected: State) -> list[str]:
    """What a version holds of the ledger and should not, or the reverse."""
    accounts = sorted((row["id"], row["amount"]) for row in rows(hdfs, manifest, "ledger_accounts"))
    orders = rows(hdfs, manifest, "orders")
    ours = sorted((row["order_id"], row["orderedAt"], row["product_id"], row["status"]) for row in orders if row["order_id"] < 0)
    expected_orders = sorted((number, _as_read(day_at(order.day)), order.product, order.status) for number, order in expected.orders.items())
    completed = {row["order_id"] for row in rows(hdfs, manifest, "completed_orders")}
    broken = {row["order_id"] for row in orders if row["status"] == "1"} ^ completed
    found = {
        "accounts": accounts != sorted(expected.accounts.items()),
        "orders": ours != expected_orders,
        f"orders completed in one table only {sorted(broken)[:3]}": bool(broken),
    }
    return [f"version {manifest.version}, tick {expected.tick}: {what}" for what, differs in found.items() if differs]


def _as_read(at: datetime) -> datetime:
    return at.astimezone(UTC)


def misplaced(manifest: Manifest, ledger: Ledger, tick: int) -> list[str]:
    """The version's GTID set holds the transaction of its tick, and not that of the next."""
    held = gtid_set(manifest.gtid)
    own, following = ledger.gtid(tick), ledger.gtid(tick + 1)
    missing = own is not None and own not in held
    beyond = following is not None and following in held
    return [f"version {manifest.version} says {manifest.gtid}, and holds tick {tick}, which is {own}"] if missing or beyond else []


@dataclass
class Checker:
    """Compares each version that comes with what the ledger had at its tick."""

    stack: Stack
    ledger: Ledger
    checked: int = 0
    placed: int = 0
    last: int = -1
    wrong: list[str] = field(default_factory=list)

    def check(self) -> None:
        """The versions since the last time. Raises KappaError while HDFS is away."""
        versions, hdfs = store(self.stack), Hdfs(self.stack.settings.hdfs)
        for number in [number for number in versions.numbers() if number > self.last]:
            manifest = versions.read(number)
            assert self.last < 0 or manifest.previous == self.last, f"version {number} follows {manifest.previous}, not {self.last}"
            tick = tick_of((hdfs, manifest))
            if tick >= 0 and manifest.whole:
                self.wrong += differences(hdfs, manifest, self.ledger.state(tick)) + misplaced(manifest, self.ledger, tick)
                self.checked += 1
                self.placed += self.ledger.gtid(tick) is not None
            self.last = number


def test_every_version_equals_mysql_at_its_transaction_and_no_read_fails_whatever_is_killed(
    stack: Stack, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    wanted, asking = int(request.config.getoption("--versions")), int(request.config.getoption("--readers"))
    killer = Killer(stack.settings, seed=wanted, calm_seconds=float(request.config.getoption("--calm")))
    readers = [Reader(stack.settings) for _ in range(asking)]
    checker = Checker(stack, ledger, last=store(stack).numbers()[-1])
    threads: Mapping[str, Any] = {"ledger": ledger, "killer": killer} | {f"reader {number}": reader for number, reader in enumerate(readers)}
    for thread in threads.values():
        thread.start()
    came_at = time.monotonic()
    while checker.checked < wanted or reads_of(readers) < READS_PER_VERSION * wanted or len(set(killer.killed)) < min(len(VICTIMS), wanted // 2):
        before = checker.checked
        try:
            checker.check()
        except KappaError:
            time.sleep(1)
        came_at = time.monotonic() if checker.checked > before else came_at
        failures = [killer.failure, ledger.failure, *checker.wrong, *(wrong for reader in readers for wrong in reader.wrong)]
        assert not any(failures), [failure for failure in failures if failure][:5]
        assert time.monotonic() - came_at < STILL_SECONDS, f"no version for {STILL_SECONDS:.0f} s after {checker.checked}, killed {killer.killed}"
        if checker.checked > before and checker.checked % 50 == 0:
            print(_so_far(checker, ledger, killer, readers), flush=True)
        time.sleep(0.2)
    for thread in threads.values():
        thread.stop.set()
    for thread in threads.values():
        thread.join(HEALED_SECONDS)
    print(_so_far(checker, ledger, killer, readers))
    assert checker.placed > 0, "some ticks' own GTIDs are known"


def reads_of(readers: list[Reader]) -> int:
    return sum(reader.reads for reader in readers)


def _so_far(checker: Checker, ledger: Ledger, killer: Killer, readers: list[Reader]) -> str:
    reads, waits = reads_of(readers), sum(reader.waits for reader in readers)
    return (
        f"{checker.checked} versions equal ({checker.placed} with a GTID known), {ledger.ticks} ticks, {len(killer.killed)} kills, "
        f"{reads} reads equal, none failed ({waits} were asked again while a server was away)"
    )
