"""One task: ranges of the log into Parquet files of the archive.

The files go to a staging folder under names that only this run uses. They count once a manifest
names them.
"""

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from connectors.hadoop.hdfs import Hdfs
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.mysql.ambiguous_values import AmbiguousValues
from connectors.runtime import settings
from schemas.ddl.statements import Position
from schemas.errors import ContractError
from schemas.warehouse_layout import Source
from spark.archive.archived_ranges import ArchivedRanges
from spark.archive.topic_writer import TopicWriter, VersionFiles
from spark.log.consistent_cut import AllowedTransactions
from spark.log.range_reader import OffsetRange, RangeReader
from spark.log.row_decoder import RowDecoder

UPLOADS = 8


@dataclass(frozen=True)
class Connections:
    """The outside systems that a task connects to, and how the warehouse shows values."""

    kafka: settings.Kafka
    registry: settings.Registry
    hdfs: settings.Hdfs
    mysql: settings.Mysql
    mysql_reader: settings.Login
    warehouse: settings.Warehouse


@dataclass(frozen=True, kw_only=True)
class ArchiveTask:
    """Ranges to archive for a version, and the folder for the files.

    `allowed` says which transactions may be read from a topic of changes (all records of other
    topics are). Records of a topic before its `obsolete_positions` belong to a table that was
    dropped.
    """

    ranges: tuple[OffsetRange, ...]
    allowed: Mapping[str, AllowedTransactions]
    version: int
    staging: str
    connections: Connections
    obsolete_positions: Mapping[str, Position] = field(default_factory=dict)


def archive_ranges(task: ArchiveTask) -> list[ArchivedRanges]:
    """Archive the ranges of a task, and return one result per topic.

    A topic that cannot be replicated has a refusal. Raises Unavailable if Kafka, the registry,
    MySQL or HDFS does not answer.
    """
    hdfs = Hdfs(task.connections.hdfs)
    with (
        ThreadPoolExecutor(UPLOADS) as uploads,
        RangeReader(task.connections.kafka, "compactor", task.ranges) as log,
    ):

        def upload(path: str, data: bytes) -> Future[None]:
            return uploads.submit(hdfs.write_bytes, path, data)

        stop_at_zero_dates = task.connections.warehouse.zero_dates == "stop"
        target = VersionFiles(task.version, task.staging, upload, stop_at_zero_dates)
        writers = _writers(task, target)
        for offset_range, messages in log.batches():
            writer = writers[offset_range.source]
            try:
                if not writer.write_records(offset_range, messages):
                    log.stop_reading(offset_range)
            except ContractError as error:
                writer.refuse(error)
                for other_range in task.ranges:
                    if other_range.source == offset_range.source:
                        log.stop_reading(other_range)
        for writer in writers.values():
            writer.start_uploads()
        return [writer.finish() for writer in writers.values()]


def _writers(task: ArchiveTask, target: VersionFiles) -> dict[Source, TopicWriter]:
    connections = task.connections
    decoder = RowDecoder(SchemaRegistry(connections.registry.url))
    ambiguous_values = AmbiguousValues(connections.mysql, connections.mysql_reader)
    ranges: defaultdict[Source, list[OffsetRange]] = defaultdict(list)
    for offset_range in task.ranges:
        ranges[offset_range.source].append(offset_range)
    writers = {}
    for source, source_ranges in ranges.items():
        writers[source] = TopicWriter(
            archived=ArchivedRanges(source=source, ranges=tuple(source_ranges)),
            target=target,
            decoder=decoder,
            ambiguous_values=ambiguous_values,
            allowed=task.allowed.get(source.topic),
            obsolete_until=task.obsolete_positions.get(source.topic),
        )
    return writers
