"""One Spark task: records of the archive between two points of the log, by slice of the key, into
files that only a replay reads.

The archive's files change under a running warehouse (new ones arrive, small ones are rolled up),
and rarely end where a replay does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.hadoop.hdfs import Hdfs
from connectors.kafka.schema_registry import SchemaRegistry, split
from connectors.runtime import settings
from schemas.avro_schema import columns_of_fields
from schemas.envelope import INCREMENTAL, TRUNCATE, binlog_number, snapshot_id
from schemas.envelope import READ as READ_ROW
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedFile, ArchivedRanges, SnapshotRows
from spark.archive.record_summary import touched_partitions
from spark.log.row_decoder import RowDecoder
from spark.merge.latest_rows import MERGE_COLUMNS
from spark.storage.key_buckets import split_into_slices
from spark.storage.parquet import ParquetWriter, read_table

# A partition, its first offset, and the offset after its last.
OffsetRun = tuple[int, int, int]
EXTRACT_COLUMNS = [*MERGE_COLUMNS, "schema_id"]
FACT_COLUMNS = ["partition", "offset", "after"]
SUMMARY_COLUMNS = [
    "offset",
    "op",
    "snapshot",
    "gtid",
    "binlog_file",
    "binlog_pos",
    "key",
    "schema_id",
]
# Kafka's marker at the end of a transaction takes one offset.
MARK = 1


class KeyDecoder(Protocol):
    """The registry's key schemas, as far as a summary needs them."""

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        """Return the key columns of a key schema."""


@dataclass(frozen=True, kw_only=True)
class ExtractTask:
    """Files of one topic's archive, and the range of offsets to extract from each partition.

    `starts` are inclusive (0 if missing), `ends` exclusive (nothing if missing). The records are
    split into `slices` by key.
    """

    source: Source
    files: tuple[str, ...]
    starts: Mapping[int, int]
    ends: Mapping[int, int]
    slices: int
    scratch: str
    hdfs: settings.Hdfs
    registry: settings.Registry


@dataclass
class ExtractResult:
    """The extracted records of some archive files.

    `archived` has a summary for each file. Its paths are prefixes of the slices' (see slice_path).
    `changes_by_transaction` counts distinct changes (columns tx_id, tx_table_order_count; None for
    facts).
    """

    source: Source
    archived: list[ArchivedRanges] = field(default_factory=list)
    offset_runs: list[OffsetRun] = field(default_factory=list)
    rows: int = 0
    changes_by_transaction: pa.Table | None = None


def slice_path(path: str, number: int) -> str:
    """Return the path of one slice."""
    return f"{path}-{number:04d}.parquet"


class SliceWriters:
    """The files of a task: one per slice for each set of columns."""

    def __init__(self, task: ExtractTask) -> None:
        self._task = task
        self._paths: dict[str, str] = {}
        self._writers: dict[str, list[ParquetWriter]] = {}

    def write_slices(self, slices: Sequence[pa.Table]) -> str:
        """Write a table to each slice. Returns the path of the files without the slice numbers."""
        schema = slices[0].schema.remove_metadata()
        columns = schema.to_string()
        if columns not in self._writers:
            name = f"{self._task.source.table}-{uuid4().hex[:12]}"
            self._paths[columns] = f"{self._task.scratch}/{name}"
            self._writers[columns] = [ParquetWriter(schema) for _ in slices]
        for writer, rows in zip(self._writers[columns], slices, strict=True):
            writer.write_rows(rows)
        return self._paths[columns]

    def upload_files(self, hdfs: Hdfs) -> None:
        """Write the files to HDFS. Raises Unavailable."""
        for columns, writers in self._writers.items():
            for number, writer in enumerate(writers):
                hdfs.write_bytes(slice_path(self._paths[columns], number), writer.finish())


