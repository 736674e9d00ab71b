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
    """MySQL's tables after the statement `gtid`, and MySQL's transactions then."""

    gtid: str
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
        self._checked_gtid = ""
        self._described: DescribedTables | None = None

    def step(self) -> list[str]:
        """Repair the tables of new statements that differ. Returns their names.

        Does nothing until the connector has passed all statements. Raises Unavailable, Refused.
        """
        watch = self._watch.read()
        all_names = tables_since(watch, self._checked_gtid)
        if not watch.statements or not all_names:
            return []
        last_gtid = watch.statements[-1].gtid
        if not self._has_passed(last_gtid):
            return []
        described = self._described_after(last_gtid, all_names)
        watch = self._watch.read()
        if not (watch.gtids or GtidSet()).covers(gtid_set(described.executed_gtids)):
            return []  # further statements may be on their way
        if not watch.statements or watch.statements[-1].gtid != last_gtid:
            return []
        different_tables = self._different(described.tables)
        if different_tables:
            self._repair(different_tables)
        self._checked_gtid = last_gtid
        self._described = None
        return [table.name for table in different_tables]

    def _described_after(self, gtid: str, names: Iterable[str]) -> DescribedTables:
        """Return what MySQL says of tables after a statement.

        The watch is always behind a server that is written to. So what was once asked counts until
        the watch has reached it, or another statement, or the server has lost what it had then.
        """
        described = self._described
        if described is None or described.gtid != gtid or not self._is_valid(described):
            captured_names = list(filter(self._is_captured, names))
            described = DescribedTables(gtid, *self._describe(captured_names))
            self._described = described
        return described

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
        """Return whether all statements that the watch has seen are checked."""
        statements_seen = self._watch.read().statements
        return not statements_seen or statements_seen[-1].gtid == self._checked_gtid

    def _has_passed(self, gtid: str) -> bool:
        return gtid in gtid_set(self._connect.gtids(self._name) or "")

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


def tables_since(watch: WatchState, checked_gtid: str) -> set[str]:
    """Return the tables that statements after one name; after none, all tables seen so far."""
    names: set[str] = set()
    for statement in reversed(watch.statements):
        if statement.gtid == checked_gtid:
            break
        names.update(statement.names)
    return names
