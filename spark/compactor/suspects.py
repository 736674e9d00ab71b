"""Topics whose records are not certainly what MySQL has, by what the binlog watch has read. Pure.

The watch reads MySQL's binary log beside Debezium (connectors/debezium/binlog_watch/). A finding
makes the compactor read a table again, unless it was read since.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    DdlStatement,
    Finding,
    WatchState,
)
from schemas.capture_rules import UNLOGGED_ENGINES, CaptureRules
from schemas.gtid import GtidSet, gtid_set, split_gtid
from schemas.manifest import Manifest, TableBase
from schemas.topics import change_topic, source_table
from schemas.warehouse_layout import Kind
from spark.log.ddl_statements import RecordedStatements
from spark.log.statement_order import Place, StatementOrder

LEFT_OUT_REASON = "Debezium has left out a statement about it"
UNREAD_REASON = "waits until Debezium has read a statement about it"
UNCHECKED_REASON = "waits until its columns are compared with MySQL's, after a statement"
EXCLUSION_REASON = "waits until Debezium has passed what it cannot follow"
NONE_EXCLUDED: Mapping[str, str] = MappingProxyType({})
UNCAPTURED_REASON = "the settings do not capture it any more"
XA_REASON = "waits for a prepared XA transaction"
LONG_XA_REASON = "an XA transaction stays prepared, or was ended without being logged"
COMMITTED_XA_REASON = (
    "it was read while an XA transaction was prepared that is committed now"
)
# A table waits no longer for the end of a prepared transaction.
XA_SECONDS = 600.0


@dataclass(frozen=True)
class Suspects:
    """Reasons to read tables again, and for topics to wait until that is known, by topic."""

    to_read: dict[str, str] = field(default_factory=dict)
    to_wait: dict[str, str] = field(default_factory=dict)


def find_suspects(
    watch: WatchState,
    manifest: Manifest,
    bases: Mapping[str, TableBase],
    recorded_statements: RecordedStatements,
    gtids_reached: GtidSet,
    database: str,
    excluded_tables: Mapping[str, str] = NONE_EXCLUDED,
    unchecked_tables: Collection[str] = (),
    now: float = 0.0,
) -> Suspects:
    """Return the topics that the next version must not continue as they are.

    `bases` are what tables were read as last, by topic; `recorded_statements` the
    statements in Debezium's topic; `gtids_reached` the transactions that Debezium has behind it;
    `excluded_tables` the tables that it leaves out for a while, with its error; `unchecked_tables`
    those whose columns were not compared with MySQL's in time; `now` is in Unix seconds.
    """
    suspects = Suspects()
    for table, finding in _findings(watch, manifest, database):
        topic = change_topic(database, table)
        if not _is_resolved(finding, bases.get(topic)):
            at = f" ({finding.gtid})" if finding.gtid else ""
            suspects.to_read[topic] = f"{finding.reason}{at}"
    for table, gtid in _unrecorded_statements(watch, recorded_statements, manifest):
        topic = change_topic(database, table)
        if _has(bases.get(topic), gtid):
            continue
        if gtid in gtids_reached:
            suspects.to_read.setdefault(topic, f"{LEFT_OUT_REASON} ({gtid})")
        else:
            suspects.to_wait.setdefault(topic, UNREAD_REASON)
    for table in unchecked_tables:
        suspects.to_wait.setdefault(change_topic(database, table), UNCHECKED_REASON)
    _add_xa_suspects(suspects, watch, manifest, bases, database, now)
    for table, reason in excluded_tables.items():
        topic = change_topic(database, table)
        suspects.to_read.pop(topic, None)
        suspects.to_wait[topic] = f"{EXCLUSION_REASON}: {reason}"
    return suspects


def captured_suspects(
    suspects: Suspects,
    manifest: Manifest,
    bases: Mapping[str, TableBase],
    rules: CaptureRules,
    refused_tables: Mapping[str, str],
    unlogged_tables: Mapping[str, str],
    database: str,
) -> Suspects:
    """Return the suspects among the captured tables.

    A table that the rules do not capture is none. If the warehouse has it, reading it again removes
    it there. So does it with one of the `unlogged_tables`, whatever the log has of it (the engine
    by table). `refused_tables` wait, for a reason each: the rules cannot be kept for them.
    """
    to_read = _captured(suspects.to_read, rules)
    to_wait = _captured(suspects.to_wait, rules)
    for table in _published_tables(manifest, database):
        topic = change_topic(database, table)
        if not rules.captures(table) and not _is_removed(bases.get(topic)):
            to_read[topic] = UNCAPTURED_REASON
    for table, engine in unlogged_tables.items():
        topic = change_topic(database, table)
        to_read.pop(topic, None)
        to_wait.pop(topic, None)
        if rules.captures(table) and not _is_removed(bases.get(topic)):
            to_read[topic] = f"ENGINE={engine}: {UNLOGGED_ENGINES[engine.lower()]}"
    for table, reason in refused_tables.items():
        topic = change_topic(database, table)
        to_read.pop(topic, None)
        to_wait[topic] = reason
    return Suspects(to_read, to_wait)


def healing_topics(suspects: Suspects, topics_to_read: Iterable[str]) -> set[str]:
    """Return the topics that go on soon by themselves: they are compared, or read again."""
    compared_topics = {
        topic for topic, reason in suspects.to_wait.items() if reason == UNCHECKED_REASON
    }
    return compared_topics | (set(topics_to_read) - suspects.to_wait.keys())


def _is_removed(base: TableBase | None) -> bool:
    """Whether a table was read again, and MySQL had none to capture."""
    return base is not None and not base.exists


def _captured(reasons: Mapping[str, str], rules: CaptureRules) -> dict[str, str]:
    return {
        topic: reason
        for topic, reason in reasons.items()
        if rules.captures(source_table(topic))
    }


def _published_tables(manifest: Manifest, database: str) -> Iterator[str]:
    """Yield the names in MySQL of the tables that a version has."""
    prefix = change_topic(database, "")
    for published_table in manifest.tables.values():
        topic = published_table.topic
        if published_table.kind == Kind.CHANGES.value and topic.startswith(prefix):
            yield topic.removeprefix(prefix)


def _unrecorded_statements(
    watch: WatchState, recorded_statements: RecordedStatements, manifest: Manifest
) -> Iterator[tuple[str, str]]:
    """Yield the tables and GTIDs of statements that Debezium has not recorded."""
    logged_transactions = _logged_transactions(manifest)
    for statement in watch.statements:
        if statement.gtid in recorded_statements.gtids:
            continue
        if statement.is_truncate and not _is_left_out(statement, logged_transactions):
            continue
        for table in statement.names:
            if not (statement.only_if_absent and table in recorded_statements.tables):
                yield table, statement.gtid


def statement_order(watch: WatchState) -> StatementOrder:
    """Return the places of statements among the transactions, as the watch has read them."""
    places = {
        statement.gtid: Place(statement.before, statement.follows)
        for statement in watch.statements
        if statement.before
    }
    return StatementOrder(watch.gtids, places)


def _logged_transactions(manifest: Manifest) -> GtidSet:
    """Return the transactions of which a version has seen records, TRUNCATEs among them."""
    transactions = gtid_set(manifest.transactions)
    for lagging_topic in manifest.lagging_topics.values():
        transactions = transactions.union(gtid_set(lagging_topic.transactions))
    return transactions


def _is_left_out(statement: DdlStatement, logged_transactions: GtidSet) -> bool:
    """Whether the log has a transaction after a TRUNCATE, and not the TRUNCATE.

    Until then it may be in the log: it has no END record, and waits for what comes after it.
    """
    if statement.gtid in logged_transactions:
        return False
    if statement.before:
        return not gtid_set(statement.before).covers(logged_transactions)
    origin, number = split_gtid(statement.gtid)
    return logged_transactions.last_number(origin) > number


def _findings(
    watch: WatchState, manifest: Manifest, database: str
) -> Iterator[tuple[str, Finding]]:
    """Yield the findings by table; one about all tables for each table."""
    names = {*watch.tables, *_published_tables(manifest, database)}
    for name, finding in watch.findings.items():
        for table in sorted(names) if name == ALL_TABLES else [name]:
            yield table, finding


def _add_xa_suspects(
    suspects: Suspects,
    watch: WatchState,
    manifest: Manifest,
    bases: Mapping[str, TableBase],
    database: str,
    now: float,
) -> None:
    for table, reason in _read_between_xa(watch, manifest, bases, database):
        suspects.to_read.setdefault(change_topic(database, table), reason)
    for table, gtid in _prepared_tables(watch, now):
        topic = change_topic(database, table)
        if not gtid:
            suspects.to_wait.setdefault(topic, XA_REASON)
        elif not _has(bases.get(topic), gtid):
            suspects.to_read.setdefault(topic, LONG_XA_REASON)


def _prepared_tables(watch: WatchState, now: float) -> Iterator[tuple[str, str]]:
    """Yield the tables of prepared XA transactions; with the GTID of one that is so for long."""
    for xa_id, tables in watch.prepared.items():
        preparation = watch.preparations.get(xa_id)
        is_long = preparation is not None and now - preparation.at > XA_SECONDS
        gtid = preparation.gtid if preparation is not None and is_long else ""
        for table in tables:
            yield table, gtid


def _read_between_xa(
    watch: WatchState, manifest: Manifest, bases: Mapping[str, TableBase], database: str
) -> Iterator[tuple[str, str]]:
    """Yield the tables that were read last between the two steps of an XA transaction.

    Its rows count as read, and were not to be seen. That holds for Debezium's snapshot, too.
    """
    if not watch.committed_xa:
        return
    snapshot_gtids = gtid_set(manifest.snapshot_transactions)
    gtids_by_topic = {topic: gtid_set(base.gtids) for topic, base in bases.items()}
    for committed in watch.committed_xa:
        for table in committed.tables:
            gtids = gtids_by_topic.get(change_topic(database, table), snapshot_gtids)
            if committed.prepare_gtid in gtids and committed.commit_gtid not in gtids:
                yield table, COMMITTED_XA_REASON


def _is_resolved(finding: Finding, base: TableBase | None) -> bool:
    """Whether a table was read after what was found."""
    if base is None:
        return False
    if finding.gtid:
        return _has(base, finding.gtid)
    return base.read_at > datetime.fromtimestamp(finding.at, UTC).isoformat()


def _has(base: TableBase | None, gtid: str) -> bool:
    return base is not None and gtid in gtid_set(base.gtids)
