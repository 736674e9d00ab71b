"""Every version of the warehouse equals MySQL at its transaction, also under kills.

No reader of Hive sees anything else.
"""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from connectors.hadoop import hiveserver2
from connectors.runtime.settings import Settings
from schemas.errors import KappaError
from tests.chaos.hive_reader import Reader
from tests.chaos.ledger import Ledger
from tests.chaos.version_checker import VersionChecker, VersionReader
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import Kill

# The processes that make a version, or keep it.
VICTIMS = (
    "mysql",
    "kafka",
    "connect",
    "registry",
    "namenode",
    "datanode",
    "metastore",
    "hiveserver2",
    "compactor",
)
HEALED_SECONDS = 120.0
STILL_SECONDS = 180.0
READS_PER_VERSION = 10


class Killer(threading.Thread):
    """Kills one process after the other, and waits each time until it works again."""

    def __init__(self, settings: Settings, seed: int, calm_seconds: float) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.killed_processes = list[str]()
        self.failure = ""
        self._settings = settings
        self._chance = random.Random(seed)
        self._calm_seconds = calm_seconds

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
        self.killed_processes.append(name)
        fault.healed(HEALED_SECONDS)


@pytest.fixture
def ledger(stack: Stack) -> Iterator[Ledger]:
    """A ledger whose first state is in Hive. It stops at the end, and its tables are removed."""
    new_ledger = Ledger(stack.settings, seed=5)
    try:
        wait_for_first_state(stack.settings)
        yield new_ledger
    finally:
        new_ledger.stop.set()
        if new_ledger.ident:
            new_ledger.join(60)
        new_ledger.remove()


def wait_for_first_state(settings: Settings) -> None:
    """Wait until the ledger's tables are in the warehouse and in Hive. Raises AssertionError."""
    versions = VersionReader(settings)
    eventually(
        lambda: versions.tick_of(versions.store.newest()) == 0,
        within=120,
        because="the ledger's tables are in the warehouse",
    )
    sql = "SELECT * FROM ledger_clock"
    eventually(
        lambda: hiveserver2.query(settings.hive, sql, database="ecommerce").rows,
        within=60,
        because="the ledger's tables are in Hive",
    )


@dataclass
class Run:
    """A run with kills and readers, which lasts until it has seen enough."""

    killer: Killer
    ledger: Ledger
    readers: list[Reader]
    checker: VersionChecker
    min_versions: int
    progress_at: float = field(default_factory=time.monotonic)

    @property
    def reads(self) -> int:
        return sum(reader.reads for reader in self.readers)

    def is_enough(self) -> bool:
        """Return whether there were enough versions, reads and different victims.

        Beside each tick of a few versions, others may have committed: then no GTID is known yet.
        """
        victims = set(self.killer.killed_processes)
        return (
            self.checker.checked >= self.min_versions
            and self.checker.placed > 0
            and self.reads >= READS_PER_VERSION * self.min_versions
            and len(victims) >= min(len(VICTIMS), self.min_versions // 2)
        )

    @property
    def threads(self) -> list[Ledger | Killer | Reader]:
        return [self.ledger, self.killer, *self.readers]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        for thread in self.threads:
            thread.stop.set()
        for thread in self.threads:
            thread.join(HEALED_SECONDS)

    def check(self) -> None:
        """Check the versions since the last call, and the threads.

        Raises AssertionError if anything is wrong, or no version comes for too long.
        """
        before = self.checker.checked
        try:
            self.checker.check_new_versions()
        except KappaError:
            time.sleep(1)  # HDFS was killed
        failures = [self.killer.failure, self.ledger.failure, *self.checker.wrong]
        for reader in self.readers:
            failures += reader.wrong
        assert not any(failures), [failure for failure in failures if failure][:5]
        checked = self.checker.checked
        if checked > before:
            self.progress_at = time.monotonic()
            if checked % 50 == 0:
                print(self.summary(), flush=True)
        assert time.monotonic() - self.progress_at < STILL_SECONDS, (
            f"no version for {STILL_SECONDS:.0f} s after {checked}, "
            f"killed {self.killer.killed_processes}"
        )

    def summary(self) -> str:
        waits = sum(reader.waits for reader in self.readers)
        placed = f"{self.checker.placed} with a GTID known"
        versions = f"{self.checker.checked} versions equal ({placed})"
        kills = f"{len(self.killer.killed_processes)} kills"
        retries = f"{waits} were repeated while a server was unreachable"
        reads = f"{self.reads} reads equal, none failed ({retries})"
        return f"{versions}, {self.ledger.ticks} ticks, {kills}, {reads}"


def test_every_version_equals_mysql_at_its_transaction_and_no_read_fails_whatever_is_killed(
    stack: Stack, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    options = request.config
    min_versions = int(options.getoption("--versions"))
    calm_seconds = float(options.getoption("--calm"))
    reader_count = int(options.getoption("--readers"))
    versions = VersionReader(stack.settings)
    run = Run(
        killer=Killer(stack.settings, seed=min_versions, calm_seconds=calm_seconds),
        ledger=ledger,
        readers=[Reader(stack.settings) for _ in range(reader_count)],
        checker=VersionChecker(versions, ledger, last=versions.store.numbers()[-1]),
        min_versions=min_versions,
    )
    run.start()
    while not run.is_enough():
        run.check()
        time.sleep(0.2)
    run.stop()
    print(run.summary())
    assert run.checker.placed > 0, "the GTID of some ticks is known"
