"""One Spark task: the rows of one slice of a table, as all of its history leaves them, into new files. And facts, which are only ever added."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hdfs import Hdfs
from infra.errors import ContractError
from schemas.warehouse import WHOLE
from spark.manifest import HivePartition
from spark.merge import hive_partitions
from spark.parquet import ParquetWriter
from spark.rewrite import RewriteTask, history_of
from spark.slicing import own
from spark.spans import ANY_KEY, KeySpan, span_of


@dataclass(frozen=True)
class BuildTask:
    """A table's changes from its beginning (a rewriting of nothing), one slice of its keys of so many, and under which root the table lies."""

    rewriting: RewriteTask
    number: int
    slices: int
    root: str

    def folder(self, value: str) -> str:
        """The new folder of a hive partition; all slices share it."""
        task = self.rewriting
        return replace(task, hdfs=replace(task.hdfs, root=self.root)).folder(value)


@dataclass
class Built:
    """What a slice has in each hive partition, or why the table cannot be built."""

    table: str
    partitions: dict[str, HivePartition] = field(default_factory=dict)
    refusal: str | None = None


def build(task: BuildTask) -> Built:
    """Build a slice. Raises Unavailable if HDFS is away; a statement that rows do not get over is a refusal."""
    hdfs, rewriting, done = Hdfs(task.rewriting.hdfs), task.rewriting, Built(task.rewriting.table)
    try:
        rows = own(history_of(rewriting, hdfs), rewriting.key, task.number, task.slices)
    except ContractError as error:
        return Built(rewriting.table, refusal=f"{error}; {error.hint}" if error.hint else str(error))
    values = hive_partitions(rows, rewriting.cut)
    # A table that is not partitioned exists also with no rows.
    for value in pc.unique(values).to_pylist() or ([WHOLE] if rewriting.cut is None and task.number == 0 else []):
        done.partitions[value] = _written(task, hdfs, rows.filter(pc.equal(values, value)), value)
    return done


def _written(task: BuildTask, hdfs: Hdfs, rows: pa.Table, value: str) -> HivePartition:
    file, key, folder = ParquetWriter(task.rewriting.schema), task.rewriting.key, task.folder(value)
    file.write(rows)
    data = file.finish()
    # The name begins with the version, as that of every file with facts does (spark/pinned.py).
    hdfs.write_bytes(f"{folder}/{task.rewriting.version}-{task.number:04d}.parquet", data)
    span = (span_of(rows.column(key[0])) if key else None) or ANY_KEY
    return HivePartition(folder, rows.num_rows, len(data), span.low, span.high)


def together(parts: Mapping[int, Mapping[str, HivePartition]]) -> dict[str, HivePartition]:
    """The hive partitions of a table, from those of its slices."""
    found: dict[str, HivePartition] = {}
    for partitions in parts.values():
        for value, part in partitions.items():
            before = found.get(value)
            found[value] = part if before is None else _joined(before, part)
    return found


def _joined(one: HivePartition, other: HivePartition) -> HivePartition:
    spans = [KeySpan(part.lowest_key, part.highest_key) for part in (one, other) if part.rows]
    span = spans[0].wider(spans[1]) if len(spans) == 2 else spans[0] if spans else ANY_KEY
    return HivePartition(one.location, one.rows + other.rows, one.size + other.size, span.low, span.high, one.files + other.files)
