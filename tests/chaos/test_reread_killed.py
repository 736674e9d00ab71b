"""A large table is read again under writes, while processes are killed: no reader sees it halfway.

Each transaction moves an amount between two rows, so that the sum of all rows is 0 at every commit.
A run of the size that the promise names is
`./kappa test --long --running-stack tests/chaos/test_reread_killed.py --reread-rows=1000000`.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from connectors.control.reread_request import RereadRequests
from connectors.hadoop import hiveserver2
from connectors.mysql.client import Connection, connect
from connectors.retry import RetryPolicy
from connectors.runtime.settings import Settings
from schemas.errors import KappaError
from schemas.topics import change_topic
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import Kill

TABLE = "rrk_accounts"
ROWS_PER_STATEMENT = 50_000
TRANSACTIONS_PER_SECOND = 100  # of two changed rows each
KILLS = 5
VICTIMS = ("compactor", "connect", "capture", "namenode", "mysql", "metastore")
HEALED_SECONDS = 120.0


def session(settings: Settings) -> Connection:
    """Open a connection of MySQL's administrator."""
    return connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database)


class Loop(threading.Thread):
    """Calls a function until it is stopped; `failures` has what it raised."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.calls = 0
        self.failures: list[str] = []
        self._function = function
        self._stop_requested = threading.Event()

    def run(self) -> None:
        while not self._stop_requested.is_set():
            try:
                self._function()
                self.calls += 1
            except KappaError as error:
                self.failures.append(str(error))
            except AssertionError as error:
                self.failures.append(str(error))

    def end(self) -> None:
        self._stop_requested.set()
        self.join(60)


class Transfers:
    """Moves amounts between rows, at a steady rate, over a new connection after each kill."""

    def __init__(self, settings: Settings, rows: int) -> None:
        self._settings = settings
        self._rows = rows
        self._chance = random.Random(1)
        self._due = time.monotonic()

    def run_for_a_second(self) -> None:
        """Commit the transactions of a second, later ones at once if the time for them is past."""
        with session(self._settings) as mysql:
            for _ in range(TRANSACTIONS_PER_SECOND):
                self._due = (
                    max(self._due, time.monotonic() - 1) + 1 / TRANSACTIONS_PER_SECOND
                )
                time.sleep(max(0.0, self._due - time.monotonic()))
                self._transfer(mysql)

    def _transfer(self, mysql: Connection) -> None:
        first, second = self._chance.sample(range(1, self._rows + 1), 2)
        mysql.execute(
            f"UPDATE {TABLE} SET amount = amount + IF(id = {first}, 3, -3) "
            f"WHERE id IN ({first}, {second})"
        )


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--reread-rows"))


@pytest.fixture(scope="module")
def accounts(stack: Stack, rows: int) -> Iterator[str]:
    """A table with so many rows, in Hive."""
    with session(stack.settings) as mysql:
        fill(mysql, rows)
    eventually(
        lambda: counted(stack.settings) == (rows, 0),
        within=600,
        because="the rows are in Hive",
    )
    yield TABLE
    with session(stack.settings) as mysql:
        mysql.execute(f"DROP TABLE {TABLE}")


def fill(mysql: Connection, rows: int) -> None:
    """Make the table anew, with so many rows."""
    mysql.execute(f"DROP TABLE IF EXISTS {TABLE}")
    mysql.execute(
        f"CREATE TABLE {TABLE} "
        "(id INT PRIMARY KEY, amount INT NOT NULL, note VARCHAR(40), at DATETIME(3))"
    )
    mysql.execute(f"SET SESSION cte_max_recursion_depth = {ROWS_PER_STATEMENT + 1}")
    for first in range(1, rows + 1, ROWS_PER_STATEMENT):
        last = min(first + ROWS_PER_STATEMENT - 1, rows)
        mysql.execute(
            f"INSERT INTO {TABLE} WITH RECURSIVE n (id) AS "
            f"(SELECT {first} UNION ALL SELECT id + 1 FROM n WHERE id < {last}) "
            "SELECT id, 0, CONCAT('account number ', id), NOW(3) FROM n"
        )


def counted(settings: Settings) -> tuple[int, int]:
    """Return how many rows Hive has, and the sum of their amounts."""
    policy = RetryPolicy(timeout_seconds=settings.hive.patience_seconds)
    with hiveserver2.session(
        settings.hive, database="ecommerce", retry_policy=policy
    ) as run_query:
        ((count, amount),) = run_query(f"SELECT count(*), sum(amount) FROM {TABLE}").rows
    return int(count), int(amount)


@pytest.fixture
def transfers(stack: Stack, accounts: str, rows: int) -> Iterator[Loop]:
    """Transactions all the time; one that a killed MySQL ends is rolled back."""
    loop = Loop(Transfers(stack.settings, rows).run_for_a_second)
    loop.start()
    yield loop
    loop.end()


@pytest.fixture
def reader(stack: Stack, accounts: str, rows: int) -> Iterator[Loop]:
    """A reader of Hive, for whom every answer must be the state at a commit."""

    def read() -> None:
        answer = counted(stack.settings)
        assert answer == (rows, 0), f"a read was of no commit: {answer}"

    loop = Loop(read)
    loop.start()
    yield loop
    loop.end()


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_large_table_is_read_again_and_killed_at_random_steps(
    stack: Stack, accounts: str, rows: int, transfers: Loop, reader: Loop
) -> None:
    first_transfer = time.monotonic()
    began = time.monotonic()
    print(stack.kappa("resync", accounts, check=True).stdout, flush=True)
    undisturbed = time.monotonic() - began
    print(f"undisturbed: {undisturbed:.1f} s", flush=True)
    chance = random.Random(rows)
    requests = RereadRequests(stack.settings.home)
    topic = change_topic(stack.settings.mysql.database, accounts)
    for victim in chance.sample(VICTIMS, KILLS):
        began = time.monotonic()
        request = requests.add(topic, "a test")
        step = chance.uniform(0, undisturbed)
        time.sleep(step)
        still_read = requests.all().get(topic) == request
        fault = Kill(stack.settings, victim)
        fault.inject()
        eventually(
            lambda: requests.all().get(topic) != request,  # noqa: B023 - awaited in the loop
            within=10 * undisturbed + 300,
            because=f"the table is read although {victim} was killed",
        )
        seconds = time.monotonic() - began
        fault.healed(HEALED_SECONDS)
        when = "in the middle" if still_read else "after its end"
        print(f"{victim} killed after {step:.1f} s ({when}): {seconds:.1f} s", flush=True)
        proof = stack.kappa("verify", "warehouse", "--table", accounts, timeout=600)
        assert proof.returncode == 0, proof.stdout + proof.stderr
    transfers.end()
    reader.end()
    writes = 2 * TRANSACTIONS_PER_SECOND * transfers.calls
    writes_per_second = writes / (time.monotonic() - first_transfer)
    print(f"{reader.calls} reads, {writes_per_second:.0f} writes/s", flush=True)
    assert reader.calls
    assert not reader.failures, reader.failures[:3]
