"""One schema: its scripts are played, its rows written to, and its tables compared with Hive."""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.runtime.settings import Settings
from schemas.errors import Refused, Unavailable
from schemas.shop_tables import quoted
from schemas.topics import table_of
from tests.chaos.ddl_schedules.comparison import Warehouse, difference
from tests.chaos.ddl_schedules.marker import MARKER, wait_until_shown
from tests.chaos.ddl_schedules.rounds import TableCheck
from tests.chaos.ddl_schedules.table_state import TableState
from tests.chaos.public_schemas.captured_objects import (
    CapturedObjects,
    captured_objects,
    drop,
    table_states,
)
from tests.chaos.public_schemas.renaming import renamed
from tests.chaos.public_schemas.row_writer import RowWriter
from tests.chaos.public_schemas.sql_script import script_statements
from tests.chaos.public_schemas.statement_choice import reason_left_out
from tests.eventually import eventually

CAUGHT_UP_SECONDS = 900.0
HEALED_SECONDS = 600.0
STATEMENT_SECONDS = 600
SIDE_BY_SIDE = 4
SHOWN_CHARACTERS = 160


@dataclass
class TrialResult:
    """What came of a schema; `wrong` says for each wrong table what is wrong with it.

    `names` are its tables. `refused` are the statements of its scripts that MySQL refused, with the
    reason; `left_out` counts those that were not played. `write_errors` counts the refused writes
    by MySQL's error number, 0 for a lock.
    """

    name: str
    names: list[str] = field(default_factory=list)
    rows: int = 0
    played: int = 0
    refused: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    write_errors: Counter[int] = field(default_factory=Counter)
    reread: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def tables(self) -> int:
        """How many tables were compared."""
        return len(self.names)

    def report(self) -> str:
        """Return the result in a few lines."""
        verdict = "WRONG" if self.wrong else "equal"
        lines = [
            f"{self.name}: {verdict}, {self.tables} tables, {self.rows} rows, "
            f"{self.played} statements, {len(self.refused)} refused, "
            f"{self.left_out.total()} left out, {len(self.reread)} tables read again; "
            f"{self.writes} writes, {self.write_errors.total()} refused"
        ]
        for error, count in self.write_errors.most_common():
            lines.append(f"  writes refused: {count} x error {error}")
        for reason, count in self.left_out.most_common():
            lines.append(f"  left out: {count} x {reason}")
        lines += [f"  refused: {statement}" for statement in self.refused]
        if self.reread:
            lines.append(f"  read again: {', '.join(self.reread)}")
        return "\n".join([*lines, *(f"  wrong: {problem}" for problem in self.wrong)])


