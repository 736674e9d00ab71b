"""Builds the summary of a topic's records, one record or one batch at a time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from confluent_kafka import Message

from connectors.kafka.schema_registry import split
from schemas.envelope import (
    DELETE,
    LAST,
    TRUNCATE,
    UPDATE,
    binlog_number,
    is_snapshot_row,
    snapshot_id,
)
from schemas.errors import ContractError
from schemas.hive import lake_tables
from schemas.warehouse_layout import NO_DATE, WHOLE, Kind, Source, partitioning, utc_dates
from spark.archive.archived_ranges import ArchivedRanges, SnapshotRows
from spark.storage.key_bounds import KeySpan, span_of

EPOCH_DATE = "1970-01-01"
FULL_IMAGE_HINT = "set MySQL's binlog_row_image=FULL"


def note_change(archived: ArchivedRanges, message: Message, change: dict[str, Any]) -> None:
    """Add a change to the summary of its topic.

    Raises ContractError for a delete without the old row, and for an update without it in a table
    without a key.
    """
    source = change["source"]
    summary = archived.summary
    file_number = binlog_number(source.get("file"))
    position = (file_number, source.get("pos") or 0, source.get("gtid") or "")
    summary.position = max(summary.position, position)
    _note_snapshot(archived, change)
    if change["op"] == TRUNCATE:
        summary.is_truncated = True
        return
    table = archived.source.table
    if change["op"] == DELETE and change.get("before") is None:
        raise ContractError(
            f"table {table}: a delete without the row that it removes", FULL_IMAGE_HINT
        )
    key = message.key()
    summary.is_keyless = key is None
    if key is not None:
        summary.key_schema_id, _ = split(key)
    elif change["op"] == UPDATE and change.get("before") is None:
        raise ContractError(
            f"table {table}, which has no key: an update without the row that it changes",
            FULL_IMAGE_HINT,
        )


def _note_snapshot(archived: ArchivedRanges, change: dict[str, Any]) -> None:
    source = change["source"]
    snapshot = archived.snapshot
    if is_snapshot_row(change):
        position = (binlog_number(source.get("file")), source.get("pos") or 0)
        row_snapshot_id = snapshot_id(source)
        if position > snapshot.position:
            earlier_ids = snapshot.earlier_ids | ({snapshot.id} - {""})
            snapshot = SnapshotRows(row_snapshot_id, position, earlier_ids=earlier_ids)
        elif row_snapshot_id not in (snapshot.id, *snapshot.earlier_ids):
            earlier_ids = snapshot.earlier_ids | {row_snapshot_id}
            snapshot = replace(snapshot, earlier_ids=earlier_ids)
        if source.get("snapshot") == LAST and not snapshot.has_ended:
            snapshot = replace(snapshot, has_ended=True)
    elif snapshot.id and not snapshot.has_ended and change["transaction"] is not None:
        # Changes follow a snapshot only once it is complete.
        snapshot = replace(snapshot, has_ended=True)
    archived.snapshot = snapshot


def note_partitions(archived: ArchivedRanges, table: pa.Table, key: Sequence[str]) -> None:
    """Add the hive partitions of some archived records to the summary (see touched_partitions)."""
    summary = archived.summary
    values, unplaced_keys = touched_partitions(archived.source, table, key)
    summary.hive_partitions |= values
    if unplaced_keys is not None:
        summary.unplaced_keys = unplaced_keys.wider(summary.unplaced_keys)


def touched_partitions(
    source: Source, table: pa.Table, key: Sequence[str]
) -> tuple[set[str], KeySpan | None]:
    """Return the hive partitions of some archived records, and the keys without an old image.

    The old rows of these keys may be in any partition. The span is None for facts, for an unknown
    key (empty) and for a table that is not partitioned.
    """
    images = {}
    for name in lake_tables.images(source.kind):
        images[name] = table.column(name).combine_chunks()
    row_schema = pa.schema(list(images["after"].type))
    cut = partitioning(source.table, row_schema)
    if cut is None:
        return {WHOLE}, None
    values: set[str] = set()
    for image in images.values():
        dates = utc_dates(image.drop_null().field(cut.column))
        values |= set(dates.unique().to_pylist())
    if EPOCH_DATE in values:
        # The old image of a row without a date has Debezium's stand-in.
        values.add(NO_DATE)
    if source.kind is not Kind.CHANGES or not key:
        return values, None
    without_old_image = images["before"].is_null()
    rows = images["after"].filter(without_old_image).drop_null()
    return values, span_of(rows.field(key[0]))
