"""One task: the latest changes of a table into new files of the hive partitions that they touch."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hdfs import Hdfs
from infra import settings
from infra.errors import ContractError, WarehouseError
from schemas.gtid import GtidSet
from schemas.statements import Carry
from schemas.warehouse import WHOLE, Partitioning, partition_location
from spark.lineage import WAY_ON, Stretch
from spark.manifest import HivePartition
from spark.merge import NO_TRANSACTIONS, READ, Latest, Phase, arrivals, between, by_hive_partition, facts, latest_per_key, over, project
from spark.parquet import ANEW, ParquetWriter, read_table, row_groups
from spark.ranges import KeyRange, cut, deal, to_be_cut, to_be_joined
from spark.roll_up import MOST_FILES
from spark.spans import ANY_KEY, KeySpan, span_of

FILE = "rows.parquet"
NOTHING = Latest(pa.table({}), pa.table({}), False)


@dataclass(frozen=True)
class RewriteTask:
    """Hive partitions of one table to rewrite (by value, with their present state), and the archive files with the changes.

    `key` is empty for facts, which are only ever added. `stretches` are the ranges of changes between statements about the table, oldest first;
    with none, all rows go. Changes of `known` transactions (by the names of the stretches) are in the present state, which began with the full
    snapshot `snapshot`. So many partitions are rewritten side by side as there are `threads`, each held in memory.
    """

    table: str
    schema: pa.Schema
    key: tuple[str, ...]
    known: Mapping[str, GtidSet]
    snapshot: str
    cut: Partitioning | None
    files: dict[str, tuple[str, ...]]
    stretches: tuple[Stretch, ...]
    old: dict[str, HivePartition | None]
    version: int
    token: str
    staging: str
    hdfs: settings.Hdfs
    threads: int = 1

    def folder(self, value: str) -> str:
        """The new folder of a hive partition."""
        hive_column = self.cut.hive_column if self.cut else None
        return partition_location(self.hdfs.root, self.table, hive_column, value, self.version, self.token)


@dataclass
class Rewritten:
    """The new state of hive partitions: None for one that has no rows any more. Partitions that no change concerned are left out.

    `arrivals` are files that join a standing folder after the commit: where they wait, and where they belong.
    """

    table: str
    partitions: dict[str, HivePartition | None] = field(default_factory=dict)
    arrivals: list[tuple[str, str]] = field(default_factory=list)
    refusal: str | None = None


def rewrite(task: RewriteTask) -> Rewritten:
    """Rewrite the partitions of a task. Raises Unavailable if HDFS is away; rows that do not fit the newest columns are a refusal."""
    hdfs, done = Hdfs(task.hdfs), Rewritten(task.table)
    try:
        phases = _phases(task, hdfs)
        rows = by_hive_partition(arrivals(phases, task.schema), task.cut)

        def one(value: str) -> None:
            incoming, old = rows.get(value, task.schema.empty_table()), task.old[value]
            if not task.key and old is not None and old.files < MOST_FILES:
                done.partitions[value] = _add(task, hdfs, incoming, value, old, done.arrivals)
            else:
                _replace(task, hdfs, phases, incoming, value, done)

        with ThreadPoolExecutor(task.threads) as threads:  # Arrow and the network let go of Python's lock
            list(threads.map(one, task.old))
        return done
    except ContractError as error:
        return Rewritten(task.table, refusal=f"{error}; {error.hint or WAY_ON.format(table=task.table)}")


def _add(task: RewriteTask, hdfs: Hdfs, incoming: pa.Table, value: str, old: HivePartition, arrivals: list[tuple[str, str]]) -> HivePartition:
    """Facts into one more file: what it costs does not grow with the partition."""
    file = ParquetWriter(task.schema)
    file.write(incoming)
    data = file.finish()
    staged = f"{task.staging}/{task.table}-{value}.parquet"
    hdfs.write_bytes(staged, data)
    arrivals.append((staged, f"{old.location}/{task.version}-{task.token}.parquet"))
    return replace(old, rows=old.rows + file.rows, size=old.size + len(data), files=old.files + 1)


def _replace(task: RewriteTask, hdfs: Hdfs, phases: Sequence[Phase], incoming: pa.Table, value: str, done: Rewritten) -> None:
    """The old rows that stay and the new ones into a new folder, unless nothing differs. Files that no change touches are copied as they are."""
    old, folder = task.old[value], task.folder(value)
    pieces = _pieces(task, phases, incoming, old)
    with ThreadPoolExecutor(task.threads) as threads:
        renewed = list(threads.map(lambda piece: piece.renewed(task, hdfs, phases), pieces))
        # A table that is not partitioned exists also with no rows; a partition goes.
        whole = value == WHOLE
        if all(files is None for files in renewed) and (old is not None or not whole):
            return
        files = [file for number, (piece, new) in enumerate(zip(pieces, renewed, strict=True)) for file in piece.named(number, new)]
        files = [file for file in files if file.rows] or ([NewFile.of(FILE, NewRows(task))] if whole else [])
        if not files:
            done.partitions[value] = None
            return
        list(threads.map(lambda file: file.write(hdfs, folder), files))
    done.partitions[value] = _held(folder, files)


def _held(folder: str, files: Sequence["NewFile"]) -> HivePartition:
    """A hive partition as the manifest has it."""
    keys = files[0].keys
    for file in files[1:]:
        keys = file.keys.wider(keys)
    rows, size = sum(file.rows for file in files), sum(file.size for file in files)
    if len(files) == 1:
        return HivePartition(folder, rows, size, keys.low, keys.high)
    ranges = tuple(KeyRange(file.name, file.rows, file.size, file.keys.low or 0, file.keys.high or 0) for file in files)
    return HivePartition(folder, rows, size, keys.low, keys.high, len(files), ranges)


@dataclass(frozen=True)
class NewFile:
    """A file of a partition's new folder: its content, or the file that it is a copy of."""

    name: str
    rows: int
    size: int
    keys: KeySpan
    data: bytes | None = None
    copied: str = ""

    @classmethod
    def of(cls, name: str, new: "NewRows") -> "NewFile":
        """A file of new rows."""
        data = new.file.finish()
        return cls(name, new.file.rows, len(data), new.keys or ANY_KEY, data)

    def write(self, hdfs: Hdfs, folder: str) -> None:
        """Raises WarehouseError if the file to copy is not as long as the manifest states."""
        data = self.data if self.data is not None else hdfs.read_bytes(self.copied)
        if len(data) != self.size:
            raise WarehouseError(f"{self.copied} has {len(data)} bytes, and the manifest states {self.size}", ANEW)
        hdfs.write_bytes(f"{folder}/{self.name}", data)