def extract_records(task: ExtractTask) -> ExtractResult:
    """Extract the records of a task. Raises Unavailable, WarehouseError for a damaged file."""
    hdfs = Hdfs(task.hdfs)
    decoder = RowDecoder(SchemaRegistry(task.registry.url))
    result = ExtractResult(task.source)
    is_facts = task.source.kind is Kind.FACTS
    writers = SliceWriters(task)
    transaction_orders: list[pa.Table] = []
    for file in task.files:
        table = read_table(hdfs.read_bytes(file), file, EXTRACT_COLUMNS)
        records = filter_range(table, task.starts, task.ends)
        if not records.num_rows:
            continue
        result.rows += records.num_rows
        result.offset_runs += offset_runs(records, 0 if is_facts else MARK)
        transaction_orders.append(records.select(["tx_id", "tx_table_order"]))
        path = ""
        if "after" in records.column_names:
            path = writers.write_slices(_split(task, records, decoder))
        summary = summarize_records(
            task.source, records, path, decoder, catching_up=bool(task.starts)
        )
        result.archived.append(summary)
    writers.upload_files(hdfs)
    if task.source.kind is Kind.CHANGES:
        result.changes_by_transaction = _count_changes(transaction_orders)
    return result


def filter_range(
    records: pa.Table, starts: Mapping[int, int], ends: Mapping[int, int]
) -> pa.Table:
    """Return the records between starts and ends, by partition.

    A partition without an end gives none.
    """
    partitions = records.column("partition").to_numpy()
    offsets = records.column("offset").to_numpy()
    is_within = np.zeros(records.num_rows, dtype=bool)
    for partition, end in ends.items():
        start = starts.get(partition, 0)
        is_within |= (partitions == partition) & (offsets >= start) & (offsets < end)
    return records.filter(pa.array(is_within))


def offset_runs(records: pa.Table, allowance: int) -> list[OffsetRun]:
    """Return the runs of consecutive offsets in each partition.

    Up to `allowance` missing offsets between two records do not end a run.
    """
    runs: list[OffsetRun] = []
    partitions = records.column("partition").to_numpy()
    offsets = records.column("offset").to_numpy()
    for partition in np.unique(partitions):
        partition_offsets = np.unique(offsets[partitions == partition])
        breaks = np.flatnonzero(np.diff(partition_offsets) > 1 + allowance) + 1
        for run in np.split(partition_offsets, breaks):
            runs.append((int(partition), int(run[0]), int(run[-1]) + 1))
    return runs


def summarize_records(
    source: Source,
    records: pa.Table,
    path: str,
    decoder: KeyDecoder,
    catching_up: bool = True,
) -> ArchivedRanges:
    """Return the summary that a merge plans with. `records` have the columns `EXTRACT_COLUMNS`.

    The hive partitions that they touch are only in it for `catching_up`.
    """
    summarized_ranges = ArchivedRanges(source=source, records=records.num_rows)
    ordered_records = records.select(SUMMARY_COLUMNS).sort_by("offset")
    schema_ids = ordered_records.column("schema_id").drop_null()
    if not path or not len(schema_ids):
        return summarized_ranges
    summary = summarized_ranges.summary
    summary.schema_id = schema_ids[-1].as_py()
    summarized_ranges.files = [ArchivedFile(path, "", summary.schema_id)]
    if source.kind is Kind.CHANGES:
        is_readable = pc.is_valid(ordered_records.column("op"))
        _summarize_changes(summarized_ranges, ordered_records.filter(is_readable))
    if not catching_up:
        return summarized_ranges
    key: tuple[str, ...] = ()
    if summary.key_schema_id is not None:
        fields = decoder.key(source, summary.key_schema_id)
        key = _columns_of_key(fields, records)
    summary.hive_partitions, summary.unplaced_keys = touched_partitions(
        source, records, key
    )
    return summarized_ranges


def _summarize_changes(summarized_ranges: ArchivedRanges, changes: pa.Table) -> None:
    if not changes.num_rows:
        return
    newest = _newest_change(changes)
    summarized_ranges.summary.position = (newest.file_number, newest.position, newest.gtid)
    operations = changes.column("op")
    is_truncate = pc.equal(operations, TRUNCATE)
    summarized_ranges.summary.is_truncated = bool(pc.any(is_truncate).as_py())
    keys = changes.filter(pc.invert(is_truncate)).column("key")
    summarized_ranges.summary.is_keyless = bool(len(keys)) and not keys[-1].is_valid
    keys = keys.drop_null()
    summarized_ranges.summary.key_schema_id = (
        split(keys[-1].as_py())[0] if len(keys) else None
    )
    is_full_snapshot = pc.and_(
        pc.equal(operations, READ_ROW),
        pc.not_equal(changes.column("snapshot"), INCREMENTAL),
    )
    snapshot_rows = changes.filter(is_full_snapshot)
    if snapshot_rows.num_rows:
        last_row = _newest_change(snapshot_rows)
        snapshot = snapshot_id({"file": last_row.file, "pos": last_row.position})
        summarized_ranges.snapshot = SnapshotRows(
            snapshot, (last_row.file_number, last_row.position)
        )


