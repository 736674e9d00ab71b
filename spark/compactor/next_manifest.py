"""The fourth value of a compaction: the manifest of the next version. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import (
    DebeziumSnapshot,
    LaggingTopic,
    Manifest,
    PublishedTable,
    TableBase,
)
from spark.archive.archived_ranges import ArchivedRanges
from spark.compactor import plan
from spark.compactor.initial_snapshot import unread_tables
from spark.compactor.rewritten_tables import RewrittenTables
from spark.log.row_decoder import RowDecoder


def next_manifest(
    rewritten_tables: RewrittenTables,
    decoder: RowDecoder,
    created_at: datetime,
    published_manifest: Manifest,
) -> Manifest | None:
    """Return the manifest of the next version. None if there is nothing new.

    `published_manifest` is the version before, without the tables that were read from MySQL since.
    """
    ranges = published_ranges(rewritten_tables)
    records = sum(archived_ranges.records for archived_ranges in ranges)
    previous = rewritten_tables.previous
    removed_tables = rewritten_tables.removed_tables
    version = rewritten_tables.archived_changes.version
    history = rewritten_tables.archived_changes.history
    cut = rewritten_tables.archived_changes.cut
    truncate_gtids = {
        topic_ranges.source.topic: topic_ranges.truncate_gtids
        for topic_ranges in ranges
        if topic_ranges.truncate_gtids
    }
    transactions = cut.transactions(truncate_gtids)
    lagging_topics = cut.lagging_topics(rewritten_tables.refusals, truncate_gtids)
    is_unchanged = (
        previous == published_manifest
        and rewritten_tables.snapshot == previous.snapshot
        and lagging_topics.keys() == previous.lagging_topics.keys()
    )
    if is_unchanged and not (records or rewritten_tables.changes or removed_tables):
        return None
    base = _base(rewritten_tables)
    gtid = str(transactions.without_gaps().union(base))
    tables = {
        name: replace(table, gtid=gtid) if table.version == version.version else table
        for name, table in previous.tables.items()
        if name not in removed_tables
    }
    tables |= _changed_tables(rewritten_tables, transactions, lagging_topics, base)
    archives, arrivals = version.next_archives(ranges, rewritten_tables.roll_ups, decoder)
    changed_names = {change.source.table for change in rewritten_tables.changes}
    for result in rewritten_tables.results:
        if result.table in changed_names:
            arrivals += result.arrivals
    manifest = Manifest(
        version=version.version,
        previous=previous.version if previous.version >= 0 else None,
        created_at=created_at.isoformat(timespec="milliseconds"),
        owner=version.token,
        gtid=gtid,
        changes=records,
        offsets=plan.next_offsets(previous, ranges),
        tables=tables,
        archives=archives,
        arrivals=tuple(arrivals),
        unreadable_records=_unreadable_records(previous, ranges),
        transactions=str(transactions),
        lagging_topics=lagging_topics,
        snapshot=_snapshot(rewritten_tables.snapshot, tables),
        snapshot_transactions=str(base),
        ddl_positions=history.starts(rewritten_tables.changes),
        bases=_bases(rewritten_tables, tables),
        dropped_tables=tuple(sorted(published_manifest.tables.keys() - tables.keys())),
    )
    replaced_folders = published_manifest.locations() - manifest.locations()
    return replace(manifest, replaced_folders=tuple(sorted(replaced_folders)))


def _snapshot(
    snapshot: DebeziumSnapshot | None, tables: Mapping[str, PublishedTable]
) -> DebeziumSnapshot | None:
    """Return the snapshot; once it is whole, only with the tables that are still to be read."""
    if snapshot is None or not snapshot.whole:
        return snapshot
    return replace(snapshot, tables=tuple(unread_tables(tables, snapshot)))


def _bases(
    rewritten_tables: RewrittenTables, tables: Mapping[str, PublishedTable]
) -> dict[str, TableBase]:
    """Return what was read from MySQL of the tables that continue it, also under another name, and
    the tables that MySQL did not have.
    """
    bases = dict(rewritten_tables.previous.bases)
    changed_tables = {}
    for change in rewritten_tables.changes:
        changed_tables[change.source.table] = bases.get(change.base or "")
    for name, base in changed_tables.items():
        bases.pop(name, None)
        if base is not None:
            bases[name] = base
    return {name: base for name, base in bases.items() if name in tables or not base.exists}


def published_ranges(rewritten_tables: RewrittenTables) -> list[ArchivedRanges]:
    """Return the archived ranges that the next version has: those of topics not refused."""
    return [
        archived_ranges
        for archived_ranges in rewritten_tables.archived_changes.ranges
        if archived_ranges.source.topic not in rewritten_tables.refusals
    ]


def _base(rewritten_tables: RewrittenTables) -> GtidSet:
    """Return the transactions in full snapshots, as Connect says once a snapshot has changed."""
    base = gtid_set(rewritten_tables.previous.snapshot_transactions)
    connector_gtids = rewritten_tables.archived_changes.scan.connector_gtids
    if connector_gtids and rewritten_tables.snapshot != rewritten_tables.previous.snapshot:
        base = base.union(gtid_set(connector_gtids))
    return base


def _changed_tables(
    rewritten_tables: RewrittenTables,
    transactions: GtidSet,
    lagging_topics: Mapping[str, LaggingTopic],
    base: GtidSet,
) -> dict[str, PublishedTable]:
    tables = {}
    for change in rewritten_tables.changes:
        topic = change.source.topic
        table_transactions = transactions
        if topic in lagging_topics:
            table_transactions = gtid_set(lagging_topics[topic].transactions)
        gtid = str(table_transactions.without_gaps().union(base))
        version = rewritten_tables.archived_changes.version
        tables[change.source.table] = version.next_table(
            change, rewritten_tables.results, gtid
        )
    return tables


def _unreadable_records(previous: Manifest, ranges: list[ArchivedRanges]) -> dict[str, int]:
    unreadable = Counter(previous.unreadable_records)
    for archived_ranges in ranges:
        if archived_ranges.unreadable:
            unreadable[archived_ranges.source.topic] += sum(
                archived_ranges.unreadable.values()
            )
    return dict(unreadable)
