"""The history of a row, from the archive and from the newer part of the log, and the row's current
state.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
from confluent_kafka import Message

from connectors.hadoop.hdfs import Hdfs
from connectors.kafka import client as kafka
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from schemas.avro_schema import columns_of_fields
from schemas.envelope import key_columns, row_columns
from schemas.errors import ContractError, WarehouseError
from schemas.manifest import LakeDay, LakeTable, Manifest, PublishedTable
from schemas.topics import kafka_topic
from schemas.warehouse_layout import Source
from spark.archive.archive_rows import ArchiveRows, archive_table
from spark.history.row_changes import (
    BinlogPosition,
    Change,
    Key,
    RowQuery,
    changes_in,
    may_hold,
    rows_with_key,
    value_of,
)
from spark.history.row_identity import RowTrace, next_query, trace_row
from spark.log import range_reader
from spark.log.range_reader import OffsetRange, RangeReader
from spark.log.row_decoder import RowDecoder, Unreadable, is_own_content
from spark.storage.parquet import RESTORE_HINT
from spark.storage.row_group_pruning import FooterCache, RowGroup

FETCHES = 8
CLIENT = "kappa-explain"
# The largest columns of a record, which are not shown.
OMITTED_COLUMNS = ("value", "schema_id")

Report = Callable[[str, float | None, str], None]
File = tuple[str, int]  # path and size in bytes


@dataclass(frozen=True)
class RowHistory:
    """The changes of a row in the order of the log, and the keys that it has after them.

    There are several `current_keys` if the key belonged to several rows. The counts say how much
    was searched: files and records of the archive, and records of the log behind it.
    """

    changes: list[Change]
    current_keys: list[Key]
    archive_files: int
    archive_records: int
    log_records: int


class RowHistoryReader:
    """Finds the changes of rows of one table."""

    def __init__(
        self,
        settings: Settings,
        hdfs: Hdfs,
        newest: Manifest,
        source: Source,
        report: Report,
    ) -> None:
        """Read the table's columns from the registry, and its key, unless it is published.

        Raises Refused if the registry knows no key of the table, ContractError if a schema is not
        valid, Unavailable.
        """
        self._settings = settings
        self._hdfs = hdfs
        self._newest = newest
        self._source = source
        self._report = report
        self._registry = SchemaRegistry(settings.registry.url)
        self._footers = FooterCache(hdfs)
        where = f"table {source.table}"
        topic = kafka_topic(source.topic)
        table = newest.tables.get(source.table)
        if table is not None:
            columns = row_columns(self._registry.schema(table.schema_id), where)
            self.names = table.key
        else:
            columns = row_columns(self._registry.newest(f"{topic}-value"), where)
            fields = key_columns(self._registry.newest(f"{topic}-key"), where)
            self.names = columns_of_fields(fields, [column.name for column in columns])
        columns_by_name = {column.name: column for column in columns}
        self.columns = [columns_by_name[name] for name in self.names]

    def values(self, key: Key) -> list[object]:
        """Return the values of a key's columns."""
        values: list[object] = []
        for text, column in zip(key, self.columns, strict=True):
            scalar = value_of(text, column.type.arrow)
            values.append(None if scalar is None else scalar.as_py())
        return values

    def history(self, key: Key) -> RowHistory:
        """Return the changes of the rows that ever had a key.

        Raises WarehouseError for a damaged archive or a gap between it and the log, Unavailable.
        """
        files = self._archive_files()
        log_rows = list(self._rows_in_log(self._ranges_behind_archive()))
        query: RowQuery | None = RowQuery(self.names, frozenset({key}))
        trace = RowTrace([], [], set(), set(), set())
        changes: list[Change] = []
        keys = frozenset[Key]()
        positions = frozenset[BinlogPosition]()
        raw_keys = frozenset[bytes]()
        while query is not None:
            keys = keys | query.keys
            positions = positions | query.positions
            raw_keys = raw_keys | query.raw_keys
            changes += self._changes_in_archive(files, query)
            changes += _changes_in_log(log_rows, query)
            trace = trace_row(changes, self.names, key)
            query = next_query(trace, keys, self.names, positions, raw_keys)
        return RowHistory(
            changes=trace.changes,
            current_keys=trace.current_keys,
            archive_files=len(files),
            archive_records=sum(self._footers.rows(path) for path, _ in files),
            log_records=sum(rows.num_rows for rows in log_rows),
        )

    def _archive_files(self) -> list[File]:
        archive = self._newest.archive(self._source.topic)
        if archive is None:
            archive = LakeTable(self._source.topic, ())
        files: list[File] = []
        for day in archive.days.values():
            files += self._files_of_day(day)
        return files

    def _files_of_day(self, day: LakeDay) -> list[File]:
        """Raises WarehouseError if there are fewer files than the newest version states."""
        sizes = {
            f"{day.location}/{entry.name}": entry.size
            for entry in self._hdfs.list(day.location)
        }
        # The newest version's files are moved after its commit, perhaps at this moment.
        for staged_path, path in self._newest.arrivals:
            folder, _, _ = path.rpartition("/")
            if folder != day.location or path in sizes:
                continue
            if self._hdfs.exists(staged_path):
                sizes[staged_path] = 0
            if self._hdfs.exists(path):
                sizes[path] = 0
        if len(sizes) < day.files:
            raise WarehouseError(
                f"{day.location} holds {len(sizes)} files, and version {self._newest.version} "
                f"states {day.files}",
                RESTORE_HINT,
            )
        return list(sizes.items())

    def _changes_in_archive(self, files: Sequence[File], query: RowQuery) -> list[Change]:
        def read_matches(file: File) -> list[pa.Table]:
            path, size = file
            return self._footers.read_rows(
                path,
                size,
                query.may_match,
                query.filter_columns,
                query.mask,
                OMITTED_COLUMNS,
            )

        changes: list[Change] = []
        with ThreadPoolExecutor(FETCHES) as pool:
            for number, tables in enumerate(pool.map(read_matches, files), 1):
                for rows in tables:
                    changes += filter(query.matches, changes_in(rows))
                self._report(
                    f"the archive of {self._source.table}",
                    number / len(files),
                    f"{number} of {len(files)} files",
                )
        return changes

    def _ranges_behind_archive(self) -> list[OffsetRange]:
        """Raises WarehouseError if records between the archive and the log are lost."""
        topic = self._source.topic
        log = kafka.offsets(self._settings.kafka, [topic])
        archived_offsets = self._newest.offsets.get(topic, {})
        ranges = []
        for (_, partition), watermarks in sorted(log.items()):
            start = archived_offsets.get(partition)
            range_reader.check_retained(topic, partition, start, watermarks)
            begin = watermarks.low if start is None else start
            if begin < watermarks.stable:
                ranges.append(
                    OffsetRange(self._source, partition, begin, watermarks.stable)
                )
        return ranges

    def _rows_in_log(self, ranges: Sequence[OffsetRange]) -> Iterator[pa.Table]:
        """Yield the records of some ranges as rows of the archive."""
        if not ranges:
            return
        decoder = RowDecoder(self._registry)
        records = 0
        length = sum(offset_range.length for offset_range in ranges)
        with RangeReader(self._settings.kafka, CLIENT, ranges) as log:
            for _, messages in log.batches():
                records += len(messages)
                self._report("the log behind it", records / length, f"{records} records")
                yield from _archive_rows(self._source, messages, decoder)


