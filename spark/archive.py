"""One Spark task: ranges of the log into Parquet files of the archive, and what a merge needs to know about them.

The files go to a staging folder under names that only this run uses. They count once a manifest names them.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa
from confluent_kafka import Message

from connectors.doubts import Doubts
from connectors.hdfs import Hdfs
from connectors.registry import SchemaRegistry, split
from infra import settings
from infra.errors import ContractError
from schemas import lake
from schemas.envelope import DELETE, TRUNCATE, binlog_number, position_arrays
from schemas.logical import Column, struct_array
from schemas.statements import Position
from schemas.warehouse import WHOLE, Kind, Source, partitioning, utc_dates
from spark.decoding import RowDecoder, Unreadable, refuse_hidden_values
from spark.log_reader import LogReader, Reading
from spark.parquet import ParquetWriter
from spark.spans import KeySpan, span_of

FILE_BYTES = 64 * 1024 * 1024
UPLOADS = 8
Upload = Callable[[str, bytes], "Future[None]"]
Place = tuple[int | None, str]  # the schema id and the day of a file's records


@dataclass(frozen=True)
class Doors:
    """The outside systems that a task opens for itself."""

    kafka: settings.Kafka
    registry: settings.Registry
    hdfs: settings.Hdfs
    mysql: settings.Mysql
    mysql_reader: settings.Login


@dataclass(frozen=True)
class ArchiveTask:
    """Ranges to archive, the folder for their files, and up to where the records of a topic are of a table that is gone."""

    readings: tuple[Reading, ...]
    staging: str
    doors: Doors
    void: dict[str, Position] = field(default_factory=dict)


@dataclass(frozen=True)
class ArchivedFile:
    """A file of the archive."""

    path: str
    day: str
    schema_id: int | None


@dataclass
class Archived:
    """Ranges of one topic that were archived: their files, and what the merge plans with.

    With a `refusal`, which is why the topic cannot be carried, nothing else counts.
    """

    source: Source
    readings: tuple[Reading, ...]
    refusal: str | None = None
    files: list[ArchivedFile] = field(default_factory=list)
    rows: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)
    schema_id: int | None = None
    key_schema_id: int | None = None
    truncated: bool = False
    hive_partitions: set[str] = field(default_factory=set)
    unplaced: KeySpan | None = None
    position: tuple[int, int, str] = (-1, -1, "")


def archive(task: ArchiveTask) -> list[Archived]:
    """Archive every range of a task. Raises Unavailable if Kafka, the registry or HDFS is away; a contract that is broken is a refusal."""
    decoder = RowDecoder(SchemaRegistry(task.doors.registry.url))
    hdfs = Hdfs(task.doors.hdfs)
    ranges: defaultdict[Source, list[Reading]] = defaultdict(list)
    for reading in task.readings:
        ranges[reading.source].append(reading)
    with ThreadPoolExecutor(UPLOADS) as uploads, LogReader(task.doors.kafka, "compactor", task.readings) as log:
        upload: Upload = lambda path, data: uploads.submit(hdfs.write_bytes, path, data)  # noqa: E731 - a name for its type
        doubts = Doubts(task.doors.mysql, task.doors.mysql_reader)
        writers = {
            source: TopicWriter(source, tuple(own), decoder, task.staging, upload, doubts, task.void.get(source.topic))
            for source, own in ranges.items()
        }
        for reading, batch in log.batches():
            try:
                writers[reading.source].add(batch)
            except ContractError as error:
                writers[reading.source].refuse(error)
                for own in ranges[reading.source]:
                    log.leave(own)
        for writer in writers.values():
            writer.close()
        return [writer.result() for writer in writers.values()]


@dataclass
class Rows:
    """Records of one file, by column."""

    messages: list[Message] = field(default_factory=list)
    records: list[dict[str, Any] | None] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    schema_ids: list[int | None] = field(default_factory=list)

    def add(self, message: Message, schema_id: int | None, record: dict[str, Any] | None, error: str | None) -> None:
        """Add one record."""
        self.schema_ids.append(schema_id if record is not None else None)
        self.messages.append(message)
        self.records.append(record)
        self.errors.append(error)


class TopicWriter:
    """The archive files of one topic's ranges, as few as can be. Records of different schemas or days go to different files."""

    def __init__(
        self,
        source: Source,
        readings: tuple[Reading, ...],
        decoder: RowDecoder,
        staging: str,
        upload: Upload,
        doubts: Doubts,
        void: Position | None = None,
    ) -> None:
        self._source = source
        self._doubts, self._void = doubts, void
        self._decoder, self._staging, self._upload = decoder, staging, upload
        self._result = Archived(source, readings)
        self._writers: dict[Place, ParquetWriter] = {}
        self._uploads: list[Future[None]] = []

    def add(self, messages: Sequence[Message]) -> None:
        """Add the next records of a range. Raises ContractError if the topic cannot be carried."""
        places: dict[Place, Rows] = defaultdict(Rows)
        for message in messages:
            record, error = self._read(message)
            # Tombstones and what cannot be read follow the records before them, so that they need no file of their own.
            schema_id = self._result.schema_id
            places[schema_id, day_of(message)].add(message, schema_id, record, error)
        for place, rows in places.items():
            self._write_or_keep_raw(place, rows)

    def refuse(self, error: ContractError) -> None:
        """Give up the topic, for this reason."""
        self._result.refusal = f"{error}; {error.hint}" if error.hint else str(error)
        self._writers.clear()

    def close(self) -> None:
        """Close all files; their upload goes on."""
        for place in list(self._writers):
            self._close(place)

    def result(self) -> Archived:
        """What there is, once every file is in HDFS."""
        for written in self._uploads:
            written.result()
        return self._result

    def _read(self, message: Message) -> tuple[dict[str, Any] | None, str | None]:
        self._result.rows += 1
        value = message.value()
        if value is None:
            return None, None
        try:
            schema_id, record = self._decoder.decode(self._source, value)
            if self._source.kind is Kind.CHANGES:
                self._note_change(message, record)
        except Unreadable as error:
            reason = str(error)
            self._result.unreadable[reason] = self._result.unreadable.get(reason, 0) + 1
            return None, reason
        except ContractError as error:
            if self._void is None or self._decoder.position(value) >= self._void:
                raise
            return None, f"{error}; the table was dropped since"
        self._result.schema_id = schema_id
        return record, None

    def _note_change(self, message: Message, record: dict[str, Any]) -> None:
        source = record["source"]
        position = (binlog_number(source.get("file")), source.get("pos") or 0, source.get("gtid") or "")
        self._result.position = max(self._result.position, position)
        if record["op"] == TRUNCATE:
            self._result.truncated = True
            return
        if message.key() is None:
            raise ContractError(f"table {self._source.table} has no primary key", "give it one, in a new table")
        if record["op"] == DELETE and record.get("before") is None:
            raise ContractError(f"table {self._source.table}: a delete without the row that it removes", "set MySQL's binlog_row_image=FULL")
        self._result.key_schema_id, _ = split(message.key())

    def _write_or_keep_raw(self, place: Place, rows: Rows) -> None:
        """Records of a table that is gone keep at least their bytes, whatever they hold."""
        try:
            self._write(place, rows)
        except ContractError:
            if self._void is None or self._result.position[:2] >= self._void:
                raise
            self._write((None, place[1]), rows)

    def _write(self, place: Place, rows: Rows) -> None:
        schema_id, _ = place
        columns = None if schema_id is None else self._decoder.contract(self._source, schema_id).columns
        table = archive_table(self._source, columns, rows)
        if columns is not None and self._source.kind is not Kind.TRANSACTIONS:
            self._note_partitions(table)
        if columns is not None and self._source.kind is Kind.CHANGES and self._result.key_schema_id is not None:
            key = self._decoder.key(self._source, self._result.key_schema_id)
            refuse_hidden_values(self._source, columns, key, table.column("after").combine_chunks(), self._doubts)
        writer = self._writers.setdefault(place, ParquetWriter(table.schema))
        writer.write(table)
        if writer.size > FILE_BYTES:
            self._close(place)

    def _note_partitions(self, table: pa.Table) -> None:
        """Note which hive partitions the records touch, and the keys whose old row may be in any."""
        images = {name: table.column(name).combine_chunks() for name in lake.images(self._source.kind)}
        cut = partitioning(self._source.table, pa.schema(list(images["after"].type)))
        if cut is None:
            self._result.hive_partitions.add(WHOLE)
            return
        for image in images.values():
            dates = utc_dates(image.drop_null().field(cut.column))
            self._result.hive_partitions.update(dates.unique().to_pylist())
        if self._source.kind is Kind.CHANGES:
            self._note_unplaced(images)

    def _note_unplaced(self, images: dict[str, pa.StructArray]) -> None:
        if self._result.key_schema_id is None:
            return
        first = self._decoder.key(self._source, self._result.key_schema_id)[0]
        rows = images["after"].filter(images["before"].is_null()).drop_null()
        found = span_of(rows.field(first))
        self._result.unplaced = found.wider(self._result.unplaced) if found else self._result.unplaced

    def _close(self, place: Place) -> None:
        writer, (schema_id, day) = self._writers.pop(place), place
        path = f"{self._staging}/{self._source.table}-s{schema_id or 0}-{uuid4().hex[:12]}.parquet"
        self._uploads.append(self._upload(path, writer.finish()))
        self._result.files.append(ArchivedFile(path, day, schema_id))


def archive_table(source: Source, columns: Sequence[Column] | None, rows: Rows) -> pa.Table:
    """Records as rows of the archive."""
    schema = lake.arrow_schema(source.kind, columns)
    messages, records = rows.messages, rows.records
    changes = records if source.kind is Kind.CHANGES else [None] * len(records)
    values: dict[str, Any] = {
        "topic": [source.topic] * len(messages),
        "partition": [message.partition() for message in messages],
        "offset": [message.offset() for message in messages],
        "logged_at": [message.timestamp()[1] * 1000 for message in messages],
        "key": [message.key() for message in messages],
        "value": [message.value() for message in messages],
        "schema_id": rows.schema_ids,
        "error": rows.errors,
    }
    arrays = {name: pa.array(found, schema.field(name).type) for name, found in values.items()} | position_arrays(changes)
    for image in lake.images(source.kind) if columns is not None else ():
        structs = [record and record.get(image) for record in records] if source.kind is Kind.CHANGES else records
        arrays[image] = struct_array(columns or (), structs)
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def day_of(message: Message) -> str:
    """The UTC day on which a record was logged."""
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC).strftime("%Y-%m-%d")
