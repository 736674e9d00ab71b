"""One moment of MySQL for several connections: consistent snapshots at a known GTID set, taken under a lock of milliseconds.

Source: MySQL Reference Manual, "FLUSH TABLES ... WITH READ LOCK" (it blocks every commit) and "START TRANSACTION ... WITH CONSISTENT SNAPSHOT".
The lock waits for statements that run, and new ones then wait behind it; so a watchdog takes it away after `LOCK_SECONDS`, and it is tried again.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from connectors.mysql import Connection, connect, gtid_executed
from infra.errors import KappaError, Unavailable
from infra.settings import Login, Mysql

# A lock that is not given back by then is taken away: with what the way there takes, writers wait 50 ms at most.
LOCK_SECONDS = 0.035
PAUSE_SECONDS = (0.1, 0.5)
READ_SECONDS = 600
STATUS_SINCE = (8, 2)  # before that, SHOW BINARY LOG STATUS was SHOW MASTER STATUS


@dataclass(frozen=True)
class Snapshot:
    """The readers, which all see MySQL as of `gtids`; the place in the binary log (number of the file, position);
    how long commits waited; how many tries.
    """

    readers: tuple[Connection, ...]
    gtids: str
    position: tuple[int, int]
    lock_ms: float
    tries: int


@contextmanager
def snapshot(mysql: Mysql, login: Login, readers: int, within_seconds: float = 60.0) -> Iterator[Snapshot]:
    """So many connections with the same view of MySQL, until the end of the block.

    Raises Unavailable if statements that run leave no moment for the lock within that time, SqlRefused if the login may not lock.
    """
    deadline, tries = time.monotonic() + within_seconds, 0
    with ExitStack() as stack:
        watcher = stack.enter_context(connect(mysql, login))
        connections = tuple(stack.enter_context(connect(mysql, login, mysql.database, answer_seconds=READ_SECONDS)) for _ in range(readers))
        for connection in connections:
            connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        while True:
            tries += 1
            taken = _try(mysql, login, watcher, connections, tries)
            if taken is not None:
                yield taken
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"MySQL gave no lock of {LOCK_SECONDS * 1000:.0f} ms within {within_seconds:.0f} s: statements run that long all the time",
                    "try again when it has less to do; see SHOW PROCESSLIST",
                )
            time.sleep(random.uniform(*PAUSE_SECONDS))


def _try(mysql: Mysql, login: Login, watcher: Connection, readers: tuple[Connection, ...], tries: int) -> Snapshot | None:
    """The snapshot, or None if the lock took too long. Only if the lock is still ours at its end was it there all the time."""
    for reader in readers:
        reader.execute("ROLLBACK")
    with connect(mysql, login) as lock:
        number, status = _about(lock)
        watchdog = Watchdog(watcher, number)
        begin = time.monotonic()
        watchdog.start()
        try:
            lock.execute("FLUSH TABLES WITH READ LOCK")
            for reader in readers:
                reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            gtids, place = gtid_executed(lock), lock.query(status)[0]
            lock.execute("UNLOCK TABLES")
            lock_ms = (time.monotonic() - begin) * 1000
        except KappaError:
            if not watchdog.fired:
                raise
            return None
        finally:
            watchdog.stop()
    return Snapshot(readers, gtids, (int(str(place["File"]).rpartition(".")[2]), int(place["Position"])), round(lock_ms, 2), tries)


def _about(lock: Connection) -> tuple[int, str]:
    """The connection's number, and the statement that asks this server for its place in the binary log."""
    found = lock.query("SELECT CONNECTION_ID() AS number, VERSION() AS version")[0]
    version = tuple(int(part) for part in str(found["version"]).split("-")[0].split(".")[:2])
    return int(found["number"]), "SHOW BINARY LOG STATUS" if version >= STATUS_SINCE else "SHOW MASTER STATUS"


class Watchdog:
    """Ends a connection, and with it its lock, unless stopped in time."""

    def __init__(self, watcher: Connection, number: int, seconds: float = LOCK_SECONDS) -> None:
        self.fired = False
        self._watcher, self._number = watcher, number
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def start(self) -> None:
        """Begin to count."""
        self._timer.start()

    def stop(self) -> None:
        """Count no more; when this returns it has ended the connection or never will."""
        self._timer.cancel()
        self._timer.join()

    def _fire(self) -> None:
        self.fired = True
        with suppress(KappaError):  # it may have gone by itself
            self._watcher.execute(f"KILL {self._number}")