class SchemaTrial:
    """The scripts of one schema, played on a running stack.

    Its tables have their own names, except those that the database has already.
    """

    def __init__(
        self, settings: Settings, name: str, scripts: Sequence[Path], write_seconds: float
    ) -> None:
        self._settings = settings
        self._warehouse = Warehouse(settings)
        self._scripts = scripts
        self._write_seconds = write_seconds
        self._before = CapturedObjects((), (), ())
        self._result = TrialResult(name)
        self._inserted: set[str] = set()

    def run(self) -> TrialResult:
        """Play, write and compare. The schema's tables are dropped at the end."""
        with self._connection() as mysql:
            self._before = captured_objects(mysql, self._database)
        readings = self._readings()
        try:
            self._play_and_write()
            with self._connection() as mysql:
                tables = table_states(mysql, self._database, self._before)
            if tables:
                wait_until_shown(self._warehouse, CAUGHT_UP_SECONDS)
                self._compare(tables, readings)
            return self._result
        finally:
            self._remove()

    def _play_and_write(self) -> None:
        with RowWriter(self._settings, self._tables, self._result.name) as writer:
            for script in self._scripts:
                self._play(script)
            with self._connection() as mysql:
                if self._tables(mysql):
                    writer.write_for(self._write_seconds)
        self._result.writes = writer.accepted
        self._result.write_errors = writer.refused
        self._inserted = writer.inserted

    def _tables(self, mysql: Connection) -> Sequence[TableState]:
        return table_states(mysql, self._database, self._before)

    def _play(self, script: Path) -> None:
        """Play a script in a session of its own, and go on behind statements that are refused."""
        new_names = self._new_names()
        mysql = self._session()
        try:
            for statement in script_statements(script):
                reason = reason_left_out(statement)
                if reason:
                    self._result.left_out[reason] += 1
                    continue
                if not mysql.is_open:
                    mysql = self._session()
                self._play_one(mysql, renamed(statement, new_names))
        finally:
            mysql.close()

    def _play_one(self, mysql: Connection, statement: str) -> None:
        self._result.played += 1
        try:
            mysql.execute(statement.replace("%", "%%"))
        except (SqlRefused, Unavailable) as error:
            if isinstance(error, Unavailable):
                # Opens a broken connection again.
                mysql.answers()
            text = " ".join(statement.split())[:SHOWN_CHARACTERS]
            self._result.refused.append(f"{refusal(str(error))}: {text}")

    def _new_names(self) -> dict[str, str]:
        """Return other names for the tables and views that the database has already."""
        prefix = re.sub(r"\W", "_", self._result.name)
        taken = (*self._before.tables, *self._before.views)
        return {name: f"{prefix}_{name}"[-64:] for name in taken}

    def _session(self) -> Connection:
        """Return a session as the client has it, in the server's mode."""
        mysql = self._connection()
        mysql.execute("SET SESSION sql_mode = DEFAULT")
        return mysql

    def _compare(self, tables: Sequence[TableState], readings: dict[str, str]) -> None:
        names = [table.name for table in tables]
        self._result.names = names
        with self._connection() as mysql:
            self._result.rows = sum(row_count(mysql, name) for name in names)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            problems = list(pool.map(self._compare_table, tables))
        self._result.wrong += [problem for problem in problems if problem]
        after = self._readings()
        self._result.reread = [
            name for name in names if after.get(name, "") != readings.get(name, "")
        ]
        existing = {*names, *self._before.tables, MARKER}
        for name in published_tables(self._warehouse):
            if name not in existing:
                self._result.wrong.append(f"{name}: Hive has it, MySQL does not")

    def _compare_table(self, table: TableState) -> str:
        """Return what is wrong with a table, "" if it is equal and replicated."""
        with self._connection() as mysql:
            try:
                problem = self._problem(mysql, table)
            except Refused as error:
                problem = str(error)
        return f"{table.name}: {problem}" if problem else ""

    def _problem(self, mysql: Connection, table: TableState) -> str:
        check = TableCheck(
            lambda: difference(
                self._warehouse, mysql, table, is_written=table.name in self._inserted
            ),
            lambda: self._warehouse.reason_to_wait(table.name),
            healed_seconds=HEALED_SECONDS,
        )
        problem = check.run()
        if problem:
            return problem
        try:
            eventually(
                lambda: not self._warehouse.reason_to_wait(table.name),
                within=HEALED_SECONDS,
                because="the table is followed again",
            )
        except AssertionError:
            return f"equal, but stopped: {self._warehouse.reason_to_wait(table.name)}"
        return ""

    def _readings(self) -> dict[str, str]:
        """Return by table when it was last read from MySQL, as GTID sets."""
        readings = {}
        for base in self._warehouse.newest().bases.values():
            table = table_of(base.topic, self._database)
            if table is not None:
                readings[table] = base.gtids
        return readings

    def _remove(self) -> None:
        with self._connection() as mysql:
            after = captured_objects(mysql, self._database)
            drop(mysql, after.without(self._before))
        for name in self._before.without(after).tables:
            self._result.wrong.append(f"{name}: its scripts have dropped a table of others")

    @property
    def _database(self) -> str:
        return self._settings.mysql.database

    def _connection(self) -> Connection:
        login = self._settings.login("mysql.admin")
        return connect(
            self._settings.mysql, login, self._database, answer_seconds=STATEMENT_SECONDS
        )


def published_tables(warehouse: Warehouse) -> list[str]:
    """Return the names in MySQL of the tables of the newest version."""
    database = warehouse.settings.mysql.database
    names = []
    for published in warehouse.newest().tables.values():
        table = table_of(published.topic, database)
        if table is not None:
            names.append(table)
    return sorted(names)


def row_count(mysql: Connection, table: str) -> int:
    """Return the number of rows of a table of MySQL."""
    name = quoted(table).replace("%", "%%")
    return int(mysql.query(f"SELECT COUNT(*) AS n FROM {name}")[0]["n"])


def refusal(message: str) -> str:
    """Return why MySQL refused a statement, without the server's name."""
    first_line = message.splitlines()[0]
    _, _, reason = first_line.partition(" refuses: ")
    return (reason or first_line)[:SHOWN_CHARACTERS]