def _changes_in_log(tables: Sequence[pa.Table], query: RowQuery) -> list[Change]:
    changes: list[Change] = []
    for rows in tables:
        candidates = changes_in(rows.filter(query.mask(rows)), is_pending=True)
        changes += filter(query.matches, candidates)
    return changes


@dataclass(frozen=True)
class DecodedMessage:
    """A message with its schema and content, or the reason why it cannot be decoded."""

    message: Message
    schema_id: int | None
    record: dict[str, object] | None
    error: str | None


def _archive_rows(
    source: Source, messages: Sequence[Message], decoder: RowDecoder
) -> Iterator[pa.Table]:
    """Yield tables as the archive has them, one per run of equal schemas, without tombstones."""
    decoded_messages = []
    for message in messages:
        if message.value() is None:
            continue
        decoded = _decode(source, message, decoder)
        if decoded.record is None or is_own_content(source, decoded.record):
            decoded_messages.append(decoded)
    for schema_id, group in groupby(
        decoded_messages, key=lambda decoded: decoded.schema_id
    ):
        same_schema = list(group)
        rows = ArchiveRows()
        for decoded in same_schema:
            rows.add_record(decoded.message, schema_id, decoded.record, decoded.error)
        columns = None if schema_id is None else decoder.contract(source, schema_id).columns
        try:
            table = archive_table(source, columns, rows, None)
        except ContractError as error:
            raw_rows = ArchiveRows()
            for decoded in same_schema:
                raw_rows.add_record(decoded.message, None, None, str(error))
            table = archive_table(source, None, raw_rows, None)
        yield table.drop_columns(list(OMITTED_COLUMNS))


def _decode(source: Source, message: Message, decoder: RowDecoder) -> DecodedMessage:
    try:
        schema_id, record = decoder.decode(source, message.value())
    except (Unreadable, ContractError) as error:
        return DecodedMessage(message, None, None, str(error))
    return DecodedMessage(message, schema_id, record, None)


@dataclass(frozen=True)
class CurrentRow:
    """A row in a version, with its hive partition and its file."""

    hive_partition: str
    file: str
    row: dict[str, object]


def find_current_row(hdfs: Hdfs, table: PublishedTable, key: Key) -> CurrentRow | None:
    """Return the row of a published table with a key. None if there is none.

    Raises WarehouseError for a damaged file, Unavailable.
    """
    footers = FooterCache(hdfs)

    def may_match(group: RowGroup) -> bool:
        return may_hold(group, "", table.key, key)

    def mask(rows: pa.Table) -> pa.BooleanArray:
        return rows_with_key(rows.to_struct_array().combine_chunks(), table.key, key)

    for value, partition in table.partitions.items():
        for entry in hdfs.list(partition.location):
            path = f"{partition.location}/{entry.name}"
            for rows in footers.read_rows(path, entry.size, may_match, table.key, mask):
                return CurrentRow(value, path, rows.to_pylist()[0])
    return None
