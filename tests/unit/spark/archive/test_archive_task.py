"""One task archives ranges of several topics; a refused topic does not stop the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from connectors.runtime.settings import Hdfs, Kafka, Login, Mysql, Registry, Warehouse
from schemas.gtid import GtidSet
from schemas.warehouse_layout import Source
from spark.archive import archive_task
from spark.archive.archive_task import ArchiveTask, Connections, archive_ranges
from spark.log.consistent_cut import Transaction, allow_transactions
from spark.log.range_reader import OffsetRange
from tests.unit.connectors.kafka.readers.assigned_consumer import LogMessage
from tests.unit.spark.debezium_log import TABLE, UUID, DebeziumLog
from tests.unit.spark.memory_files import MemoryFiles

OTHER = replace(TABLE, topic="cdc.eCommerce.u", table="u")
CONNECTIONS = Connections(
    Kafka(), Registry(), Hdfs(), Mysql(), Login("reader", "secret"), Warehouse()
)


@dataclass
class Reader:
    """A reader of ranges that returns given batches. Notes which ranges were stopped."""

    batches_: list[tuple[OffsetRange, list[LogMessage]]]
    stopped: list[OffsetRange] = field(default_factory=list)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None: ...

    def batches(self) -> Iterator[tuple[OffsetRange, list[LogMessage]]]:
        for offset_range, messages in self.batches_:
            if offset_range not in self.stopped:
                yield offset_range, messages

    def stop_reading(self, offset_range: OffsetRange) -> None:
        self.stopped.append(offset_range)


@dataclass
class World:
    """The outside systems of a task."""

    log: DebeziumLog = field(default_factory=DebeziumLog)
    files: MemoryFiles = field(default_factory=MemoryFiles)
    reader: Reader = field(default_factory=lambda: Reader([]))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(archive_task, "Hdfs", lambda _: world.files)
    monkeypatch.setattr(archive_task, "SchemaRegistry", lambda _: world.log.registry)
    monkeypatch.setattr(archive_task, "RangeReader", lambda *_: world.reader)
    return world


def task(*ranges: OffsetRange, **more: Any) -> ArchiveTask:
    known = ArchiveTask(
        ranges=ranges, allowed={}, version=7, staging="/staging", connections=CONNECTIONS
    )
    return replace(known, **more)


def offset_range(source: Source, partition: int = 0) -> OffsetRange:
    return OffsetRange(source, partition, 0, 100)


def offsets(files: MemoryFiles, paths: Sequence[str]) -> list[int]:
    found = [files.table(path).column("offset").to_pylist() for path in paths]
    return sorted(offset for part in found for offset in part)


def test_each_topic_has_a_result_with_its_files_in_the_staging_folder(world: World) -> None:
    ranges = [offset_range(TABLE), offset_range(TABLE, 1), offset_range(OTHER)]
    world.reader.batches_ = [
        (ranges[0], [world.log.change(1, "c", 1)]),
        (ranges[2], [world.log.change(2, "c", 2)]),
        (ranges[1], [world.log.change(3, "c", 3, partition=1)]),
    ]
    first, second = archive_ranges(task(*ranges))
    assert (first.source, first.ranges, second.source) == (TABLE, tuple(ranges[:2]), OTHER)
    assert offsets(world.files, [file.path for file in first.files]) == [1, 3]
    assert offsets(world.files, [file.path for file in second.files]) == [2]
    assert all(path.startswith("/staging/") for path in world.files.contents)


def test_a_range_that_reached_the_cut_is_read_no_further(world: World) -> None:
    source_range = offset_range(TABLE)
    allowed = allow_transactions(GtidSet(), [Transaction(f"{UUID}:1", {}, 1)])
    world.reader.batches_ = [
        (
            source_range,
            [world.log.change(1, "c", 1), world.log.change(2, "c", 2, transaction=2)],
        ),
        (source_range, [world.log.change(3, "c", 3, transaction=3)]),
    ]
    (archived,) = archive_ranges(task(source_range, allowed={TABLE.topic: allowed}))
    assert (archived.ranges[0].end, archived.records) == (2, 1)
    assert world.reader.stopped == [source_range]


def test_a_refused_topic_is_stopped_in_all_partitions_and_the_others_continue(
    world: World,
) -> None:
    ranges = [offset_range(TABLE), offset_range(TABLE, 1), offset_range(OTHER)]
    without_old_image = world.log.change(1, "d", 1, old_image=False)
    world.reader.batches_ = [
        (ranges[0], [without_old_image]),
        (ranges[1], [world.log.change(2, "c", 2, partition=1)]),
        (ranges[2], [world.log.change(3, "c", 3)]),
    ]
    refused, other = archive_ranges(task(*ranges))
    assert "table t: a delete without the row" in (refused.refusal or "")
    assert (refused.files, other.refusal, other.records) == ([], None, 1)
    assert world.reader.stopped == ranges[:2]


def test_records_of_a_dropped_table_do_not_stop_its_topic(world: World) -> None:
    source_range = offset_range(TABLE)
    without_old_image = world.log.change(1, "d", 1, old_image=False)
    world.reader.batches_ = [(source_range, [without_old_image])]
    (archived,) = archive_ranges(
        task(source_range, obsolete_positions={TABLE.topic: (1, 99)})
    )
    assert (archived.refusal, archived.records) == (None, 1)
