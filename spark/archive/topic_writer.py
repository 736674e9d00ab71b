"""The archive files of one topic's ranges, as few as possible."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa
from confluent_kafka import Message

from schemas.avro_schema import columns_of_fields
from schemas.ddl.statements import Position
from schemas.errors import ContractError
from schemas.logical_types import Column
from schemas.warehouse_layout import Kind, Source
from spark.archive.archive_rows import ArchiveRows, archive_table, day_of
from spark.archive.archived_ranges import ArchivedFile, ArchivedRanges
from spark.archive.record_summary import note_change, note_partitions
from spark.log.consistent_cut import AllowedTransactions, PartitionChanges, PartitionCut
from spark.log.range_reader import OffsetRange
from spark.log.row_decoder import RowDecoder, Unreadable, is_own_content
from spark.log.stand_ins import AmbiguousRows, replace_stand_ins
from spark.storage.parquet import ParquetWriter

FILE_BYTES = 64 * 1024 * 1024
DROPPED_TABLE = "the table was dropped since"
Upload = Callable[[str, bytes], "Future[None]"]


class FileGroup(NamedTuple):
    """The records that share a file: those of one schema (None: undecoded) and one day."""

    schema_id: int | None
    day: str


class DecodedRecord(NamedTuple):
    """A record's schema and content, or the reason why it cannot be decoded.

    A tombstone has none of them.
    """

    schema_id: int | None = None
    content: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class VersionFiles:
    """The version that a task archives for, the folder of its files, and their upload to HDFS.

    A zero date is NULL in them, unless it is to stop its table.
    """

    version: int
    staging: str
    upload: Upload
    stop_at_zero_dates: bool = False


class TopicWriter:
    """Writes the records of one topic's ranges.

    Changes are written up to the first that the version must not hold; without `allowed`, all
    records are. Records before `obsolete_until` belong to a table that was dropped: they keep at
    least their bytes, also if they cannot be decoded.
    """

    def __init__(
        self,
        archived: ArchivedRanges,
        target: VersionFiles,
        decoder: RowDecoder,
        ambiguous_values: AmbiguousRows,
        allowed: AllowedTransactions | None,
        obsolete_until: Position | None = None,
    ) -> None:
        self._archived = archived
        self._target = target
        self._decoder = decoder
        self._ambiguous_values = ambiguous_values
        self._obsolete_until = obsolete_until
        self._cuts: dict[int, PartitionCut] = {}
        if allowed is not None:
            partitions = [offset_range.partition for offset_range in archived.ranges]
            self._cuts = {partition: PartitionCut(allowed) for partition in partitions}
        self._is_own_record = True
        self._writers: dict[FileGroup, ParquetWriter] = {}
        self._uploads: list[Future[None]] = []

    @property
    def _source(self) -> Source:
        return self._archived.source

    def write_records(self, offset_range: OffsetRange, messages: Sequence[Message]) -> bool:
        """Write the next records of a range. Return whether the range continues.

        Raises ContractError if the topic cannot be replicated.
        """
        groups: dict[FileGroup, ArchiveRows] = defaultdict(ArchiveRows)
        cut = self._cuts.get(offset_range.partition)
        continues = True
        for message in messages:
            decoded = self._decode(message)
            if decoded is None:
                continue
            content = decoded.content
            if cut is not None and content is not None and not cut.includes(content):
                self._end_range(offset_range.partition, message.offset() or 0)
                continues = False
                break
            content, error = self._note_record(message, decoded)
            # Tombstones and undecoded records follow the records before them, so that they need no
            # separate file.
            schema_id = self._archived.summary.schema_id
            group = FileGroup(schema_id, day_of(message))
            groups[group].add_record(message, schema_id, content, error)
        for group, rows in groups.items():
            self._write_rows_or_bytes(group, rows)
        return continues

    def refuse(self, error: ContractError) -> None:
        """Give up the topic, for this reason."""
        self._archived.refusal = f"{error}; {error.hint}" if error.hint else str(error)
        self._writers.clear()

    def start_uploads(self) -> None:
        """Complete all files and start their upload."""
        for group in list(self._writers):
            self._upload_file(group)

    def finish(self) -> ArchivedRanges:
        """Wait until all files are in HDFS, and return what was archived. Raises Unavailable."""
        for upload in self._uploads:
            upload.result()
        archived_file = self._archived
        for cut in self._cuts.values():
            changes = PartitionChanges(
                dict(cut.changes), cut.is_beyond, cut.is_full, cut.waiting_reason
            )
            archived_file.partition_changes.append(changes)
            archived_file.truncate_gtids |= cut.truncate_gtids
        return archived_file

    def _end_range(self, partition: int, end: int) -> None:
        ranges = []
        for offset_range in self._archived.ranges:
            is_concerned = offset_range.partition == partition
            ranges.append(replace(offset_range, end=end) if is_concerned else offset_range)
        self._archived.ranges = tuple(ranges)

    def _decode(self, message: Message) -> DecodedRecord | None:
        """Return a record; None for one of another table, whose topic is the same in Kafka.

        A tombstone is one of the table of the record before.
        """
        value = message.value()
        if value is None:
            return DecodedRecord() if self._is_own_record else None
        decoded = self._decode_value(value)
        self._is_own_record = decoded is not None
        return decoded

    def _decode_value(self, value: bytes) -> DecodedRecord | None:
        try:
            schema_id, content = self._decoder.decode(self._source, value)
        except Unreadable as error:
            return DecodedRecord(error=str(error))
        except ContractError as error:
            if not self._decoder.is_of_table(self._source, value):
                return None
            if not self._is_obsolete(value):
                raise
            # The content counts for the cut all the same.
            content = self._decoder.raw(value)
            return DecodedRecord(content=content, error=f"{error}; {DROPPED_TABLE}")
        if not is_own_content(self._source, content):
            return None
        return DecodedRecord(schema_id, content)

    def _note_record(
        self, message: Message, decoded: DecodedRecord
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Add a record to the summary. Return the content to keep, or why there is none."""
        schema_id, content, error = decoded
        self._archived.records += 1
        if content is None:
            if error is not None:
                unreadable = self._archived.unreadable
                unreadable[error] = unreadable.get(error, 0) + 1
            return None, error
        if error is not None:
            return None, error
        if self._source.kind is Kind.CHANGES:
            try:
                note_change(self._archived, message, content)
            except ContractError as problem:
                if not self._is_obsolete(message.value()):
                    raise
                return None, f"{problem}; {DROPPED_TABLE}"
        self._archived.summary.schema_id = schema_id
        return content, None

    def _is_obsolete(self, value: bytes) -> bool:
        """Whether a record belongs to a table that was dropped."""
        if self._obsolete_until is None:
            return False
        return self._decoder.position(value) < self._obsolete_until

    def _write_rows_or_bytes(self, group: FileGroup, rows: ArchiveRows) -> None:
        try:
            self._write_rows(group, rows)
        except ContractError:
            position = self._archived.summary.position[:2]
            if self._obsolete_until is None or position >= self._obsolete_until:
                raise
            self._write_rows(FileGroup(None, group.day), rows)

    def _write_rows(self, group: FileGroup, rows: ArchiveRows) -> None:
        columns = None
        if group.schema_id is not None:
            columns = self._decoder.contract(self._source, group.schema_id).columns
        table = archive_table(self._source, columns, rows, self._target.version)
        if columns is not None and self._source.kind is not Kind.TRANSACTIONS:
            key = self._key(columns)
            table = self._with_true_values(table, columns, key)
            note_partitions(self._archived, table, key)
        writer = self._writers.setdefault(group, ParquetWriter(table.schema))
        writer.write_rows(table)
        if writer.size > FILE_BYTES:
            self._upload_file(group)

    def _key(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """The key columns, empty if they are not known yet."""
        key_schema_id = self._archived.summary.key_schema_id
        if key_schema_id is None:
            return ()
        fields = self._decoder.key(self._source, key_schema_id)
        return columns_of_fields(fields, [column.name for column in columns])

    def _with_true_values(
        self, table: pa.Table, columns: Sequence[Column], key: Sequence[str]
    ) -> pa.Table:
        """Archived records with MySQL's values where Debezium writes others."""
        if self._source.kind is not Kind.CHANGES:
            return table
        after = table.column("after").combine_chunks()
        true_rows = replace_stand_ins(
            self._source,
            columns,
            key,
            after,
            self._ambiguous_values,
            stop_at_zero_dates=self._target.stop_at_zero_dates,
        )
        if true_rows is after:
            return table
        return table.set_column(table.schema.get_field_index("after"), "after", true_rows)

    def _upload_file(self, group: FileGroup) -> None:
        data = self._writers.pop(group).finish()
        # Hive does not see files whose names begin with `_`.
        table = self._source.table.lstrip("_")
        name = f"{table}-s{group.schema_id or 0}-{uuid4().hex[:12]}.parquet"
        path = f"{self._target.staging}/{name}"
        self._uploads.append(self._target.upload(path, data))
        self._archived.files.append(ArchivedFile(path, group.day, group.schema_id))
