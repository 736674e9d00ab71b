"""Checks that the archive holds every record that a replay needs. A possible gap is looked up in
the log.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from confluent_kafka import Message

from connectors.hadoop.hdfs import Hdfs
from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from schemas import topics
from schemas.errors import WarehouseError
from schemas.gtid import gtid_set
from schemas.manifest import Manifest
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_transactions import (
    EndRecordsTask,
    in_commit_order,
    read_end_records,
)
from spark.archive.files import TASK_BYTES, archive_files, batch_files
from spark.log.range_reader import OffsetRange, RangeReader
from spark.log.row_decoder import RowDecoder
from spark.replayer.extract import ExtractResult
from spark.replayer.gaps import OffsetGap, find_gaps, incomplete_transactions
from spark.session import TaskRunner

RESTORE_HINT = (
    "restore the files of the archive under the setting hdfs.root; "
    "the live tables are as they were"
)
STATEMENTS_PARTITION = (topics.CHANGE_PREFIX, 0)


def check_archive(
    settings: Settings,
    session: TaskRunner,
    hdfs: Hdfs,
    cut: Manifest,
    extracts: Sequence[ExtractResult],
) -> None:
    """Raises WarehouseError for lost DDL statements, and for a range of a topic or a transaction
    that the archive lacks, Unavailable.
    """
    check_statements(kafka.offsets(settings.kafka, [topics.CHANGE_PREFIX]))
    sources = {extract.source.topic: extract.source for extract in extracts}
    for gap in find_gaps(extracts, cut.offsets):
        if is_lost(settings, gap, sources[gap.topic]):
            raise WarehouseError(f"the archive has no records of {gap}", RESTORE_HINT)
    ends = end_records_of(session, hdfs, cut, settings)
    for source in sources.values():
        if source.kind is Kind.CHANGES:
            check_transactions(source.topic, cut, ends, extracts)


def check_statements(offsets: Mapping[tuple[str, int], Watermarks]) -> None:
    """Raises WarehouseError if the schema change topic has lost records."""
    watermarks = offsets.get(STATEMENTS_PARTITION)
    if watermarks is not None and watermarks.low > 0:
        lost_range = f"{topics.CHANGE_PREFIX}[0]@0-{watermarks.low - 1}"
        raise WarehouseError(
            f"the statements about tables {lost_range} are gone from Kafka, their only copy",
            "restore the topic; its retention must be -1",
        )


def check_transactions(
    topic: str, cut: Manifest, ends: pa.Table, extracts: Sequence[ExtractResult]
) -> None:
    """Raises WarehouseError for a transaction with fewer archived changes than it has."""
    left_behind = cut.lagging_topics.get(topic)
    transactions = gtid_set(left_behind.transactions if left_behind else cut.transactions)
    for incomplete in incomplete_transactions(extracts, ends, topic, transactions):
        raise WarehouseError(
            f"transaction {incomplete.gtid} has {incomplete.stated_changes} changes in {topic}, "
            f"and the archive holds {incomplete.archived_changes} of them",
            RESTORE_HINT,
        )


def end_records_of(
    session: TaskRunner, hdfs: Hdfs, cut: Manifest, settings: Settings
) -> pa.Table:
    """Return the END records up to a cut, in commit order. Raises Unavailable, WarehouseError."""
    files = archive_files(hdfs, cut.archive(topics.TRANSACTIONS))
    end = cut.offsets.get(topics.TRANSACTIONS, {}).get(0, 0)
    tasks = [
        EndRecordsTask(batch, end, settings.hdfs)
        for batch in batch_files(files, TASK_BYTES)
    ]
    return in_commit_order(session.run(read_end_records, tasks))


def is_lost(settings: Settings, gap: OffsetGap, source: Source) -> bool:
    """Return whether the log has, or may have had, records in a gap. Raises Unavailable.

    Clicks that the log no longer holds count as lost. Changes do not: the END records count them.
    """
    offsets = kafka.offsets(settings.kafka, [gap.topic])
    watermarks = offsets.get((gap.topic, gap.partition))
    if watermarks is None or not covers(watermarks, gap):
        return source.kind is Kind.FACTS
    gap_range = OffsetRange(source, gap.partition, gap.first, gap.last)
    with RangeReader(settings.kafka, "replayer", [gap_range]) as log:
        if source.kind is Kind.FACTS:
            return any(messages for _, messages in log.batches())
        decoder = RowDecoder(SchemaRegistry(settings.registry.url))
        return any(
            _has_record_of(source, messages, decoder) for _, messages in log.batches()
        )


def _has_record_of(
    source: Source, messages: Sequence[Message], decoder: RowDecoder
) -> bool:
    """Whether there is a change that is none of another table in the same Kafka topic."""
    values = [message.value() for message in messages]
    return any(decoder.is_of_table(source, value) for value in values if value is not None)


def covers(watermarks: Watermarks, gap: OffsetGap) -> bool:
    """Return whether the log still holds all offsets of a gap."""
    return watermarks.low <= gap.first and gap.last <= watermarks.stable
