"""Tables that are read from MySQL again, beside the stream, on a running stack."""

import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest

from connectors.control.reread_request import RereadRequests
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection, connect
from connectors.runtime.process_state import read_state
from schemas.manifest import Manifest
from schemas.topics import change_topic
from tests.compare import assert_table_agrees, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually

TABLE = "rr_stock"
ROWS = 20_000
KILLS = 3


@pytest.fixture(scope="module")
def stock(stack: Stack, mysql: Connection) -> Iterator[str]:
    """A table with rows, in Hive."""
    mysql.execute(f"DROP TABLE IF EXISTS {TABLE}")
    mysql.execute(
        f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, amount INT, note VARCHAR(20))"
    )
    values = ", ".join(f"({number}, 0, 'n{number}')" for number in range(ROWS))
    mysql.execute(f"INSERT INTO {TABLE} VALUES {values}")
    eventually(
        lambda: len(rows_in_hive(stack.settings, TABLE) or ()) == ROWS,
        within=120,
        because="the rows are in Hive",
    )
    yield TABLE
    mysql.execute(f"DROP TABLE {TABLE}")


@pytest.fixture
def writes(stack: Stack) -> Iterator[None]:
    """Changes of the table, all the time."""
    stop = threading.Event()

    def write() -> None:
        settings = stack.settings
        login = settings.login("mysql.admin")
        with connect(settings.mysql, login, settings.mysql.database) as session:
            number = 0
            while not stop.wait(0.01):
                number = (number + 37) % ROWS
                session.execute(
                    f"UPDATE {TABLE} SET amount = amount + 1 WHERE id = {number}"
                )

    thread = threading.Thread(target=write)
    thread.start()
    yield
    stop.set()
    thread.join()


def newest(stack: Stack) -> Manifest:
    return ManifestStore(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root).newest()


def readers(stack: Stack) -> list[psutil.Process]:
    """The processes that read tables now."""
    state = read_state(stack.settings.home, "compactor") or {}
    compactor = psutil.Process(int(state["pid"]))
    return [
        child
        for child in compactor.children()
        if "spark.reread" in " ".join(child.cmdline())
    ]


def test_a_table_is_read_again_while_it_is_written(
    stack: Stack, mysql: Connection, stock: str, writes: None
) -> None:
    printed = stack.kappa("resync", stock, check=True).stdout
    assert printed.startswith(f"read again: {stock}; {ROWS:,} rows in ")
    assert newest(stack).bases[stock].rows == ROWS


def test_it_equals_mysql_afterwards(stack: Stack, mysql: Connection, stock: str) -> None:
    assert_table_agrees(stack.settings, mysql, stock, within=60)
    assert stack.kappa("verify", "warehouse", "--table", stock).returncode == 0


def test_killed_readers_leave_nothing_half_done(
    stack: Stack, mysql: Connection, stock: str, writes: None
) -> None:
    topic = change_topic(stack.settings.mysql.database, stock)
    requests = RereadRequests(stack.settings.home)
    request = requests.add(topic, "a test")
    for _ in range(KILLS):
        (process, *_) = eventually(
            lambda: readers(stack), within=90, because="the table is being read"
        )
        os.kill(process.pid, signal.SIGKILL)
    stack.kappa("restart", "compactor", check=True)
    assert eventually(
        lambda: requests.all().get(topic) != request,
        within=180,
        because="the table is read in the end",
    )
    assert len(rows_in_hive(stack.settings, stock, ["id"]) or ()) == ROWS


def test_a_replay_begins_with_what_was_read(
    stack: Stack, mysql: Connection, stock: str
) -> None:
    mysql.execute(f"DELETE FROM {stock} WHERE id < 10")
    stack.kappa("compact", "--now", check=True)
    stack.kappa("replay", "warehouse", "--table", stock, check=True, timeout=300)
    assert_table_agrees(stack.settings, mysql, stock, within=60)


def test_rows_that_no_log_has_are_found_and_read_again(
    stack: Stack, mysql: Connection, stock: str
) -> None:
    mysql.execute("SET SESSION sql_log_bin = 0")
    mysql.execute(f"UPDATE {stock} SET note = 'unlogged' WHERE id = 11")
    mysql.execute("SET SESSION sql_log_bin = 1")
    proof = stack.kappa("verify", "warehouse", "--table", stock)
    assert proof.returncode != 0
    assert f"{stock} will be read again from MySQL" in proof.stderr + proof.stdout
    assert_table_agrees(stack.settings, mysql, stock, within=120)
