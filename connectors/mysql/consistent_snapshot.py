"""Consistent snapshots of MySQL on several connections, at a known GTID set and without a lock.

A transaction that commits first gets its GTID, then becomes visible, and last moves from
`gtid_owned` to `gtid_executed` in one step. So if no GTID is owned and `gtid_executed` is the same
before and after the snapshots begin, no commit was in progress, and the snapshots hold that set.
`gtid_owned` is read first each time, so a transaction that ends between the two reads is seen in
it. Such a moment exists between two group commits. Source: MySQL Reference Manual, "GTID Life
Cycle" and "START TRANSACTION ... WITH CONSISTENT SNAPSHOT".
"""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from connectors.mysql.client import Connection, connect, gtid_executed
from connectors.runtime.settings import Login, Mysql
from schemas.errors import Unavailable

MAX_PAUSE_SECONDS = 0.01
READ_SECONDS = 600
# Before this version, SHOW BINARY LOG STATUS was SHOW MASTER STATUS.
BINARY_LOG_STATUS_VERSION = (8, 2)


@dataclass(frozen=True)
class Snapshot:
    """Connections that all see MySQL as of the GTID set `gtids`.

    The set ends in the binlog (file number, offset) at `position` or before, and not before
    `position_before`. `tries` is how many attempts it took.
    """

    readers: tuple[Connection, ...]
    gtids: str
    position: tuple[int, int]
    position_before: tuple[int, int]
    tries: int


@contextmanager
def snapshot(
    mysql: Mysql, login: Login, readers: int, within_seconds: float = 20.0
) -> Iterator[Snapshot]:
    """Open `readers` connections with the same view of MySQL, until the end of the block.

    Raises Unavailable if there is no moment without a commit in that time, SqlRefused if the login
    may not read the position of the binlog.
    """
    deadline = time.monotonic() + within_seconds
    tries = 0
    with ExitStack() as stack:
        watcher = stack.enter_context(connect(mysql, login))
        status_statement = _status_statement(watcher)
        connections = tuple(
            stack.enter_context(
                connect(mysql, login, mysql.database, answer_seconds=READ_SECONDS)
            )
            for _ in range(readers)
        )
        for connection in connections:
            connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        while True:
            tries += 1
            # Outside of the moment without a commit, which must be short.
            position_before = _position(watcher, status_statement)
            gtids = _try_to_begin(watcher, connections)
            if gtids is not None:
                position = _position(watcher, status_statement)
                yield Snapshot(connections, gtids, position, position_before, tries)
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"MySQL commits all the time: {tries} tries in {within_seconds:.0f} s met no "
                    "moment without a commit",
                    "try again when MySQL has less load",
                )
            time.sleep(random.uniform(0, MAX_PAUSE_SECONDS))


def _try_to_begin(watcher: Connection, readers: tuple[Connection, ...]) -> str | None:
    """Begin the snapshots. Returns their GTID set, or None if a commit was in progress."""
    for reader in readers:
        reader.execute("ROLLBACK")
    gtids_before = _stable_gtids(watcher)
    if gtids_before is None:
        return None
    for reader in readers:
        reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    return gtids_before if _stable_gtids(watcher) == gtids_before else None


def _position(watcher: Connection, status_statement: str) -> tuple[int, int]:
    status = watcher.query(status_statement)[0]
    _, _, file_number = str(status["File"]).rpartition(".")
    return int(file_number), int(status["Position"])


def _stable_gtids(watcher: Connection) -> str | None:
    """Return the executed transactions, or None if one is being committed."""
    rows = watcher.query("SELECT @@GLOBAL.gtid_owned AS gtids")
    is_committing = bool(str(rows[0]["gtids"]).strip())
    return None if is_committing else gtid_executed(watcher)


def _status_statement(watcher: Connection) -> str:
    """Return the statement by which this server tells its position in the binlog."""
    version_text = str(watcher.query("SELECT VERSION() AS version")[0]["version"])
    numbers = version_text.split("-")[0].split(".")[:2]
    version = tuple(int(number) for number in numbers)
    if version >= BINARY_LOG_STATUS_VERSION:
        return "SHOW BINARY LOG STATUS"
    return "SHOW MASTER STATUS"
