"""The work of one compaction, from what is committed and what the log holds. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from connectors.kafka.client import Watermarks
from schemas.manifest import HivePartition, Manifest
from schemas.topics import TopicPartition
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedRanges
from spark.log.range_reader import OffsetRange, check_retained

# A version takes at most so many facts of a partition of the log, so that memory is bounded however
# long the backlog is.
MOST_OFFSETS = 500_000
ONE_FILE_OFFSETS = 50_000
# Up to here a Spark job would cost more than it saves: starting its tasks takes a second on busy
# cores, and each evaluates the changes of its table again. Decoding holds Python's lock, so that
# few records are little work; Arrow does not hold it.
SMALL_OFFSETS = 10_000
SMALL_ROWS = 8_000_000


def ranges_to_read(
    previous: Manifest,
    sources: Iterable[Source],
    log: Mapping[TopicPartition, Watermarks],
) -> list[OffsetRange]:
    """Return the ranges from the committed offset to the last stable one.

    Ranges of changes may end earlier, where the cut ends. Raises WarehouseError if the log no
    longer holds, or no longer reaches, what was not read yet.
    """
    ranges = []
    for source in sources:
        committed_offsets = previous.offsets.get(source.topic, {})
        for (topic, partition), watermarks in sorted(log.items()):
            if topic != source.topic:
                continue
            committed_offset = committed_offsets.get(partition)
            check_retained(topic, partition, committed_offset, watermarks)
            start = watermarks.low if committed_offset is None else committed_offset
            end = watermarks.stable
            if source.kind is Kind.FACTS:
                end = min(end, start + MOST_OFFSETS)
            if start < end:
                ranges.append(OffsetRange(source, partition, start, end))
    return ranges


def distribute_ranges(
    ranges: Sequence[OffsetRange], tasks: int
) -> list[tuple[OffsetRange, ...]]:
    """Return the ranges of each of at most so many tasks of about equal length.

    The short ranges of one topic stay together, so that they fill one file.
    """
    units: dict[tuple[str, int | None], list[OffsetRange]] = {}
    for offset_range in ranges:
        is_long = offset_range.length > ONE_FILE_OFFSETS
        unit = (offset_range.source.topic, offset_range.partition if is_long else None)
        units.setdefault(unit, []).append(offset_range)
    shares: list[list[OffsetRange]] = [[] for _ in range(min(tasks, len(units)))]
    for unit_ranges in sorted(units.values(), key=_length, reverse=True):
        shortest_share = min(shares, key=_length)
        shortest_share.extend(unit_ranges)
    return [tuple(share) for share in shares]


def _length(ranges: Iterable[OffsetRange]) -> int:
    return sum(offset_range.length for offset_range in ranges)


def next_offsets(
    previous: Manifest, archived_ranges: Iterable[ArchivedRanges]
) -> dict[str, dict[int, int]]:
    """Return the next offsets to read after some ranges were archived."""
    offsets = {topic: dict(partitions) for topic, partitions in previous.offsets.items()}
    for topic_ranges in archived_ranges:
        for offset_range in topic_ranges.ranges:
            topic_offsets = offsets.setdefault(offset_range.source.topic, {})
            topic_offsets[offset_range.partition] = offset_range.end
    return offsets


def is_small_log_range(ranges: Iterable[OffsetRange]) -> bool:
    """Return whether ranges are archived faster without a Spark job."""
    return _length(ranges) <= SMALL_OFFSETS


def is_small_rewrite(
    partitions_by_table: Iterable[Mapping[str, HivePartition | None]], records: int
) -> bool:
    """Return whether hive partitions are rewritten faster without a Spark job.

    `records` is the number of records of the log to merge.
    """
    rows = records
    for partitions in partitions_by_table:
        rows += sum(
            partition.rows for partition in partitions.values() if partition is not None
        )
    return rows <= SMALL_ROWS
