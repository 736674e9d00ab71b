"""A thread that writes to random tables all the time."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Self

from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.mysql.server_check.tables import LOGGED_CASCADES
from connectors.runtime.settings import Settings
from schemas.errors import Unavailable
from tests.chaos.ddl_schedules.table_state import TableState
from tests.chaos.public_schemas.row_writes import STRICT, RowWrites

PAUSE_SECONDS = 0.02
# The tables are looked up again after so many writes.
WRITES_PER_LOOK = 20
TRANSACTION_SHARE = 0.15
LOCK_SECONDS = 2
Tables = Callable[[Connection], Sequence[TableState]]


def logs_cascades(mysql: Connection) -> bool:
    """Return whether rows that foreign keys change are in the server's binary log."""
    version = str(mysql.query("SELECT VERSION() AS version")[0]["version"])
    numbers = version.partition("-")[0].split(".")
    return tuple(map(int, numbers)) >= LOGGED_CASCADES


class RowWriter:
    """Writes until it is left. What MySQL refuses is counted: constraints are not known to it.

    `inserted` are the tables that got a row from it once `is_loading` was over.
    """

    def __init__(self, settings: Settings, tables: Tables, seed: str) -> None:
        self.accepted = 0
        self.refused = Counter[int]()
        self.inserted: set[str] = set()
        self.is_loading = True
        self._settings = settings
        self._tables = tables
        self._random = Random(seed)
        self._writes = RowWrites(self._random)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="row-writer", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def write_for(self, seconds: float) -> None:
        """Let it write to loaded tables for so long."""
        self.is_loading = False
        self._stopped.wait(seconds)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._write_on_a_connection()
        except Exception as error:
            self._error = error
            self._stopped.set()

    def _write_on_a_connection(self) -> None:
        settings = self._settings
        login = settings.login("mysql.admin")
        with connect(settings.mysql, login, settings.mysql.database) as mysql:
            for variable in ("lock_wait_timeout", "innodb_lock_wait_timeout"):
                mysql.execute(f"SET SESSION {variable} = {LOCK_SECONDS}")
            if not logs_cascades(mysql):
                mysql.execute("SET SESSION foreign_key_checks = 0")
            while mysql.is_open and not self._stopped.is_set():
                tables = self._tables(mysql)
                if not tables:
                    self._stopped.wait(PAUSE_SECONDS)
                for _ in range(WRITES_PER_LOOK if tables else 0):
                    self._write_once(mysql, tables)
                    if self._stopped.wait(PAUSE_SECONDS):
                        return

    def _write_once(self, mysql: Connection, tables: Sequence[TableState]) -> None:
        table = self._random.choice(tables)
        statements = [self._writes.write(table, is_loading=self.is_loading)]
        if self._random.random() < TRANSACTION_SHARE:
            other = self._random.choice(tables)
            statements.append(self._writes.write(other, is_loading=self.is_loading))
            end = self._random.choice(("COMMIT", "COMMIT", "ROLLBACK"))
            statements = ["BEGIN", *statements, end]
        mode = self._writes.sql_mode(table) if len(statements) == 1 else STRICT
        mysql.execute(f"SET SESSION sql_mode = '{mode}'")
        for statement in statements:
            is_accepted = self._execute(mysql, statement)
            is_alone = len(statements) == 1 and not self.is_loading
            if is_accepted and is_alone and statement.startswith("INSERT INTO"):
                self.inserted.add(table.name)

    def _execute(self, mysql: Connection, statement: str) -> bool:
        """Return whether MySQL accepted a statement."""
        try:
            mysql.execute(statement.replace("%", "%%"))
        except SqlRefused as error:
            self.refused[error.errno] += 1
            return False
        except Unavailable:
            # A lock, or a lost connection: a transaction is rolled back either way.
            self.refused[0] += 1
            if mysql.answers():
                mysql.execute("ROLLBACK")
            return False
        self.accepted += 1
        return True
