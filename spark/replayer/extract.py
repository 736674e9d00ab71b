"""One Spark task: records of the archive between two points of the log, into files that only a replay reads: what a merge needs, by slice of the key.

The archive's own files go on changing under a running warehouse (more come, small ones become large ones), and rarely end where a replay does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.hdfs import Hdfs
from connectors.registry import SchemaRegistry, split
from infra import settings
from schemas.envelope import INCREMENTAL, TRUNCATE, binlog_number, snapshot_id
from schemas.envelope import READ as READ_ROW
from schemas.warehouse import Kind, Source
from spark.archive import Archived, ArchivedFile, touched
from spark.decoding import RowDecoder
from spark.merge import READ
from spark.parquet import ParquetWriter, read_table
from spark.slicing import sliced

Run = tuple[int, int, int]  # a partition, and the offsets from the first up to, not including, the last
NEEDED = [*READ, "key", "schema_id"]
FACTS_READ = ["partition", "offset", "after"]
PLANNED = ["offset", "op", "snapshot", "gtid", "binlog_file", "binlog_pos", "key", "schema_id"]
# Kafka's mark at the end of a transaction takes an offset.
MARK = 1


@dataclass(frozen=True)
class TakeTask:
    """Files of one topic's archive, and by partition the offsets from which and up to which records are taken."""

    source: Source
    files: tuple[str, ...]
    starts: Mapping[int, int]
    ends: Mapping[int, int]
    slices: int
    scratch: str
    hdfs: settings.Hdfs
    registry: settings.Registry


@dataclass
class Taken:
    """What was taken: each archive file's part (what a merge plans with), the runs of offsets, and how many records of each transaction.

    The paths in `archived` want `slice_path` for a slice. `found` are the different changes of each transaction (None for facts).
    """

    source: Source
    archived: list[Archived] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    rows: int = 0
    found: pa.Table | None = None


def slice_path(path: str, number: int) -> str:
    """The file of one slice."""
    return f"{path}-{number:04d}.parquet"


def take(task: TakeTask) -> Taken:
    """Take records. Raises Unavailable if HDFS is away, WarehouseError for a file that is not whole."""
    hdfs, decoder, taken = Hdfs(task.hdfs), RowDecoder(SchemaRegistry(task.registry.url)), Taken(task.source)
    writers: dict[str, tuple[str, list[ParquetWriter]]] = {}
    counted: list[pa.Table] = []
    for file in task.files:
        records = within(read_table(hdfs.read_bytes(file), file, NEEDED), task.starts, task.ends)
        if not records.num_rows:
            continue
        taken.rows += records.num_rows
        taken.runs += runs(records, MARK if task.source.kind is not Kind.FACTS else 0)
        counted.append(records.select(["tx_id", "tx_table_order"]))
        readable = "after" in records.column_names
        wanted = READ if task.source.kind is Kind.CHANGES else FACTS_READ
        kept = records.select([name for name in records.column_names if name in wanted])
        path = ""
        if readable:
            key = _key(decoder, task.source, records)
            path, files = _writers(writers, task, kept.schema)
            parts = _dealt(task, kept, key)
            for writer, part in zip(files, parts, strict=True):
                writer.write(part)
        taken.archived.append(described(task.source, records, path, decoder, catching_up=bool(task.starts)))
    for path, files in writers.values():
        for number, writer in enumerate(files):
            hdfs.write_bytes(slice_path(path, number), writer.finish())
    taken.found = _different(counted) if task.source.kind is Kind.CHANGES else None
    return taken


def within(records: pa.Table, starts: Mapping[int, int], ends: Mapping[int, int]) -> pa.Table:
    """The records from the starts on, before the ends (by partition; a partition without an end gives none)."""
    partition, offset = records.column("partition").to_numpy(), records.column("offset").to_numpy()
    kept = np.zeros(records.num_rows, dtype=bool)
    for number, end in ends.items():
        kept |= (partition == number) & (offset >= starts.get(number, 0)) & (offset < end)
    return records.filter(pa.array(kept))


def runs(records: pa.Table, allowance: int) -> list[Run]:
    """The offsets of records, by partition, as runs; so many missing between two records end none."""
    found: list[Run] = []
    partitions = records.column("partition").to_numpy()
    offsets = records.column("offset").to_numpy()
    for number in np.unique(partitions):
        held = np.unique(offsets[partitions == number])
        breaks = np.flatnonzero(np.diff(held) > 1 + allowance) + 1
        found += [(int(number), int(part[0]), int(part[-1]) + 1) for part in np.split(held, breaks)]
    return found


