"""One Spark task: the latest changes of a table into new files of the hive partitions that they touch."""

from collections.abc import Iterator, Mapping, Sequence
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
from spark.merge import NO_TRANSACTIONS, READ, Latest, Phase, arrivals, between, facts, hive_partitions, latest_per_key, over, project
from spark.parquet import ANEW, ParquetWriter, read_table, row_groups
from spark.roll_up import MOST_FILES
from spark.spans import ANY_KEY, KeySpan, span_of

FILE = "rows.parquet"
NOTHING = Latest(pa.table({}), pa.table({}), False)


@dataclass(frozen=True)
class RewriteTask:
    """Hive partitions of one table to rewrite (by value, with their present state), and the archive files with the changes.

    `key` is empty for facts, which are only ever added. `stretches` are the ranges of changes between statements about the table, oldest first;
    with none, all rows go. Changes of `known` transactions (by the names of the stretches) are in the present state, which began with the full
    snapshot `snapshot`.
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
        rows = arrivals(phases, task.schema)
        values = hive_partitions(rows, task.cut)
        for value, old in task.old.items():
            incoming = rows.filter(pc.equal(values, value))
            if not task.key and old is not None and old.files < MOST_FILES:
                done.partitions[value] = _add(task, hdfs, incoming, value, old, done.arrivals)
            else:
                _replace(task, hdfs, phases, incoming, value, done)
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
    """The old rows that stay and the new ones into a new folder, unless nothing differs."""
    new, removed, old = NewRows(task), 0, task.old[value]
    changed = len(phases) > 1
    for rows in _old_rows(hdfs, old):
        stay = _as_now(over(rows, phases), task)
        removed += rows.num_rows - stay.num_rows
        new.add(stay)
    # A table that is not partitioned exists also with no rows; a partition goes.
    whole = value == WHOLE
    if not changed and not removed and not incoming.num_rows and (old is not None or not whole):
        return
    new.add(incoming)
    if not new.file.rows and not whole:
        done.partitions[value] = None
        return
    data, folder, keys = new.file.finish(), task.folder(value), new.keys or ANY_KEY
    hdfs.write_bytes(f"{folder}/{FILE}", data)
    done.partitions[value] = HivePartition(folder, new.file.rows, len(data), keys.low, keys.high)


class NewRows:
    """The rows of a partition's new file, and the span of their keys."""

    def __init__(self, task: RewriteTask) -> None:
        self.file = ParquetWriter(task.schema)
        self.keys: KeySpan | None = None
        self._key = task.key[0] if task.key else None

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


def _old_rows(hdfs: Hdfs, old: HivePartition | None) -> Iterator[pa.Table]:
    """Raises WarehouseError if these are not as many as the manifest states: going on would lose the others in silence."""
    if old is None:
        return
    found = 0
    for entry in hdfs.list(old.location):
        path = f"{old.location}/{entry.name}"
        for rows in row_groups(hdfs.read_bytes(path), path):
            found += rows.num_rows
            yield rows
    if found != old.rows:
        raise WarehouseError(f"{old.location} holds {found} rows, and the manifest states {old.rows}", ANEW)


def history_of(task: RewriteTask, hdfs: Hdfs) -> pa.Table:
    """The rows that a task's changes leave where there was nothing before. Raises Unavailable, ContractError as `rewrite` refuses."""
    return arrivals(_phases(task, hdfs), task.schema)
