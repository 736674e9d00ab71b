"""One task: ranges of the log into Parquet files of the archive, and what a merge needs to know about them.

The files go to a staging folder under names that only this run uses. They count once a manifest names them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
from schemas.envelope import DELETE, LAST, TRUNCATE, binlog_number, is_snapshot_row, position_arrays, snapshot_id
from schemas.logical import Column, struct_array
from schemas.statements import Position
from schemas.warehouse import WHOLE, Kind, Source, partitioning, utc_dates
from spark.cut import Allowed, Gate, Part
from spark.decoding import RowDecoder, Unreadable, refuse_hidden_values
from spark.log_reader import LogReader, Reading
from spark.parquet import ParquetWriter
from spark.spans import KeySpan, span_of

FILE_BYTES = 64 * 1024 * 1024
UPLOADS = 8
GONE_SINCE = "the table was dropped since"
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
    """Ranges to archive, what may be taken of topics of changes (by topic), the version that this is for, the folder for the files, and up to
    where the records of a topic are of a table that is gone.
    """

    readings: tuple[Reading, ...]
    allowed: Mapping[str, Allowed]
    version: int
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
    """Ranges of one topic that were archived: their files, and what the cut and the merge plan with.

    The ranges end where the version does. `parts` are what each of them holds of transactions, `others` the GTIDs of changes in none;
    `snapshot` is the newest full one with rows here. With a `refusal`, which is why the topic cannot be carried, nothing else counts.
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
    snapshot: str = ""
    snapshot_place: tuple[int, int] = (-1, -1)
    snapshot_ended: bool = False
    parts: list[Part] = field(default_factory=list)
    others: set[str] = field(default_factory=set)


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
            source: TopicWriter(
                source, tuple(own), task.allowed.get(source.topic), decoder, task.version, task.staging, upload, doubts, task.void.get(source.topic)
            )
            for source, own in ranges.items()
        }
        for reading, batch in log.batches():
            try:
                if not writers[reading.source].add(reading, batch):
                    log.leave(reading)
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
    """The archive files of one topic's ranges, as few as can be. Records of different schemas or days go to different files.

    Changes are taken up to the first that the version may not hold; without `allowed`, everything is taken.
    """

    def __init__(
        self,
        source: Source,
        readings: tuple[Reading, ...],
        allowed: Allowed | None,
        decoder: RowDecoder,
        version: int,
        staging: str,
        upload: Upload,
        doubts: Doubts,
        void: Position | None = None,
    ) -> None:
        self._source = source
        self._gates = {reading.partition: Gate(allowed) for reading in readings} if allowed is not None else {}
        self._ends = {reading.partition: reading.end for reading in readings}
        self._doubts, self._void = doubts, void
        self._decoder, self._version, self._staging, self._upload = decoder, version, staging, upload
        self._result = Archived(source, readings)
        self._writers: dict[Place, ParquetWriter] = {}
        self._uploads: list[Future[None]] = []

    def add(self, reading: Reading, messages: Sequence[Message]) -> bool:
        """Add the next records of a range; whether it goes on. Raises ContractError if the topic cannot be carried."""
        places: dict[Place, Rows] = defaultdict(Rows)
        gate, goes_on = self._gates.get(reading.partition), True
        for message in messages:
            schema_id, record, error = self._decoded(message)
            if gate is not None and record is not None and not gate.admits(record):
                self._ends[reading.partition], goes_on = message.offset() or 0, False
                break
            record, error = self._note(message, schema_id, record, error)
            # Tombstones and what cannot be read follow the records before them, so that they need no file of their own.
            schema_id = self._result.schema_id
            places[schema_id, day_of(message)].add(message, schema_id, record, error)
        for place, rows in places.items():
            self._write_or_keep_raw(place, rows)
        return goes_on

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
        done = self._result
        done.readings = tuple(replace(reading, end=self._ends[reading.partition]) for reading in done.readings)
        done.parts = [Part(dict(gate.changes), gate.beyond, gate.full, gate.awaited) for gate in self._gates.values()]
        done.others = {gtid for gate in self._gates.values() for gtid in gate.others}
        return done

    def _decoded(self, message: Message) -> tuple[int | None, dict[str, Any] | None, str | None]:
        """A record's schema and content, or why it cannot be read; nothing of a tombstone."""
        value = message.value()
        if value is None:
            return None, None, None
        try:
            return *self._decoder.decode(self._source, value), None
        except Unreadable as error:
            return None, None, str(error)
        except ContractError as error:
            if not self._is_void(value):
                raise
            return None, self._decoder.raw(value), f"{error}; {GONE_SINCE}"  # counts for the cut all the same

    def _note(
        self, message: Message, schema_id: int | None, record: dict[str, Any] | None, error: str | None
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Note what a record says, and give what is to be kept of it: its content, or why there is none."""
        self._result.rows += 1
        if record is None:
            if error is not None:
                self._result.unreadable[error] = self._result.unreadable.get(error, 0) + 1
            return None, error
        if error is not None:
            return None, error
        if self._source.kind is Kind.CHANGES:
            try:
                self._note_change(message, record)
            except ContractError as broken:
                if not self._is_void(message.value()):
                    raise
                return None, f"{broken}; {GONE_SINCE}"
        self._result.schema_id = schema_id
        return record, None

    def _is_void(self, value: bytes) -> bool:
        """Whether a record is of a table that is gone."""
        return self._void is not None and self._decoder.position(value) < self._void

    def _note_change(self, message: Message, record: dict[str, Any]) -> None:
        source = record["source"]
        position = (binlog_number(source.get("file")), source.get("pos") or 0, source.get("gtid") or "")
        self._result.position = max(self._result.position, position)
        self._note_snapshot(record)
        if record["op"] == TRUNCATE:
            self._result.truncated = True
            return
        if message.key() is None:
            raise ContractError(f"table {self._source.table} has no primary key", "give it one, in a new table")
        if record["op"] == DELETE and record.get("before") is None:
            raise ContractError(f"table {self._source.table}: a delete without the row that it removes", "set MySQL's binlog_row_image=FULL")
        self._result.key_schema_id, _ = split(message.key())

    def _note_snapshot(self, record: dict[str, Any]) -> None:
        result, source = self._result, record["source"]
        if is_snapshot_row(record):
            place = (binlog_number(source.get("file")), source.get("pos") or 0)
            if place > result.snapshot_place:
                result.snapshot, result.snapshot_place, result.snapshot_ended = snapshot_id(source), place, False
            result.snapshot_ended = result.snapshot_ended or source.get("snapshot") == LAST
        elif result.snapshot and record["transaction"] is not None:
            result.snapshot_ended = True  # changes follow a snapshot only once it is complete

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
        table = archive_table(self._source, columns, rows, self._version)
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
        known = self._result.key_schema_id
        values, unplaced = touched(self._source, table, self._decoder.key(self._source, known) if known is not None else ())
        self._result.hive_partitions |= values
        self._result.unplaced = unplaced.wider(self._result.unplaced) if unplaced else self._result.unplaced

    def _close(self, place: Place) -> None:
        writer, (schema_id, day) = self._writers.pop(place), place
        path = f"{self._staging}/{self._source.table}-s{schema_id or 0}-{uuid4().hex[:12]}.parquet"
        self._uploads.append(self._upload(path, writer.finish()))
        self._result.files.append(ArchivedFile(path, day, schema_id))


def archive_table(source: Source, columns: Sequence[Column] | None, rows: Rows, version: int | None) -> pa.Table:
    """Records as rows of the archive, taken in by a version (None: by none yet)."""
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
        "version": [version] * len(messages),
    }
    arrays = {name: pa.array(found, schema.field(name).type) for name, found in values.items()} | position_arrays(changes)
    for image in lake.images(source.kind) if columns is not None else ():
        structs = [record and record.get(image) for record in records] if source.kind is Kind.CHANGES else records
        arrays[image] = struct_array(columns or (), structs)
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def day_of(message: Message) -> str:
    """The UTC day on which a record was logged."""
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC).strftime("%Y-%m-%d")


def touched(source: Source, table: pa.Table, key: Sequence[str]) -> tuple[set[str], KeySpan | None]:
    """Which hive partitions some archived records touch, and the span of the keys whose old row may be in any (of changes, if their key is known)."""
    images = {name: table.column(name).combine_chunks() for name in lake.images(source.kind)}
    cut = partitioning(source.table, pa.schema(list(images["after"].type)))
    if cut is None:
        return {WHOLE}, None
    values: set[str] = set()
    for image in images.values():
        values |= set(utc_dates(image.drop_null().field(cut.column)).unique().to_pylist())
    if source.kind is not Kind.CHANGES or not key:
        return values, None
    rows = images["after"].filter(images["before"].is_null()).drop_null()
    return values, span_of(rows.field(key[0]))
