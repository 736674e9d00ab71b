"""One Spark task: where a past point lies in some files of the archive, and which full snapshots they have rows of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hdfs import Hdfs
from infra import settings
from schemas.envelope import INCREMENTAL, READ, TRUNCATE, binlog_number, snapshot_id
from schemas.gtid import parts
from schemas.warehouse import Kind, Source
from spark.parquet import read_table
from spark.past_points import Point

NEEDED = ["partition", "offset", "logged_at", "op", "snapshot", "gtid", "tx_id", "binlog_file", "binlog_pos"]
INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class SurveyTask:
    """Files of a topic's archive, and the point (None: only look for snapshots)."""

    source: Source
    files: tuple[str, ...]
    point: Point | None
    hdfs: settings.Hdfs


@dataclass
class Found:
    """The first offset beyond the point in each partition, and when the first and the last row of each full snapshot was logged, by its id."""

    topic: str
    beyond: dict[int, int] = field(default_factory=dict)
    snapshots: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)


def survey(task: SurveyTask) -> Found:
    """Look through the files. Raises Unavailable, WarehouseError for a damaged file."""
    hdfs, found = Hdfs(task.hdfs), Found(task.source.topic)
    for path in task.files:
        records = read_table(hdfs.read_bytes(path), path, NEEDED)
        if task.source.kind is Kind.CHANGES:
            found.snapshots = spans_together([found.snapshots, snapshots(records)])
        if task.point is not None:
            late = records.filter(beyond(records, task.source.kind, task.point))
            for row in late.group_by("partition").aggregate([("offset", "min")]).to_pylist():
                found.beyond[row["partition"]] = min(row["offset_min"], found.beyond.get(row["partition"], row["offset_min"]))
    return found


def beyond(records: pa.Table, kind: Kind, point: Point) -> pa.ChunkedArray:
    """Which records came after a point: of clicks, by the broker's clock; of changes, by their transaction, or by the clock if they are in none."""
    late = pc.greater(records.column("logged_at"), pa.scalar(point.at, INSTANT))
    if kind is not Kind.CHANGES:
        return late
    transactions, truncates = records.column("tx_id"), pc.fill_null(pc.equal(records.column("op"), TRUNCATE), False)
    unheld = [gtid for gtid in pc.unique(transactions).to_pylist() if gtid is not None and gtid not in point.held]
    numbers = pc.unique(records.filter(truncates).column("gtid")).to_pylist()
    later = [gtid for gtid in numbers if gtid is not None and parts(gtid)[1] > point.last.get(parts(gtid)[0], 0)]
    rows = pc.fill_null(pc.equal(records.column("op"), READ), False)
    emptied = pc.and_(truncates, pc.is_in(records.column("gtid"), value_set=pa.array(later, pa.string())))
    of_none = pc.or_(pc.and_(emptied, late) if point.clock else emptied, pc.and_(rows, late))
    return pc.or_(pc.and_(pc.invert(rows), pc.is_in(transactions, value_set=pa.array(unheld, pa.string()))), of_none)


def snapshots(records: pa.Table) -> dict[str, tuple[datetime, datetime]]:
    """When the first and the last row of each full snapshot was logged."""
    full = pc.and_(pc.equal(records.column("op"), READ), pc.not_equal(records.column("snapshot"), INCREMENTAL))
    by_place = (
        records.filter(pc.fill_null(full, False)).group_by(["binlog_file", "binlog_pos"]).aggregate([("logged_at", "min"), ("logged_at", "max")])
    )
    return {
        snapshot_id({"file": row["binlog_file"], "pos": row["binlog_pos"]}): (row["logged_at_min"], row["logged_at_max"])
        for row in by_place.to_pylist()
    }


def spans_together(found: Iterable[Mapping[str, tuple[datetime, datetime]]]) -> dict[str, tuple[datetime, datetime]]:
    """The spans of snapshots, from several files, in the order of the binlog."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for some in found:
        for name, (first, last) in some.items():
            before = spans.get(name, (first, last))
            spans[name] = min(first, before[0]), max(last, before[1])
    return dict(sorted(spans.items(), key=lambda item: _place(item[0])))


def _place(name: str) -> tuple[int, int]:
    file, _, position = name.rpartition(":")
    return binlog_number(file), int(position)
