"""What a task reports reaches the driver as it was, and is of one topic only."""

import pickle

from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import (
    NO_SNAPSHOT,
    ArchivedFile,
    ArchivedRanges,
    RecordSummary,
    SnapshotRows,
)
from spark.log.consistent_cut import PartitionChanges
from spark.log.range_reader import OffsetRange
from spark.storage.key_bounds import KeySpan

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)


def test_a_report_arrives_from_a_worker_as_it_was_sent() -> None:
    archived = ArchivedRanges(
        source=ORDERS,
        ranges=(OffsetRange(ORDERS, 0, 1, 5),),
        files=[ArchivedFile("/a", "2026-07-01", 1)],
        records=4,
        unreadable={"not Avro": 1},
        summary=RecordSummary(
            schema_id=1, hive_partitions={"d"}, unplaced_keys=KeySpan(1, 2)
        ),
        snapshot=SnapshotRows("b:1", (1, 1), has_ended=True),
        partition_changes=[PartitionChanges({"a:1": 3}, is_beyond=True)],
        truncate_gtids={"a:2"},
    )
    assert pickle.loads(pickle.dumps(archived)) == archived


def test_two_reports_share_nothing() -> None:
    first = ArchivedRanges(source=ORDERS)
    second = ArchivedRanges(source=ORDERS)
    first.files.append(ArchivedFile("/a", "d", 1))
    first.summary.hive_partitions.add("d")
    first.truncate_gtids.add("a:1")
    assert second == ArchivedRanges(source=ORDERS)


def test_any_snapshot_is_newer_than_none() -> None:
    assert SnapshotRows("binlog.000001:4", (1, 4)).position > NO_SNAPSHOT.position
