"""Sets Debezium's columns right where they are not MySQL's.

Debezium leaves out statements that it cannot parse, and misreads a few that it can. Rows of such a
table are then decoded by wrong columns, or left out. After each statement that the binlog watch has
seen, the tables that it names are compared with MySQL's own description. Where they differ, the
connector is stopped, its schema history gets MySQL's columns, it continues where it was, and the
table is read from MySQL again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from connectors.control.checked_columns import CheckedColumnsFile, unchecked_tables
from connectors.control.reread_request import RereadRequests
from connectors.debezium.binlog_findings import BinlogWatchFile, WatchState
from connectors.debezium.column_check import description, is_same, statements
from connectors.debezium.connect_api import STOPPED, ConnectApi
from connectors.debezium.schema_history import HistoryStatement, SchemaHistory
from connectors.mysql.client import connect, gtid_executed
from connectors.mysql.column_protection import hashed_columns
from connectors.mysql.table_description import MysqlTable, describe_table
from connectors.retry import wait_until
from connectors.runtime.settings import Settings
from schemas.errors import ContractError
from schemas.gtid import GtidSet, gtid_set
from schemas.topics import change_topic

STOP_SECONDS = 30.0
REASON = "Debezium's columns were not MySQL's, and were set right"

log = logging.getLogger("capture")


@dataclass(frozen=True)
class DescribedTables:
    """MySQL's tables, and MySQL's transactions then.

    `gtids` are those of the newest statement about each table that the watch had seen before.
    """

    gtids: Mapping[str, str]
    tables: Sequence[MysqlTable]
    executed_gtids: str


class SchemaRepair:
    """Compares Debezium's tables with MySQL's after statements, and repairs those that differ."""

    def __init__(
        self,
        settings: Settings,
        connect_api: ConnectApi,
        is_captured: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._rules = settings.mysql.capture_rules
        self._is_captured = is_captured
        self._connect = connect_api
        self._name = settings.connect.connector
        self._watch = BinlogWatchFile(settings.home)
        self._history = SchemaHistory(settings.kafka, settings.mysql.database)
        self._checked_file = CheckedColumnsFile(settings.home)
        self._described: DescribedTables | None = None

    def step(self) -> list[str]:
        """Repair the tables of new statements that differ. Returns their names.

        A table is looked at once the connector has passed all statements about it. Raises
        Unavailable, Refused.
        """
        described = self._described_tables()
        if described is None:
            return []
        watch = self._watch.read()
        if not (watch.gtids or GtidSet()).covers(gtid_set(described.executed_gtids)):
            return []  # further statements may be on their way
        self._described = None
        unchecked = self._unchecked(watch)
        unchanged = {
            name: gtid
            for name, gtid in described.gtids.items()
            if unchecked.get(name) == gtid
        }
        different_tables = self._different(
            table for table in described.tables if table.name in unchanged
        )
        if different_tables:
            self._repair(different_tables)
        self._checked_file.write(self._checked_file.read() | unchanged)
        return [table.name for table in different_tables]

    def _described_tables(self) -> DescribedTables | None:
        """Return what MySQL said of the tables that are due; None without any.

        The watch is always behind a server that is written to. So what was once asked counts until
        the watch has reached it, or the server has lost what it had then.
        """
        if self._described is None or not self._is_valid(self._described):
            unchecked = self._unchecked(self._watch.read())
            # A snapshot that is interrupted begins again.
            if not unchecked or self._connect.is_in_snapshot(self._name):
                return None
            passed = gtid_set(self._connect.gtids(self._name) or "")
            due = {name: gtid for name, gtid in unchecked.items() if gtid in passed}
            self._described = DescribedTables(due, *self._describe(due)) if due else None
        return self._described

    def _unchecked(self, watch: WatchState) -> dict[str, str]:
        """Return the captured tables that are not compared since a statement, with its GTID."""
        unchecked = unchecked_tables(watch.statements, self._checked_file.read())
        return {
            name: one.newest.gtid
            for name, one in unchecked.items()
            if self._is_captured(name)
        }

    def _is_valid(self, described: DescribedTables) -> bool:
        executed_gtids = gtid_set(self._executed_gtids())
        return executed_gtids.covers(gtid_set(described.executed_gtids))

    def reconfigure(self, config: Mapping[str, str], names: Iterable[str]) -> None:
        """Give the connector a configuration by which other tables or columns are captured.

        No record of the old configuration follows. Some tables may be new to Debezium: it learns
        them. Raises Unavailable, Refused.
        """
        with self._stopped_connector():
            self._connect.put_config(self._name, config)
            different_tables = self._different(self._describe(names)[0])
            if different_tables:
                self._teach(different_tables)

    def _different(self, tables: Iterable[MysqlTable]) -> list[MysqlTable]:
        """Return the tables of which Debezium's description is not MySQL's."""
        model = self._history.tables()
        different_tables = []
        for table in tables:
            names = [read_column.name for read_column in table.columns]
            hashed = hashed_columns(table.name, names, self._rules)
            if table.name not in model or not is_same(model[table.name], table, hashed):
                different_tables.append(table)
        return different_tables

    def is_current(self) -> bool:
        """Return whether all tables are compared after the statements that the watch has seen."""
        return not self._unchecked(self._watch.read())

    def _executed_gtids(self) -> str:
        """Return the transactions that MySQL has."""
        mysql = self._settings.mysql
        with connect(mysql, self._settings.login("mysql.debezium")) as connection:
            return gtid_executed(connection)

    def _describe(self, names: Iterable[str]) -> tuple[list[MysqlTable], str]:
        """Return MySQL's tables of some names, and its transactions afterwards."""
        mysql = self._settings.mysql
        login = self._settings.login("mysql.debezium")
        tables = []
        with connect(mysql, login, mysql.database) as connection:
            for name in sorted(names):
                try:
                    table = describe_table(connection, mysql.database, name)
                except ContractError as error:
                    log.warning("the columns of %s cannot be compared: %s", name, error)
                    continue
                if table is not None:
                    tables.append(table)
            return tables, gtid_executed(connection)

    def _repair(self, tables: Sequence[MysqlTable]) -> None:
        names = ", ".join(table.name for table in tables)
        log.warning("setting Debezium's columns right of %s", names)
        requests = RereadRequests(self._settings.home)
        with self._stopped_connector():
            # First: once Debezium has learned them, nothing shows that their rows were misread.
            for table in tables:
                topic = change_topic(self._settings.mysql.database, table.name)
                requests.add(topic, REASON)
            self._teach(tables)

    @contextmanager
    def _stopped_connector(self) -> Iterator[None]:
        """Stop the connector for a block."""
        self._connect.stop(self._name)
        try:
            wait_until(
                self._has_stopped,
                timeout_seconds=STOP_SECONDS,
                what=f"connector {self._name} to stop",
            )
            yield
        finally:
            self._connect.resume(self._name)

    def _teach(self, tables: Iterable[MysqlTable]) -> None:
        """Add MySQL's description of tables to the history, while the connector is stopped."""
        database = self._settings.mysql.database
        history = []
        for table in tables:
            drop, create = statements(table)
            history.append(HistoryStatement(database, drop))
            history.append(
                HistoryStatement(database, create, table.name, description(table))
            )
        self._history.append(history, self._connect.offset(self._name) or {})

    def _has_stopped(self) -> bool:
        status = self._connect.status(self._name)
        return status is not None and status.connector.state == STOPPED and not status.tasks
