"""Full snapshots by Debezium. Pure.

A version with a part of one equals no point of MySQL's history, and is not shown. Debezium takes a
snapshot at its first start, and again when MySQL no longer has the binary log from which it should
continue. The changes in between are in no log, so only the complete snapshot says which rows exist.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from schemas.manifest import DebeziumSnapshot, Manifest, PublishedTable
from schemas.warehouse_layout import Kind
from spark.archive.archived_ranges import NO_SNAPSHOT, ArchivedRanges, SnapshotRows
from spark.compactor.cut_builder import TransactionLogRange

NO_SNAPSHOT_ROWS = "the last snapshot has no row of it"


def next_snapshot(
    previous: Manifest,
    version: int,
    archived_ranges: Sequence[ArchivedRanges],
    log_range: TransactionLogRange,
    connector_gtids: str | None,
) -> DebeziumSnapshot | None:
    """Return the state of the newest snapshot in a version.

    It is whole once its end was seen in an earlier version and no further rows have come since,
    because rows in one topic may be seen before earlier rows in another. And its point must be
    known: from Connect (`connector_gtids`), or by a transaction that follows.

    Rows of an earlier one may be seen late: those of a topic that was refused meanwhile.
    """
    before = previous.snapshot
    earlier_ids = set(before.earlier_ids) if before is not None else set()
    newest_rows = _newest_rows(archived_ranges, earlier_ids)
    has_rows = newest_rows is not NO_SNAPSHOT
    is_end_seen = has_rows and any(
        topic_ranges.snapshot.has_ended
        for topic_ranges in archived_ranges
        if topic_ranges.snapshot.id == newest_rows.id
    )
    if has_rows and (before is None or newest_rows.id != before.id):
        for topic_ranges in archived_ranges:
            earlier_ids |= {topic_ranges.snapshot.id, *topic_ranges.snapshot.earlier_ids}
        if before is not None:
            earlier_ids.add(before.id)
        snapshot = _new_snapshot(
            previous, version, newest_rows.id, log_range.end, is_end_seen
        )
        return replace(
            snapshot, earlier_ids=tuple(sorted(earlier_ids - {"", newest_rows.id}))
        )
    if before is None or before.whole:
        return before
    is_followed = before.is_superseded or _has_end_from(before.transactions_end, log_range)
    has_point = is_followed or connector_gtids is not None
    return replace(
        before,
        has_ended=before.has_ended or is_followed or is_end_seen,
        is_superseded=is_followed,
        whole=before.has_ended and not has_rows and has_point,
    )


def _newest_rows(
    archived_ranges: Iterable[ArchivedRanges], earlier_ids: Collection[str]
) -> SnapshotRows:
    newest_rows = NO_SNAPSHOT
    for topic_ranges in archived_ranges:
        is_earlier = topic_ranges.snapshot.id in earlier_ids
        if not is_earlier and topic_ranges.snapshot.position > newest_rows.position:
            newest_rows = topic_ranges.snapshot
    return newest_rows


def _new_snapshot(
    previous: Manifest,
    version: int,
    snapshot_id: str,
    transactions_end: int,
    is_end_seen: bool,
) -> DebeziumSnapshot:
    before = previous.snapshot
    tables = [
        name for name, table in previous.tables.items() if table.kind == Kind.CHANGES.value
    ]
    # If the snapshot before was not completed, the gap in the log is as long as both.
    previous_transactions = previous.gtid
    if before is not None and not before.whole:
        previous_transactions = before.previous_transactions
    return DebeziumSnapshot(
        id=snapshot_id,
        version=version,
        transactions_end=transactions_end,
        tables=tuple(tables),
        has_ended=is_end_seen,
        previous_transactions=previous_transactions,
    )


def _has_end_from(offset: int, log_range: TransactionLogRange) -> bool:
    return any(
        record["status"] == "END" and record_offset >= offset
        for record_offset, record in log_range.records
    )


def unread_tables(
    tables: Mapping[str, PublishedTable], snapshot: DebeziumSnapshot | None
) -> list[str]:
    """Return the tables from before a snapshot of which it has no row.

    Once it is whole, they must be read from MySQL: it may have left out their rows, and changes
    since its beginning may have been merged with rows from before it.
    """
    if snapshot is None or not snapshot.whole:
        return []
    return [
        name
        for name in snapshot.tables
        if name in tables and tables[name].snapshot != snapshot.id
    ]


def unread_topics(
    tables: Mapping[str, PublishedTable], snapshot: DebeziumSnapshot | None
) -> dict[str, str]:
    """Return the topics of the tables to read from MySQL, with the reason."""
    names = unread_tables(tables, snapshot)
    return {tables[name].topic: NO_SNAPSHOT_ROWS for name in names}
