"""Sets Debezium's columns right where they are not MySQL's.

Debezium leaves out statements that it cannot parse, and misreads a few that it can. Rows of such a
table are then decoded by wrong columns, or left out. After each statement that the binlog watch has
seen, the tables that it names are compared with MySQL's own description. Where they differ, the
connector is stopped, its schema history gets MySQL's columns, it continues where it was, and the
table is read from MySQL again. So are tables whose statements the watch has not seen, or forgotten.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.control.checked_columns import CheckedColumnsFile, unchecked_tables
from connectors.control.reread_request import RereadRequests
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    DROPPED_STATEMENT,
    WatchState,
)
from connectors.debezium.column_check import description, is_same, statements
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.schema_history import HistoryStatement, SchemaHistory
from connectors.debezium.snapshot_tables import captured_tables
from connectors.mysql.client import connect, gtid_executed, gtid_purged
from connectors.mysql.column_protection import hashed_columns
from connectors.mysql.table_description import MysqlTable, describe_table
from connectors.runtime.settings import Settings
from schemas.errors import ContractError
from schemas.gtid import GtidSet, gtid_set
from schemas.topics import change_topic

REASON = "Debezium's columns were not MySQL's, and were set right"

log = logging.getLogger("capture")


@dataclass(frozen=True)
class DescribedTables:
    """MySQL's tables, and MySQL's transactions then.

    `gtids` are those of the newest statement about each table that the watch had seen before;
    `lacking_at`, unless 0, is when it last found that it does not know all statements.
    """

    gtids: Mapping[str, str]
    lacking_at: float
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
        self._lacking_checked_at = 0.0
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
        if described.lacking_at and not self._has_passed(described.executed_gtids):
            return []
        self._described = None
        unchecked = self._unchecked(watch)
        unchanged = {
            name: gtid
            for name, gtid in described.gtids.items()
            if unchecked.get(name) == gtid
        }
        names = set(unchanged)
        if described.lacking_at:
            names |= {table.name for table in described.tables} - unchecked.keys()
        different_tables = self._different(
            table for table in described.tables if table.name in names
        )
        if different_tables:
            self._repair(different_tables)
        if unchanged:
            self._note_checked(unchanged, watch)
        self._lacking_checked_at = max(self._lacking_checked_at, described.lacking_at)
        return [table.name for table in different_tables]

    def _note_checked(self, gtids: Mapping[str, str], watch: WatchState) -> None:
        """Note the statements after which tables were compared, as long as the watch knows them."""
        remembered_gtids = {statement.gtid for statement in watch.statements}
        checked = {
            table: gtid
            for table, gtid in self._checked_file.read().items()
            if gtid in remembered_gtids
        }
        self._checked_file.write({**checked, **gtids})

    def _described_tables(self) -> DescribedTables | None:
        """Return what MySQL said of the tables that are due; None without any.

        The watch is always behind a server that is written to. So what was once asked counts until
        the watch has reached it, or the server has lost what it had then.
        """
        if self._described is None or not self._is_valid(self._described):
            self._described = None
            watch = self._watch.read()
            unchecked = self._unchecked(watch)
            lacking_at = self._lacking_at(watch)
            # A snapshot that is interrupted begins again.
            if not (unchecked or lacking_at) or self._connect.is_in_snapshot(self._name):
                return None
            passed_gtids = self._passed()
            due = {name: gtid for name, gtid in unchecked.items() if gtid in passed_gtids}
            names = set(due)
            if lacking_at and self._has_passed(self._executed_gtids()):
                names |= self._lacking_names(watch)
            else:
                lacking_at = 0.0
            if names or lacking_at:
                self._described = DescribedTables(due, lacking_at, *self._describe(names))
        return self._described

    def _lacking_at(self, watch: WatchState) -> float:
        """Return when the watch last found, since the last comparison, that statements lack."""
        tables = lacking_tables(watch, self._lacking_checked_at)
        return max(tables.values(), default=0.0)

    def _lacking_names(self, watch: WatchState) -> set[str]:
        """Return the captured tables about which statements may lack."""
        names = set(lacking_tables(watch, self._lacking_checked_at))
        if ALL_TABLES in names:
            names = set(captured_tables(self._settings))
        return set(filter(self._is_captured, names))

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

    def _passed(self) -> GtidSet:
        return gtid_set(self._connect.gtids(self._name) or "")

    def _has_passed(self, gtids: str) -> bool:
        """Return whether the connector has passed all transactions of a set that MySQL sends."""
        passed_gtids = self._passed()
        if passed_gtids.covers(gtid_set(gtids)):
            return True
        purged_gtids = gtid_set(self._purged_gtids())
        return passed_gtids.union(purged_gtids).covers(gtid_set(gtids))

    def reconfigure(self, config: Mapping[str, str], names: Iterable[str]) -> None:
        """Give the connector a configuration by which other tables or columns are captured.

        No record of the old configuration follows. Some tables may be new to Debezium: it learns
        them. Raises Unavailable, Refused.
        """
        with self._connect.stopped(self._name):
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
        """Return whether all tables are compared after the statements that the watch has seen, or
        that it lacks.
        """
        watch = self._watch.read()
        return not (self._unchecked(watch) or self._lacking_at(watch))

    def _executed_gtids(self) -> str:
        """Return the transactions that MySQL has."""
        mysql = self._settings.mysql
        with connect(mysql, self._settings.login("mysql.debezium")) as connection:
            return gtid_executed(connection)

    def _purged_gtids(self) -> str:
        """Return the transactions that MySQL has, and its log lacks."""
        mysql = self._settings.mysql
        with connect(mysql, self._settings.login("mysql.debezium")) as connection:
            return gtid_purged(connection)

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
        with self._connect.stopped(self._name):
            # First: once Debezium has learned them, nothing shows that their rows were misread.
            for table in tables:
                topic = change_topic(self._settings.mysql.database, table.name)
                requests.add(topic, REASON)
            self._teach(tables)

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


def lacking_tables(watch: WatchState, checked_at: float) -> dict[str, float]:
    """Return the tables, ALL_TABLES among them, about which statements lack, and since when.

    Those that were found after a time: their log is gone, or they are not remembered.
    """
    tables = {}
    for table, finding in watch.findings.items():
        is_lacking = not finding.gtid or finding.reason == DROPPED_STATEMENT
        if is_lacking and finding.at > checked_at:
            tables[table] = finding.at
    return tables