def described(source: Source, records: pa.Table, path: str, decoder: RowDecoder, catching_up: bool = True) -> Archived:
    """What a merge plans with, of some records (with the columns `NEEDED`); which hive partitions they touch only for catching up."""
    done = Archived(source, (), rows=records.num_rows)
    ordered = records.select(PLANNED).sort_by("offset")
    schemas = ordered.column("schema_id").drop_null()
    if not path or not len(schemas):
        return done
    done.schema_id = schemas[-1].as_py()
    done.files = [ArchivedFile(path, "", done.schema_id)]
    if source.kind is Kind.CHANGES:
        _describe_changes(done, ordered.filter(pc.is_valid(ordered.column("op"))))
    if not catching_up:
        return done
    key = decoder.key(source, done.key_schema_id) if done.key_schema_id is not None else ()
    done.hive_partitions, done.unplaced = touched(source, records, key)
    return done


def _describe_changes(done: Archived, changes: pa.Table) -> None:
    if not changes.num_rows:
        return
    number, at, row = _furthest(changes)
    done.position = number, at, row["gtid"] or ""
    truncates = pc.equal(changes.column("op"), TRUNCATE)
    done.truncated = bool(pc.any(truncates).as_py())
    keys = changes.filter(pc.invert(truncates)).column("key").drop_null()
    done.key_schema_id = split(keys[-1].as_py())[0] if len(keys) else None
    full = changes.filter(pc.and_(pc.equal(changes.column("op"), READ_ROW), pc.not_equal(changes.column("snapshot"), INCREMENTAL)))
    if full.num_rows:
        number, at, row = _furthest(full)
        done.snapshot, done.snapshot_place = snapshot_id({"file": row["binlog_file"], "pos": at}), (number, at)


def _furthest(changes: pa.Table) -> tuple[int, int, dict[str, Any]]:
    """The place in the binlog of the change that stands furthest there, with its file and its GTID."""
    files = changes.column("binlog_file").combine_chunks().dictionary_encode()
    numbers = np.array([binlog_number(name) for name in files.dictionary.to_pylist()] or [-1], dtype=np.int64)
    of_file = numbers[pc.fill_null(files.indices, 0).to_numpy()]
    positions = pc.fill_null(changes.column("binlog_pos"), 0).to_numpy()
    place = int(np.lexsort((positions, of_file))[-1])
    return int(of_file[place]), int(positions[place]), changes.select(["binlog_file", "gtid"]).slice(place, 1).to_pylist()[0]


def _key(decoder: RowDecoder, source: Source, records: pa.Table) -> Sequence[str]:
    """The key columns of the newest change."""
    if source.kind is not Kind.CHANGES:
        return ()
    keyed = (
        records.select(["key", "op", "offset"])
        .filter(pc.and_(pc.is_valid(records.column("key")), pc.is_valid(records.column("op"))))
        .sort_by("offset")
    )
    return decoder.key(source, split(keyed.column("key")[-1].as_py())[0]) if keyed.num_rows else ()


def _dealt(task: TakeTask, kept: pa.Table, key: Sequence[str]) -> list[pa.Table]:
    """Records by slice: changes by their key (those of nobody's go to all), facts one here and one there."""
    if task.source.kind is Kind.CHANGES:
        return sliced(kept, key, task.slices) if key else [kept] * task.slices
    turns = kept.column("offset").to_numpy() % task.slices
    return [kept.filter(pa.array(turns == number)) for number in range(task.slices)]


def _writers(writers: dict[str, tuple[str, list[ParquetWriter]]], task: TakeTask, schema: pa.Schema) -> tuple[str, list[ParquetWriter]]:
    """The files for records of these columns: one for each slice."""
    bare = schema.remove_metadata()
    if bare.to_string() not in writers:
        path = f"{task.scratch}/{task.source.table}-{uuid4().hex[:12]}"
        writers[bare.to_string()] = path, [ParquetWriter(bare) for _ in range(task.slices)]
    return writers[bare.to_string()]


def _different(counted: Sequence[pa.Table]) -> pa.Table:
    """How many different changes of each transaction there are."""
    if not counted:
        return pa.table({"tx_id": pa.array([], pa.string()), "tx_table_order_count": pa.array([], pa.int64())})
    together = pa.concat_tables(counted)
    once = together.filter(pc.is_valid(together.column("tx_id"))).group_by(["tx_id", "tx_table_order"]).aggregate([])
    return once.group_by("tx_id").aggregate([("tx_table_order", "count")])
