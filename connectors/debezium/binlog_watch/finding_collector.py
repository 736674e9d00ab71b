"""Collects from the binary log's transactions what they mean for the tables Debezium captures."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from connectors.debezium.binlog_watch.logged_statements import (
    Rename,
    created_tables,
    created_temporary_table,
    creates_if_absent,
    drops_database,
    inserts_rows,
    may_change_tables,
    moved_tables,
    renames,
    truncates_table,
    unclear_renames,
)
from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    DROPPED_STATEMENT,
    INCIDENT,
    MOVED_TABLE,
    OTHER_ENGINE,
    PARTIAL_ROWS,
    REPLACED_XA,
    STATEMENT_ROWS,
    TEMPORARY_NAMESAKE,
    UNREAD_XA,
    XA_ROLLBACK,
    DdlStatement,
    Finding,
    WatchState,
)
from connectors.debezium.binlog_watch.xa_transactions import XaTransactions
from connectors.mysql.binlog_events import (
    ANY_DATABASE,
    BinlogTransaction,
    LoggedStatement,
    Table,
    XaEvent,
)
from schemas.capture_rules import has_logged_rows
from schemas.gtid import GtidSet
from schemas.sql_tokens import mentioned_names

MAX_STATEMENTS = 10_000
# Statements whose place among the transactions is kept.
MAX_PLACES = 1_000
# Names of temporary tables; of more, the oldest are forgotten.
MAX_TEMPORARY_TABLES = 10_000

log = logging.getLogger("binlog-watch")


class FindingCollector:
    """Collects what transactions mean for the tables of one database.

    `read_tables` returns the names of the tables that it has now, and their engines.
    """

    def __init__(
        self,
        database: str,
        read_tables: Callable[[], Mapping[str, str]],
        state: WatchState,
    ) -> None:
        self._database = database
        self._read_tables = read_tables
        self._gtids = state.gtids or GtidSet()
        self._new_gtids: list[str] = []
        self._last_gtid = ""
        self._findings = dict(state.findings)
        self._statements = list(state.statements)
        self._xa = XaTransactions(state)
        self._tables = set(state.tables)
        self._unlogged_tables = dict(state.unlogged_tables)
        self._are_tables_current = False
        # A set in the order of its members.
        self._temporary_tables = dict.fromkeys(state.temporary_tables)
        # Those whose rows statements of the present transaction changed.
        self._tables_of_statements: set[str] = set()
        self.has_news = False

    def state(self) -> WatchState:
        """Return everything up to the last transaction."""
        self.has_news = False
        return WatchState(
            gtids=self.gtids,
            findings=dict(self._findings),
            statements=tuple(self._statements),
            prepared=dict(self._xa.prepared_tables),
            prepared_findings=dict(self._xa.prepared_findings),
            preparations=dict(self._xa.preparations),
            committed_xa=tuple(self._xa.committed),
            tables=frozenset(self._tables),
            temporary_tables=tuple(self._temporary_tables),
            unlogged_tables=dict(self._unlogged_tables),
        )

    @property
    def gtids(self) -> GtidSet:
        """All transactions that were read."""
        self._gtids = self._gtids.with_gtids(self._new_gtids)
        self._new_gtids = []
        return self._gtids

    def restart(self, gtids: GtidSet, reason: str) -> None:
        """Go on after `gtids`, although transactions before were not read: `reason`.

        What was found in others is forgotten: nobody can wait for them, and all tables are read.
        """
        self._gtids = gtids
        self._new_gtids = []
        self._xa.forget_prepared()
        self._findings = {
            table: finding
            for table, finding in self._findings.items()
            if not finding.gtid or finding.gtid in gtids
        }
        self._last_gtid = ""
        # Another server may have had other transactions before them.
        self._statements = [
            replace(statement, before="", follows="")
            for statement in self._statements
            if statement.gtid in gtids
        ]
        self._add_finding(ALL_TABLES, "", reason)

    def add_transaction(self, transaction: BinlogTransaction) -> None:
        """Add a transaction that follows those before in the log. Raises what `read_tables` does.

        Nothing of it is lost if that fails: it counts as read last.
        """
        for database, table in transaction.partial_tables:
            if self._is_watched(database):
                self._add_finding(table, transaction.gtid, PARTIAL_ROWS)
        for database, table in transaction.tables:
            if table not in self._tables and self._is_watched(database):
                self._tables.add(table)
        self._tables_of_statements = set()
        for statement in transaction.statements:
            self._add_statement(transaction.gtid, statement)
        more_databases = transaction.more_databases
        if ANY_DATABASE in more_databases or any(map(self._is_watched, more_databases)):
            self._tables_of_statements.add(ALL_TABLES)
            self._add_finding(ALL_TABLES, transaction.gtid, STATEMENT_ROWS)
        if transaction.xa is not None:
            self._follow_xa(transaction, transaction.xa)
        if transaction.has_incident:
            self._add_finding(ALL_TABLES, transaction.gtid, INCIDENT)
        self._new_gtids.append(transaction.gtid)
        self._last_gtid = transaction.gtid

    def _is_watched(self, database: str) -> bool:
        # MySQL on Windows and macOS writes names in lower case.
        return database.lower() == self._database.lower()

    def _add_finding(
        self, table: str, gtid: str, reason: str, at: float | None = None
    ) -> None:
        earlier = self._findings.get(table)
        self._findings[table] = Finding(
            gtid=gtid,
            since=earlier.since if earlier else gtid,
            reason=reason,
            at=time.time() if at is None else at,
        )
        self._tables.add(table)
        self._tables.discard(ALL_TABLES)
        self.has_news = True
        log.warning("table %s, %s: %s", table, gtid or "no transaction", reason)

    def _add_statement(self, gtid: str, statement: LoggedStatement) -> None:
        names_in_text = mentioned_names(statement.text)
        if not self._is_about_database(statement, names_in_text):
            return
        if statement.is_in_transaction:
            self._add_changed_rows(gtid, names_in_text)
            return
        self._are_tables_current = False
        for database, table in created_tables(statement.text, statement.database):
            if self._is_watched(database):
                self._tables.add(table)
        tables = self._tables_named(names_in_text)
        if drops_database(statement.text, self._database):
            tables = sorted(self._tables)
        reason = self._reason_to_read(statement.text, names_in_text)
        reasons = dict.fromkeys(tables, reason) if reason else {}
        # Of such a statement Debezium may record the other tables only.
        moved = moved_tables(statement.text, statement.database, self._database)
        for table, reason in (reasons | dict.fromkeys(moved, MOVED_TABLE)).items():
            self._add_finding(table, gtid, reason)
        temporary_table = created_temporary_table(statement.text)
        if temporary_table:
            self._add_temporary_table(temporary_table.lower())
        if tables and may_change_tables(statement.text):
            self._statements.append(
                DdlStatement(
                    gtid=gtid,
                    names=tuple(tables),
                    only_if_absent=creates_if_absent(statement.text),
                    is_truncate=truncates_table(statement.text),
                    renames=self._renames(statement),
                    unclear_names=tuple(sorted(unclear_renames(statement.text))),
                    before=str(self.gtids),
                    follows=self._last_gtid,
                    at=time.time(),
                )
            )
            if len(self._statements) > MAX_PLACES:
                old_statement = self._statements[-MAX_PLACES - 1]
                self._statements[-MAX_PLACES - 1] = replace(
                    old_statement, before="", follows=""
                )
            self._drop_statements()
            self.has_news = True

    def _add_temporary_table(self, name: str) -> None:
        self._temporary_tables.pop(name, None)
        self._temporary_tables[name] = None
        if len(self._temporary_tables) > MAX_TEMPORARY_TABLES:
            del self._temporary_tables[next(iter(self._temporary_tables))]

    def _drop_statements(self) -> None:
        """Forget the oldest statements beyond the most that are kept.

        Nobody may have seen them, so the tables are to be read again unless they were since.
        """
        for statement in self._statements[:-MAX_STATEMENTS]:
            for table in statement.names:
                earlier = self._findings.get(table)
                if earlier is None or earlier.at < statement.at:
                    self._add_finding(
                        table, statement.gtid, DROPPED_STATEMENT, statement.at
                    )
        del self._statements[:-MAX_STATEMENTS]

    def _renames(self, statement: LoggedStatement) -> tuple[Rename, ...]:
        """Return what a statement renames, with the names that the tables have in MySQL."""
        found_renames = []
        for rename in renames(statement.text, statement.database, self._database):
            old = self._name_in_mysql(rename.old)
            new = self._name_in_mysql(rename.new)
            found_renames.append(replace(rename, old=old, new=new))
        return tuple(found_renames)

    def _name_in_mysql(self, name: str) -> str:
        if name in self._tables:
            return name
        same_names = [table for table in self._tables if table.lower() == name.lower()]
        return same_names[0] if len(same_names) == 1 else name

    def _reason_to_read(self, text: str, names_in_text: frozenset[str]) -> str:
        """Return why Debezium does not know what a DDL statement does; empty if it may."""
        if inserts_rows(text):
            return STATEMENT_ROWS
        is_about_temporary = not self._temporary_tables.keys().isdisjoint(names_in_text)
        return TEMPORARY_NAMESAKE if is_about_temporary else ""

    def _add_changed_rows(self, gtid: str, names_in_text: frozenset[str]) -> None:
        """Add the finding of a statement that changed rows of the database."""
        tables = self._tables_named(names_in_text)
        if not tables and self._temporary_tables.keys().isdisjoint(names_in_text):
            # It changed them through a view, a trigger or a function.
            tables = [ALL_TABLES]
        self._tables_of_statements.update(tables)
        for table in tables:
            self._add_finding(table, gtid, STATEMENT_ROWS)

    def _is_about_database(
        self, statement: LoggedStatement, names_in_text: frozenset[str]
    ) -> bool:
        if statement.is_in_transaction and statement.updated_databases is None:
            return True  # it changed rows of too many databases to be listed
        databases = {statement.database, *(statement.updated_databases or ())}
        return (
            any(map(self._is_watched, databases)) or self._database.lower() in names_in_text
        )

    def _tables_named(self, names_in_text: frozenset[str]) -> list[str]:
        """Return the tables that the database has or had under names that a statement mentions."""
        if not self._are_tables_current:
            self.look_at_tables()
        return sorted(table for table in self._tables if table.lower() in names_in_text)

    def look_at_tables(self) -> None:
        """Look at the tables that MySQL has now. Raises what `read_tables` does."""
        engines = self._read_tables()
        self._tables.update(engines)
        self._are_tables_current = True
        unlogged_tables = {
            table: engine
            for table, engine in engines.items()
            if not has_logged_rows(engine)
        }
        for table in self._unlogged_tables:
            if table in engines and table not in unlogged_tables:
                self._add_finding(table, "", OTHER_ENGINE)
        self.has_news |= unlogged_tables != self._unlogged_tables
        self._unlogged_tables = unlogged_tables

    def _follow_xa(self, transaction: BinlogTransaction, xa: XaEvent) -> None:
        if xa.step == "prepare":
            for table in self._xa.prepared_tables.get(xa.id, ()):
                self._add_finding(table, transaction.gtid, REPLACED_XA)
            self._prepare_xa(transaction, xa.id)
            return
        ended = self._xa.end(xa, transaction.gtid)
        if ended is None:
            self._add_finding(ALL_TABLES, transaction.gtid, UNREAD_XA)
            return
        if xa.step == "rollback":
            for table in ended.tables:
                self._add_finding(table, transaction.gtid, XA_ROLLBACK)
            return
        for table in ended.tables_with_findings:
            finding = self._findings.get(table)
            if finding is not None:
                # What was found in its rows takes effect with this commit.
                self._add_finding(table, transaction.gtid, finding.reason)

    def _prepare_xa(self, transaction: BinlogTransaction, xa_id: str) -> None:
        """Note the tables whose rows change once a prepared transaction is committed."""
        tables = self._watched_tables(transaction.tables) | self._tables_of_statements
        if ALL_TABLES in tables:
            tables = self._tables
        partial_tables = self._watched_tables(transaction.partial_tables)
        self._xa.prepare(
            xa_id,
            transaction.gtid,
            tables=tables,
            tables_with_findings=partial_tables | self._tables_of_statements,
        )

    def _watched_tables(self, tables: Iterable[Table]) -> set[str]:
        return {table for database, table in tables if self._is_watched(database)}
