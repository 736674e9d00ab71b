"""One Spark task: the rows of a hive partition in two states of a table, compared by value; those that differ are named."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from connectors.hdfs import Hdfs
from infra import settings
from infra.errors import ContractError, WarehouseError
from schemas.warehouse import Kind
from spark.manifest import HivePartition, Manifest, Table
from spark.parquet import row_groups
from spark.slicing import own

MOST_NAMED = 5
# Compared side by side in memory: rows of both states.
SLICE_ROWS = 500_000
# Facts have no key: what has one of these types deals them to slices.
NUMBERS = ("timestamp", "bigint", "int")
BROUGHT_BY = re.compile(r"([0-9]+)-[^/]*[.]parquet$")
Row = tuple[Any, ...]


@dataclass(frozen=True)
class CompareTask:
    """A hive partition as two manifests have it (None: not at all), and which slice of its rows (by the columns `by`) of how many.

    The live folder of facts takes further files from version to version: those up to `version` count.
    """

    table: str
    value: str
    key: tuple[str, ...]
    by: tuple[str, ...]
    columns: tuple[str, ...]
    live: HivePartition | None
    rebuilt: HivePartition | None
    number: int
    slices: int
    version: int
    hdfs: settings.Hdfs


@dataclass(frozen=True)
class Compared:
    """How many rows the rebuilt state has, how many differ between the two, and the first of these in words."""

    rows: int
    differing: int
    named: tuple[str, ...] = ()


@dataclass
class Comparison:
    """What a comparison of some tables came to: rows compared, rows that differ by table, the first of each in words."""

    rows: int = 0
    differing: dict[str, int] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differing

    def add(self, table: str, found: Compared) -> None:
        """Take in what one task found."""
        self.rows += found.rows
        if found.differing:
            named = sum(text.startswith(f"{table} ") for text in self.named)
            self.differing[table] = self.differing.get(table, 0) + found.differing
            self.named += found.named[: max(0, MOST_NAMED - named)]


def tasks_for(live: Manifest, rebuilt: Manifest, names: Iterable[str], hdfs: settings.Hdfs) -> tuple[list[CompareTask], Comparison]:
    """The tasks that compare some tables, and what the manifests alone say: a table that only one has, or that has other columns."""
    tasks, comparison = list[CompareTask](), Comparison()
    for name in names:
        one, other = live.tables.get(name), rebuilt.tables.get(name)
        if one is None or other is None or unlike(one, other):
            what = "is not live" if one is None else "cannot be rebuilt" if other is None else f"has other columns: {unlike(one, other)}"
            comparison.add(name, Compared(0, 1, (f"{name} {what}",)))
            continue
        columns, key = tuple(column for column, _ in other.columns), other.key if other.kind == Kind.CHANGES.value else ()
        by = key or tuple(column for column, kind in other.columns if kind in NUMBERS)[:1]
        for value in sorted(one.partitions.keys() | other.partitions.keys()):
            held = one.partitions.get(value), other.partitions.get(value)
            slices = max(1, -(-max(part.rows for part in held if part) // SLICE_ROWS)) if by else 1
            tasks += [CompareTask(name, value, key, by, columns, *held, number, slices, live.version, hdfs) for number in range(slices)]
    return tasks, comparison


def unlike(one: Table, other: Table) -> str:
    """How two states of a table differ before any row is looked at; nothing if they do not."""
    if one.columns == other.columns and one.key == other.key:
        return ""
    return f"live {_told(one)}, rebuilt {_told(other)}"


def compare(task: CompareTask) -> Compared:
    """Compare. A live file that is damaged or lacks rows is a difference; Raises WarehouseError for such a rebuilt one, Unavailable."""
    hdfs = Hdfs(task.hdfs)
    rebuilt = _rows(task, hdfs, task.rebuilt, None)
    where = f"{task.table} ({task.value})" if task.value else task.table
    try:
        live = _rows(task, hdfs, task.live, task.version)
    except (WarehouseError, ContractError) as error:
        return Compared(rebuilt.num_rows, max(1, rebuilt.num_rows), (f"{where} cannot be read: {error}",))
    one, other = _alike(live, rebuilt, task.key or task.columns)
    if one.equals(other):
        return Compared(other.num_rows, 0)
    differing, named = _differences(one, other, task.key)
    return Compared(other.num_rows, differing, tuple(f"{where} {text}" for text in named[:MOST_NAMED]))


def _alike(live: pa.Table, rebuilt: pa.Table, order: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """Both in one order, with the types that the rebuilt one has; if a side has no rows, it takes the other's columns."""
    live = live if live.num_columns else rebuilt.schema.empty_table()
    rebuilt = rebuilt if rebuilt.num_columns else live.schema.empty_table()
    sorting = [(name, "ascending") for name in order] if rebuilt.num_columns else []
    return (live.cast(rebuilt.schema).sort_by(sorting), rebuilt.sort_by(sorting)) if sorting else (live, rebuilt)


