"""The state of the watch: what it found in the transactions of the binary log so far. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from connectors.debezium.binlog_watch.logged_statements import Rename
from schemas.gtid import GtidSet

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
