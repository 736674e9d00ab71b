"""One moment of MySQL for several connections: consistent snapshots at a known GTID set, without a lock.

A transaction that commits gets its GTID first, is then made visible, and leaves `gtid_owned` for `gtid_executed` last, in one step. So if nobody
owns a GTID and `gtid_executed` is the same before and after the snapshots are begun, no commit was under way, and the snapshots hold that set.
`gtid_owned` is read first each time: what finishes between the two readings is then seen in it. Such a moment is found between two group commits.
Source: MySQL Reference Manual, "GTID Life Cycle" and "START TRANSACTION ... WITH CONSISTENT SNAPSHOT".
"""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from connectors.mysql import Connection, connect, gtid_executed
from infra.errors import Unavailable
from infra.settings import Login, Mysql

MOST_PAUSE_SECONDS = 0.01
READ_SECONDS = 600
STATUS_SINCE = (8, 2)  # before that, SHOW BINARY LOG STATUS was SHOW MASTER STATUS


@dataclass(frozen=True)
class Snapshot:
    """The readers, which all see MySQL as of `gtids`; a place in the binary log (file number, position) behind all of these; how many tries."""

    readers: tuple[Connection, ...]
    gtids: str
    position: tuple[int, int]
    tries: int


@contextmanager
def snapshot(mysql: Mysql, login: Login, readers: int, within_seconds: float = 20.0) -> Iterator[Snapshot]:
    """So many connections with the same view of MySQL, until the end of the block.

    Raises Unavailable if commits leave no moment between them within that time, SqlRefused if the login may not ask for the binary log.
    """
    deadline, tries = time.monotonic() + within_seconds, 0
    with ExitStack() as stack:
        watcher = stack.enter_context(connect(mysql, login))
        status = _status(watcher)
        connections = tuple(stack.enter_context(connect(mysql, login, mysql.database, answer_seconds=READ_SECONDS)) for _ in range(readers))
        for connection in connections:
            connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        while True:
            tries += 1
            if (gtids := _try(watcher, connections)) is not None:
                place = watcher.query(status)[0]
                yield Snapshot(connections, gtids, (int(str(place["File"]).rpartition(".")[2]), int(place["Position"])), tries)
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"MySQL commits all the time: within {within_seconds:.0f} s and {tries} tries no moment was free of it",
                    "try again when it has less to do",
                )
            time.sleep(random.uniform(0, MOST_PAUSE_SECONDS))


def _try(watcher: Connection, readers: tuple[Connection, ...]) -> str | None:
    """Begin the snapshots; the set that they hold, or None if a commit was under way."""
    for reader in readers:
        reader.execute("ROLLBACK")
    before = _settled(watcher)
    if before is None:
        return None
    for reader in readers:
        reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    return before if _settled(watcher) == before else None


def _settled(watcher: Connection) -> str | None:
    """The transactions that are executed, or None if one is being committed."""
    owned = str(watcher.query("SELECT @@GLOBAL.gtid_owned AS gtids")[0]["gtids"])
    return None if owned.strip() else gtid_executed(watcher)


def _status(watcher: Connection) -> str:
    """The statement that asks this server for its place in the binary log."""
    version = str(watcher.query("SELECT VERSION() AS version")[0]["version"])
    found = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
    return "SHOW BINARY LOG STATUS" if found >= STATUS_SINCE else "SHOW MASTER STATUS"