def _rows(task: CompareTask, hdfs: Hdfs, part: HivePartition | None, version: int | None) -> pa.Table:
    """The rows of the task's slice. Raises WarehouseError if the folder does not hold as many as the manifest says."""
    found, parts = 0, list[pa.Table]()
    for entry in hdfs.list(part.location) if part else ():
        if version is not None and brought_by(entry.name) > version:
            continue
        path = f"{part.location}/{entry.name}" if part else ""
        for rows in row_groups(hdfs.read_bytes(path), path):
            found += rows.num_rows
            parts.append(own(_with(rows, task.columns, path), task.by, task.number, task.slices))
    if part is not None and found != part.rows:
        raise WarehouseError(f"{part.location} holds {found} rows, and the manifest states {part.rows}")
    return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})


def brought_by(name: str) -> int:
    """The version that brought a file of facts; 0 for what came with its folder."""
    found = BROUGHT_BY.match(name)
    return int(found[1]) if found else 0


def _with(rows: pa.Table, columns: Sequence[str], path: str) -> pa.Table:
    if missing := [name for name in columns if name not in rows.column_names]:
        raise WarehouseError(f"{path} has no column {missing[0]}")
    return rows.select(list(columns))


def _differences(one: pa.Table, other: pa.Table, key: Sequence[str]) -> tuple[int, list[str]]:
    """How many rows differ, and all of them in words: by key where there is one, else the rows that only one side has (or has more often)."""
    if not key:
        live, rebuilt = Counter(_tuples(one)), Counter(_tuples(other))
        texts = [f"{dict(zip(other.column_names, row, strict=True))}: only live" for row in (live - rebuilt).elements()]
        texts += [f"{dict(zip(other.column_names, row, strict=True))}: only rebuilt" for row in (rebuilt - live).elements()]
        return len(texts), texts
    by_key = [dict(zip(_tuples(rows.select(list(key))), _tuples(rows), strict=True)) for rows in (one, other)]
    keys = sorted((place for place in by_key[0].keys() | by_key[1].keys() if by_key[0].get(place) != by_key[1].get(place)), key=repr)
    doubled = one.num_rows - len(by_key[0])
    texts = [_difference(place, key, by_key[0].get(place), by_key[1].get(place), other.column_names) for place in keys]
    return len(keys) + doubled, texts + ([f"has {doubled} rows twice in the live table"] if doubled else [])


def _difference(place: Row, key: Sequence[str], live: Row | None, rebuilt: Row | None, columns: Sequence[str]) -> str:
    row = ", ".join(f"{name} {value}" for name, value in zip(key, place, strict=True))
    if live is None or rebuilt is None:
        return f"row {row}: only {'rebuilt' if live is None else 'live'}"
    pairs = [(name, *values) for name, *values in zip(columns, live, rebuilt, strict=True) if values[0] != values[1]]
    return f"row {row}: " + ", ".join(f"{name} live {one!r}, rebuilt {other!r}" for name, one, other in pairs)


def _tuples(rows: pa.Table) -> list[Row]:
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _told(table: Table) -> str:
    return f"{', '.join(f'{name} {kind}' for name, kind in table.columns)} (key {', '.join(table.key) or 'none'})"
