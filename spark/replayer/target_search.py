"""One Spark task: where a past point lies in some files of the archive, and which full snapshots
have rows in them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime import settings
from schemas.envelope import INCREMENTAL, READ, TRUNCATE, binlog_number, snapshot_id
from schemas.gtid import split_gtid
from schemas.warehouse_layout import Kind, Source
from spark.replayer.recovery_target import RecoveryPoint
from spark.storage.parquet import read_table

SURVEY_COLUMNS = [
    "partition",
    "offset",
    "logged_at",
    "op",
    "snapshot",
    "gtid",
    "tx_id",
    "binlog_file",
    "binlog_pos",
]
INSTANT = pa.timestamp("us", tz="UTC")
# By snapshot id, when its first and its last row were logged.
SnapshotSpans = dict[str, tuple[datetime, datetime]]


@dataclass(frozen=True)
class SurveyTask:
    """Files of a topic's archive, and the point to find (None: only look for snapshots)."""

    source: Source
    files: tuple[str, ...]
    point: RecoveryPoint | None
    hdfs: settings.Hdfs


@dataclass
class SurveyResult:
    """The first offset after the point in each partition, and the spans of full snapshots."""

    topic: str
    first_offsets: dict[int, int] = field(default_factory=dict)
    snapshot_spans: SnapshotSpans = field(default_factory=dict)


def survey(task: SurveyTask) -> SurveyResult:
    """Look through the files. Raises Unavailable, WarehouseError for a damaged file."""
    hdfs = Hdfs(task.hdfs)
    result = SurveyResult(task.source.topic)
    for path in task.files:
        records = read_table(hdfs.read_bytes(path), path, SURVEY_COLUMNS)
        if task.source.kind is Kind.CHANGES:
            spans = [result.snapshot_spans, snapshot_spans(records)]
            result.snapshot_spans = merge_spans(spans)
        if task.point is not None:
            _note_first_offsets(result, records, task.source.kind, task.point)
    return result


def _note_first_offsets(
    result: SurveyResult, records: pa.Table, kind: Kind, point: RecoveryPoint
) -> None:
    later_records = records.filter(is_after_point(records, kind, point))
    first_offsets = later_records.group_by("partition").aggregate([("offset", "min")])
    for row in first_offsets.to_pylist():
        partition = row["partition"]
        offset = row["offset_min"]
        result.first_offsets[partition] = min(
            offset, result.first_offsets.get(partition, offset)
        )


def is_after_point(records: pa.Table, kind: Kind, point: RecoveryPoint) -> pa.ChunkedArray:
    """Return a mask of the records after a point.

    Clicks are compared by the broker's clock, changes by their transaction. Of the changes outside
    transactions, snapshot rows are compared by the clock, and TRUNCATEs by their GTID's number (for
    a point `by_clock`, they must be later by both).
    """
    is_logged_later = pc.greater(records.column("logged_at"), pa.scalar(point.at, INSTANT))
    if kind is not Kind.CHANGES:
        return is_logged_later
    operations = records.column("op")
    is_truncate = pc.fill_null(pc.equal(operations, TRUNCATE), False)
    is_snapshot_row = pc.fill_null(pc.equal(operations, READ), False)
    truncate_gtids = pc.unique(records.filter(is_truncate).column("gtid")).to_pylist()
    later_truncates = [gtid for gtid in truncate_gtids if gtid and _is_later(gtid, point)]
    is_later_truncate = pc.and_(
        is_truncate, _is_one_of(records.column("gtid"), later_truncates)
    )
    if point.by_clock:
        is_later_truncate = pc.and_(is_later_truncate, is_logged_later)
    transactions = records.column("tx_id")
    later_transactions = [
        gtid
        for gtid in pc.unique(transactions).to_pylist()
        if gtid is not None and gtid not in point.transactions
    ]
    is_later_change = pc.and_(
        pc.invert(is_snapshot_row), _is_one_of(transactions, later_transactions)
    )
    is_later_snapshot_row = pc.and_(is_snapshot_row, is_logged_later)
    return pc.or_(is_later_change, pc.or_(is_later_truncate, is_later_snapshot_row))


def _is_one_of(gtids: pa.ChunkedArray, values: list[str]) -> pa.ChunkedArray:
    return pc.is_in(gtids, value_set=pa.array(values, pa.string()))


def _is_later(gtid: str, point: RecoveryPoint) -> bool:
    origin, number = split_gtid(gtid)
    return number > point.last_numbers.get(origin, 0)


def snapshot_spans(records: pa.Table) -> SnapshotSpans:
    """Return when the first and the last row of each full snapshot was logged."""
    is_full_snapshot = pc.and_(
        pc.equal(records.column("op"), READ),
        pc.not_equal(records.column("snapshot"), INCREMENTAL),
    )
    snapshot_rows = records.filter(pc.fill_null(is_full_snapshot, False))
    times = snapshot_rows.group_by(["binlog_file", "binlog_pos"]).aggregate(
        [("logged_at", "min"), ("logged_at", "max")]
    )
    spans: SnapshotSpans = {}
    for row in times.to_pylist():
        position = {"file": row["binlog_file"], "pos": row["binlog_pos"]}
        spans[snapshot_id(position)] = (row["logged_at_min"], row["logged_at_max"])
    return spans


def merge_spans(
    spans_by_file: Iterable[Mapping[str, tuple[datetime, datetime]]],
) -> SnapshotSpans:
    """Return the spans over several files, in the order of the binlog."""
    merged_spans: SnapshotSpans = {}
    for spans in spans_by_file:
        for name, (first, last) in spans.items():
            earlier_first, earlier_last = merged_spans.get(name, (first, last))
            merged_spans[name] = (min(first, earlier_first), max(last, earlier_last))
    return dict(sorted(merged_spans.items(), key=lambda item: _binlog_position(item[0])))


def _binlog_position(name: str) -> tuple[int, int]:
    file, _, position = name.rpartition(":")
    return binlog_number(file), int(position)
