"""One Spark task: the rows of a slice of a table, built from all of its history, into new files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hadoop.hdfs import Hdfs
from schemas.errors import ContractError
from schemas.manifest import HivePartition
from schemas.warehouse_layout import WHOLE
from spark.merge.hive_partitions import hive_partitions
from spark.merge.rewrite import build_rows
from spark.merge.rewrite_task import RewriteTask
from spark.storage.key_bounds import ANY_KEY, KeySpan, span_of
from spark.storage.key_buckets import rows_of_slice
from spark.storage.parquet import ParquetWriter


@dataclass(frozen=True)
class BuildTask:
    """A slice of a table to build: slice `number` of `slices` by key, in the folder `root`.

    `rewriting` has all changes of the table and no rows before them.
    """

    rewriting: RewriteTask
    number: int
    slices: int
    root: str

    def folder(self, value: str) -> str:
        """Return the new folder of a hive partition, which all slices share."""
        return self.rewriting.folder(value, self.root)


@dataclass
class BuildResult:
    """The files of a slice by hive partition, or the reason why the table cannot be built."""

    table: str
    partitions: dict[str, HivePartition] = field(default_factory=dict)
    refusal: str | None = None


def build_slice(task: BuildTask) -> BuildResult:
    """Build a slice. Raises Unavailable.

    A statement that cannot be applied to rows, or a row that does not fit, is a refusal.
    """
    rewriting = task.rewriting
    table = rewriting.table
    hdfs = Hdfs(rewriting.hdfs)
    result = BuildResult(table.name)
    try:
        all_rows = build_rows(rewriting, hdfs)
        rows = rows_of_slice(all_rows, table.key, task.number, task.slices)
    except ContractError as error:
        result.refusal = f"{error}; {error.hint}" if error.hint else str(error)
        return result
    values = hive_partitions(rows, table.partitioning)
    distinct_values = pc.unique(values).to_pylist()
    # A table without partitions exists even without rows.
    if not distinct_values and table.partitioning is None and task.number == 0:
        distinct_values = [WHOLE]
    for value in distinct_values:
        partition_rows = rows.filter(pc.equal(values, value))
        result.partitions[value] = _write_rows(task, hdfs, partition_rows, value)
    return result


def _write_rows(task: BuildTask, hdfs: Hdfs, rows: pa.Table, value: str) -> HivePartition:
    table = task.rewriting.table
    writer = ParquetWriter(table.schema)
    writer.write_rows(rows)
    data = writer.finish()
    folder = task.folder(value)
    # The name begins with the version, like that of every file of facts
    # (spark/publish/version_database.py).
    hdfs.write_bytes(
        f"{folder}/{task.rewriting.target.version}-{task.number:04d}.parquet", data
    )
    span = span_of(rows.column(table.key[0])) if table.key else None
    span = span or ANY_KEY
    return HivePartition(
        location=folder,
        rows=rows.num_rows,
        size=len(data),
        lowest_key=span.low,
        highest_key=span.high,
    )


def merge_partitions(
    slices: Mapping[int, Mapping[str, HivePartition]],
) -> dict[str, HivePartition]:
    """Return the hive partitions of a table, from those of its slices by number."""
    merged_partitions: dict[str, HivePartition] = {}
    for partitions in slices.values():
        for value, partition in partitions.items():
            if value in merged_partitions:
                partition = _merge_pair(merged_partitions[value], partition)
            merged_partitions[value] = partition
    return merged_partitions


def _merge_pair(first: HivePartition, second: HivePartition) -> HivePartition:
    span: KeySpan | None = None
    for partition in (first, second):
        if partition.rows:
            span = KeySpan(partition.lowest_key, partition.highest_key).wider(span)
    span = span or ANY_KEY
    return HivePartition(
        location=first.location,
        rows=first.rows + second.rows,
        size=first.size + second.size,
        lowest_key=span.low,
        highest_key=span.high,
        files=first.files + second.files,
    )
