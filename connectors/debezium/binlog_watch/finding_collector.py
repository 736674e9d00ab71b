"""Findings of the binary log: the effects of its transactions on the tables Debezium captures.

The process `log:binlog-watch` collects it and keeps it in `run/binlog_watch.json`, which other
processes read.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

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
from connectors.mysql.binlog_events import (
    ANY_DATABASE,
    BinlogTransaction,
    LoggedStatement,
    Table,
    XaEvent,
)
from connectors.runtime.files import read_json_file, replace_file
from schemas.capture_rules import has_logged_rows
from schemas.gtid import GtidSet, gtid_set
from schemas.sql_tokens import mentioned_names

STATE_FILE = "binlog_watch.json"
MAX_STATEMENTS = 10_000
# Statements whose place among the transactions is kept.
MAX_PLACES = 1_000
# Names of temporary tables; of more, the oldest are forgotten.
MAX_TEMPORARY_TABLES = 10_000
MAX_COMMITTED_XA = 5_000
# The name of a finding that concerns every table.
ALL_TABLES = "*"

PARTIAL_ROWS = "a session logged rows without all their columns"
STATEMENT_ROWS = "a session logged changed rows as a statement (binlog_format)"
TEMPORARY_NAMESAKE = "a statement may be about a temporary table of the same name"
MOVED_TABLE = "it was moved into another database"
XA_ROLLBACK = "a prepared XA transaction was rolled back"
REPLACED_XA = "an XA transaction was prepared whose id an earlier one had, of unknown end"
UNREAD_XA = "an XA transaction ended whose rows were logged before the watch began"
DROPPED_STATEMENT = "a statement about it is not remembered any more"
OTHER_ENGINE = "its engine is one now whose rows MySQL logs"
INCIDENT = "MySQL noted in its binary log that changes may be missing"

log = logging.getLogger("binlog-watch")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why Debezium's rows of a table are not MySQL's.

    `since` is the first transaction with a finding, `gtid` the newest, `reason` the newest one's.
    Both are empty if the log with the transactions is gone. `at` is when the newest was read, in
    Unix seconds.
    """

    gtid: str
    since: str
    reason: str
    at: float


@dataclass(frozen=True, kw_only=True)
class DdlStatement:
    """A DDL statement, and the tables that it may be about: those whose names are in its text.

    It does nothing if the table exists and it creates one `only_if_absent`. Debezium writes a
    TRUNCATE to the table's topic, and not to that of statements. If it renames something in a way
    that is not understood, `unclear_names` are all in its text, in lower case. `before` is the GTID
    set of all transactions before it, and `follows` the last of them; both are empty for an old
    statement. `at` is when it was read, in Unix seconds.
    """

    gtid: str
    names: tuple[str, ...]
    only_if_absent: bool = False
    is_truncate: bool = False
    renames: tuple[Rename, ...] = ()
    unclear_names: tuple[str, ...] = ()
    before: str = ""
    follows: str = ""
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class XaPreparation:
    """The transaction that prepared an XA transaction, and when it was read, in Unix seconds."""

    gtid: str
    at: float


@dataclass(frozen=True)
class CommittedXa:
    """The transactions that prepared and committed an XA transaction, and its tables.

    Debezium has its rows with the first. Who reads a table between them does not see them.
    """

    prepare_gtid: str
    commit_gtid: str
    tables: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class WatchState:
    """The state of the watch: its position, and its findings so far.

    `gtids` are all transactions that it has read or that were there before its first start; None
    before that. `findings` are by table, ALL_TABLES among them; `statements` are the newest ones,
    oldest first. `prepared` are the tables of XA transactions that are neither committed nor rolled
    back, by the transaction's id: Debezium has their rows, and MySQL does not show them yet.
    `prepared_findings` are those with findings in such a transaction, ALL_TABLES among them.
    `preparations` say since when it is prepared. `committed_xa` are the newest XA transactions that
    were committed, oldest first.
    `tables` are all names of tables that the database has had. `temporary_tables` are the names in
    lower case, in any database, of temporary tables that sessions may still have, oldest first.
    `unlogged_tables` are those whose engine keeps other rows than MySQL logs, with the engine.
    """

    gtids: GtidSet | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)
    statements: tuple[DdlStatement, ...] = ()
    prepared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prepared_findings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    preparations: Mapping[str, XaPreparation] = field(default_factory=dict)
    committed_xa: tuple[CommittedXa, ...] = ()
    tables: frozenset[str] = frozenset()
    temporary_tables: tuple[str, ...] = ()
    unlogged_tables: Mapping[str, str] = field(default_factory=dict)

    def up_to(self, gtids: GtidSet) -> "WatchState":
        """Return the state as if only some transactions were read, with all that was found."""
        statements = tuple(one for one in self.statements if one.gtid in gtids)
        return replace(self, gtids=gtids, statements=statements)

    def finding(self, table: str) -> Finding | None:
        """Return the newest finding about a table or about all tables."""
        candidates = [self.findings.get(name) for name in (table, ALL_TABLES)]
        findings = [finding for finding in candidates if finding is not None]
        return max(findings, key=lambda finding: finding.at, default=None)