@dataclass(frozen=True)
class BinlogChange:
    """The binlog position and the GTID of a change (empty if it has none)."""

    file: str | None
    file_number: int
    position: int
    gtid: str


def _newest_change(changes: pa.Table) -> BinlogChange:
    """Return the change with the highest position in the binlog, whose files sort as numbers."""
    files = changes.column("binlog_file").combine_chunks().dictionary_encode()
    numbers_by_file = [binlog_number(name) for name in files.dictionary.to_pylist()] or [-1]
    indices = pc.fill_null(files.indices, 0).to_numpy()
    file_numbers = np.array(numbers_by_file, dtype=np.int64)[indices]
    positions = pc.fill_null(changes.column("binlog_pos"), 0).to_numpy()
    index = int(np.lexsort((positions, file_numbers))[-1])
    row = changes.select(["binlog_file", "gtid"]).slice(index, 1).to_pylist()[0]
    return BinlogChange(
        file=row["binlog_file"],
        file_number=int(file_numbers[index]),
        position=int(positions[index]),
        gtid=row["gtid"] or "",
    )


def _newest_key(decoder: KeyDecoder, source: Source, records: pa.Table) -> Sequence[str]:
    """Return the key columns of the newest change. Empty if no change has a key."""
    has_key = pc.and_(pc.is_valid(records.column("key")), pc.is_valid(records.column("op")))
    keyed_records = records.select(["key", "op", "offset"]).filter(has_key)
    if not keyed_records.num_rows:
        return ()
    newest_key = keyed_records.sort_by("offset").column("key")[-1].as_py()
    schema_id, _ = split(newest_key)
    return _columns_of_key(decoder.key(source, schema_id), records)


def _columns_of_key(fields: Sequence[str], records: pa.Table) -> tuple[str, ...]:
    columns = []
    if "after" in records.column_names:
        columns = [field.name for field in records.column("after").type]
    return columns_of_fields(fields, columns)


def _split(task: ExtractTask, records: pa.Table, decoder: KeyDecoder) -> list[pa.Table]:
    """Split changes by key (changes without a key belong to all slices), and facts evenly."""
    is_changes = task.source.kind is Kind.CHANGES
    wanted_columns = MERGE_COLUMNS if is_changes else FACT_COLUMNS
    columns = [name for name in records.column_names if name in wanted_columns]
    rows = records.select(columns)
    if is_changes:
        key = _newest_key(decoder, task.source, records)
        if key:
            return split_into_slices(rows, key, task.slices)
        return _slices_without_key(rows, task.slices)
    numbers = rows.column("offset").to_numpy() % task.slices
    return [rows.filter(pa.array(numbers == number)) for number in range(task.slices)]


def _slices_without_key(rows: pa.Table, slices: int) -> list[pa.Table]:
    """Changes of rows without a key are in one slice, TRUNCATEs alone in all."""
    is_row = pc.fill_null(pc.not_equal(rows.column("op"), TRUNCATE), False)
    if pc.any(is_row).as_py():
        return [rows] + [rows.slice(0, 0)] * (slices - 1)
    return [rows] * slices


def _count_changes(transaction_orders: Sequence[pa.Table]) -> pa.Table:
    """Count the distinct changes of each transaction."""
    if not transaction_orders:
        schema = pa.schema([("tx_id", pa.string()), ("tx_table_order_count", pa.int64())])
        return schema.empty_table()
    orders = pa.concat_tables(transaction_orders)
    in_transaction = orders.filter(pc.is_valid(orders.column("tx_id")))
    distinct_orders = in_transaction.group_by(["tx_id", "tx_table_order"]).aggregate([])
    return distinct_orders.group_by("tx_id").aggregate([("tx_table_order", "count")])