@dataclass(frozen=True)
class Piece:
    """A part of a hive partition that is rewritten by itself: all of it, or one of its ranges, with the rows that come into it."""

    old: HivePartition | None
    held: KeyRange | None
    incoming: pa.Table
    touched: bool

    def renewed(self, task: RewriteTask, hdfs: Hdfs, phases: Sequence[Phase]) -> list["NewFile"] | None:
        """The new files, whose names are to follow; None if nothing differs."""
        if not self.touched:
            return None
        stay, removed = [], 0
        large = bool(task.key) and to_be_cut(self._rows() + self.incoming.num_rows, task.schema.field(task.key[0]).type)
        new = NewRows(task)
        for rows in _old_rows(hdfs, self.old, self.held):
            left = _as_now(over(rows, phases), task)
            removed += rows.num_rows - left.num_rows
            stay.append(left) if large else new.add(left)
        if len(phases) == 1 and not removed and not self.incoming.num_rows:
            return None
        if not large:
            new.add(self.incoming)
            return [NewFile.of("", new)]
        parts = cut(pa.concat_tables([*stay, self.incoming]), task.key[0])
        return [NewFile.of("", NewRows(task, part)) for part in parts]

    def named(self, number: int, new: list["NewFile"] | None) -> list["NewFile"]:
        """The files that the piece has from now on; the names are in the order of their keys."""
        if new is None:
            return [self._copy(f"rows-{number:04}.parquet")] if self.held else []
        if self.held is None and len(new) == 1:
            return [replace(new[0], name=FILE)]
        return [replace(file, name=f"rows-{number:04}-{part:04}.parquet") for part, file in enumerate(new)]

    def _copy(self, name: str) -> "NewFile":
        assert self.old is not None and self.held is not None
        keys = KeySpan(self.held.lowest_key, self.held.highest_key)
        return NewFile(name, self.held.rows, self.held.size, keys, None, f"{self.old.location}/{self.held.file}")

    def _rows(self) -> int:
        return self.held.rows if self.held else self.old.rows if self.old else 0