class BinlogWatchFile:
    """The state file of a stack's watch, which readers see as a whole."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / STATE_FILE

    def read(self) -> WatchState:
        """Return the last state; an empty one if the watch has never run.

        Raises UnreadableState if it is cut off, until the watch has begun again.
        """
        return read_json_file(self._path, _watch_state, WatchState())

    def write(self, state: WatchState) -> None:
        """Replace the state."""
        content: dict[str, Any] = {
            "gtids": str(state.gtids or ""),
            "findings": {name: asdict(finding) for name, finding in state.findings.items()},
            "statements": list(map(_statement_content, state.statements)),
            "prepared": dict(state.prepared),
            "prepared_findings": dict(state.prepared_findings),
            "preparations": {
                xa_id: astuple(preparation)
                for xa_id, preparation in state.preparations.items()
            },
            "committed_xa": [astuple(committed) for committed in state.committed_xa],
            "tables": sorted(state.tables),
            "temporary_tables": list(state.temporary_tables),
            "unlogged_tables": dict(state.unlogged_tables),
        }
        replace_file(self._path, json.dumps(content, ensure_ascii=False))


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
        self._prepared_tables = dict(state.prepared)
        self._prepared_findings = dict(state.prepared_findings)
        self._preparations = dict(state.preparations)
        self._committed_xa = deque(state.committed_xa, MAX_COMMITTED_XA)
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
            gtids=self._read_gtids(),
            findings=dict(self._findings),
            statements=tuple(self._statements),
            prepared=dict(self._prepared_tables),
            prepared_findings=dict(self._prepared_findings),
            preparations=dict(self._preparations),
            committed_xa=tuple(self._committed_xa),
            tables=frozenset(self._tables),
            temporary_tables=tuple(self._temporary_tables),
            unlogged_tables=dict(self._unlogged_tables),
        )

    def _read_gtids(self) -> GtidSet:
        self._gtids = self._gtids.with_gtids(self._new_gtids)
        self._new_gtids = []
        return self._gtids

    def restart(self, gtids: GtidSet, reason: str) -> None:
        """Go on after `gtids`, although transactions before were not read: `reason`.

        What was found in others is forgotten: nobody can wait for them, and all tables are read.
        """
        self._gtids = gtids
        self._new_gtids = []
        self._prepared_tables = {}
        self._prepared_findings = {}
        self._preparations = {}
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
                    before=str(self._read_gtids()),
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
            for table in self._prepared_tables.get(xa.id, ()):
                self._add_finding(table, transaction.gtid, REPLACED_XA)
            self._prepare_xa(transaction, xa.id)
            return
        prepared_tables = self._prepared_tables.pop(xa.id, None)
        preparation = self._preparations.pop(xa.id, None)
        if prepared_tables is None:
            self._add_finding(ALL_TABLES, transaction.gtid, UNREAD_XA)
            return
        tables_with_findings = self._prepared_findings.pop(xa.id, ())
        if xa.step == "rollback":
            for table in prepared_tables:
                self._add_finding(table, transaction.gtid, XA_ROLLBACK)
            return
        if preparation is not None:
            self._committed_xa.append(
                CommittedXa(preparation.gtid, transaction.gtid, prepared_tables)
            )
        for table in tables_with_findings:
            finding = self._findings.get(table)
            if finding is not None:
                # What was found in its rows takes effect with this commit.
                self._add_finding(table, transaction.gtid, finding.reason)

    def _prepare_xa(self, transaction: BinlogTransaction, xa_id: str) -> None:
        """Note the tables whose rows change once a prepared transaction is committed."""
        tables = self._watched_tables(transaction.tables) | self._tables_of_statements
        if ALL_TABLES in tables:
            tables = self._tables
        self._prepared_tables[xa_id] = tuple(sorted(tables))
        self._preparations[xa_id] = XaPreparation(transaction.gtid, time.time())
        partial_tables = self._watched_tables(transaction.partial_tables)
        if tables_with_findings := partial_tables | self._tables_of_statements:
            self._prepared_findings[xa_id] = tuple(sorted(tables_with_findings))

    def _watched_tables(self, tables: Iterable[Table]) -> set[str]:
        return {table for database, table in tables if self._is_watched(database)}


def _tables_by_xa(content: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {xa_id: tuple(names) for xa_id, names in content.items()}


def _watch_state(content: Mapping[str, Any]) -> WatchState:
    statements = []
    for item in content["statements"]:
        statements.append(
            DdlStatement(
                gtid=item["gtid"],
                names=tuple(item["names"]),
                only_if_absent=item.get("only_if_absent", False),
                is_truncate=item.get("is_truncate", False),
                before=item.get("before", ""),
                follows=item.get("follows", ""),
                renames=tuple(map(_rename, item.get("renames", ()))),
                unclear_names=tuple(item.get("unclear_names", ())),
                at=float(item.get("at", 0.0)),
            )
        )
    # Earlier versions did not distinguish them.
    prepared_findings = content.get("prepared_findings", content["prepared"])
    return WatchState(
        gtids=gtid_set(content["gtids"]),
        findings={
            table: Finding(**finding) for table, finding in content["findings"].items()
        },
        statements=tuple(statements),
        prepared=_tables_by_xa(content["prepared"]),
        prepared_findings=_tables_by_xa(prepared_findings),
        preparations={
            xa_id: XaPreparation(*preparation)
            for xa_id, preparation in content.get("preparations", {}).items()
        },
        committed_xa=tuple(
            CommittedXa(prepare_gtid, commit_gtid, tuple(tables))
            for prepare_gtid, commit_gtid, tables in content.get("committed_xa", ())
        ),
        tables=frozenset(content["tables"]),
        temporary_tables=tuple(content.get("temporary_tables", ())),
        unlogged_tables=content.get("unlogged_tables", {}),
    )


def _statement_content(statement: DdlStatement) -> dict[str, Any]:
    """Return what is not as it mostly is: there may be thousands of them."""
    return {name: value for name, value in asdict(statement).items() if value}


def _rename(content: Mapping[str, Any]) -> Rename:
    columns = tuple((old, new) for old, new in content["columns"])
    return Rename(content["old"], content["new"], columns)