def _pieces(task: RewriteTask, phases: Sequence[Phase], incoming: pa.Table, old: HivePartition | None) -> list[Piece]:
    """A hive partition by its ranges; whole if it has none, if it has become small, or if all its rows change."""
    latest = phases[0].latest
    if old is None or len(old.ranges) < 2 or to_be_joined(old.rows) or len(phases) > 1 or latest.truncated:
        return [Piece(old, None, incoming, True)]
    key = task.key[0]
    changed = deal(project(latest.keys, pa.schema([task.schema.field(key)])), key, old.ranges)
    arriving = deal(incoming, key, old.ranges)
    return [Piece(old, held, new, bool(keys.num_rows or new.num_rows)) for held, keys, new in zip(old.ranges, changed, arriving, strict=True)]


class NewRows:
    """The rows of a partition's new file, and the span of their keys."""

    def __init__(self, task: RewriteTask, rows: pa.Table | None = None) -> None:
        self.file = ParquetWriter(task.schema)
        self.keys: KeySpan | None = None
        self._key = task.key[0] if task.key else None
        if rows is not None:
            self.add(rows)

    def add(self, rows: pa.Table) -> None:
        """Add rows."""
        self.file.write(rows)
        found = span_of(rows.column(self._key)) if self._key else None
        self.keys = found.wider(self.keys) if found else self.keys


def _phases(task: RewriteTask, hdfs: Hdfs) -> list[Phase]:
    """What the changes of each stretch come to."""
    read = {path: read_table(hdfs.read_bytes(path), path, READ) for paths in task.files.values() for path in paths}
    if not task.key:
        return [Phase(facts(list(read.values()), task.schema), Carry())]
    if not task.stretches:
        return [Phase(Latest(task.schema.empty_table(), pa.table({}), True), Carry())]
    phases = []
    for stretch in task.stretches:
        held = [between(read[path], stretch.after, stretch.until) for path in task.files.get(stretch.name, ())]
        changes = sorted((table for table in held if table.num_rows), key=lambda table: pc.max(table.column("offset")).as_py())
        schema = task.schema if stretch is task.stretches[-1] or not changes else pa.schema(list(changes[-1].column("after").type))
        known = task.known.get(stretch.name, NO_TRANSACTIONS)
        latest = latest_per_key(changes, schema, stretch.key or task.key, known, task.snapshot) if changes else NOTHING
        phases.append(Phase(latest, stretch.carry))
    return phases


def _as_now(rows: pa.Table, task: RewriteTask) -> pa.Table:
    """Old rows with the newest columns. Raises ContractError for a column of which no statement tells the values that old rows have."""
    if not rows.num_rows:
        return task.schema.empty_table()
    if missing := [name for name in task.schema.names if name not in rows.column_names]:
        raise ContractError(
            f"table {task.table}: no statement tells what the new column {missing[0]} holds in older rows", WAY_ON.format(table=task.table)
        )
    return project(rows, task.schema)


def _old_rows(hdfs: Hdfs, old: HivePartition | None, held: KeyRange | None = None) -> Iterator[pa.Table]:
    """The rows of a hive partition, or of one of its ranges.

    Raises WarehouseError if these are not as many as the manifest states: going on would lose the others in silence.
    """
    if old is None:
        return
    found, stated = 0, held.rows if held else old.rows
    names = [held.file] if held else [entry.name for entry in hdfs.list(old.location)]
    for path in (f"{old.location}/{name}" for name in names):
        for rows in row_groups(hdfs.read_bytes(path), path):
            found += rows.num_rows
            yield rows
    if found != stated:
        raise WarehouseError(f"{path if held else old.location} holds {found} rows, and the manifest states {stated}", ANEW)


def history_of(task: RewriteTask, hdfs: Hdfs) -> pa.Table:
    """The rows that a task's changes leave where there was nothing before. Raises Unavailable, ContractError as `rewrite` refuses."""
    return arrivals(_phases(task, hdfs), task.schema)
