"""One Spark task: the rows of a hive partition in two states of a table, compared by value.

The first rows that differ are described.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime import settings
from schemas.errors import ContractError, WarehouseError
from schemas.manifest import HivePartition, Manifest, PublishedTable
from schemas.warehouse_layout import Kind
from spark.storage.key_buckets import rows_of_slice
from spark.storage.parquet import read_row_groups

MOST_EXAMPLES = 5
# Rows of both states that are in memory together.
SLICE_ROWS = 500_000
# Facts have no key: their first column of one of these types assigns them to slices.
SLICE_TYPES = ("timestamp", "bigint", "int")
FILE_OF_VERSION = re.compile(r"([0-9]+)-[^/]*[.]parquet$")
Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class CompareTask:
    """One slice of a hive partition in both states (None: the state does not have it).

    Slice `number` of `slices` is chosen by the columns `slice_columns`. The live folder of facts
    gets more files from version to version: those up to `version` count.
    """

    table: str
    value: str
    key: tuple[str, ...]
    slice_columns: tuple[str, ...]
    columns: tuple[str, ...]
    live_partition: HivePartition | None
    rebuilt_partition: HivePartition | None
    number: int
    slices: int
    version: int
    hdfs: settings.Hdfs


@dataclass(frozen=True)
class PartitionComparison:
    """The number of rebuilt rows and of differing rows, and the first of these in words."""

    rows: int
    differing: int
    examples: tuple[str, ...] = ()


@dataclass
class Comparison:
    """The rows compared, the number of differing rows by table, and the first of each in words."""

    rows: int = 0
    differing: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differing

    def add_partition(self, table: str, partition: PartitionComparison) -> None:
        """Add the result of one task."""
        self.rows += partition.rows
        if partition.differing:
            table_examples = sum(text.startswith(f"{table} ") for text in self.examples)
            self.differing[table] = self.differing.get(table, 0) + partition.differing
            self.examples += partition.examples[: max(0, MOST_EXAMPLES - table_examples)]


def plan_comparison(
    live_manifest: Manifest,
    rebuilt_manifest: Manifest,
    names: Iterable[str],
    hdfs: settings.Hdfs,
) -> tuple[list[CompareTask], Comparison]:
    """Return the tasks that compare some tables, and the differences between the manifests.

    Those are tables that only one manifest has, and tables with other columns.
    """
    tasks: list[CompareTask] = []
    comparison = Comparison()
    for name in names:
        live_table = live_manifest.tables.get(name)
        rebuilt_table = rebuilt_manifest.tables.get(name)
        if live_table is None:
            difference = "is not live"
        elif rebuilt_table is None:
            difference = "cannot be rebuilt"
        elif shapes := describe_shapes(live_table, rebuilt_table):
            difference = f"has other columns: {shapes}"
        else:
            tasks += _table_tasks(
                name, live_table, rebuilt_table, live_manifest.version, hdfs
            )
            continue
        comparison.add_partition(name, PartitionComparison(0, 1, (f"{name} {difference}",)))
    return tasks, comparison


def _table_tasks(
    name: str,
    live_table: PublishedTable,
    rebuilt_table: PublishedTable,
    version: int,
    hdfs: settings.Hdfs,
) -> Iterator[CompareTask]:
    columns = tuple(column for column, _ in rebuilt_table.columns)
    key = rebuilt_table.key if rebuilt_table.kind == Kind.CHANGES.value else ()
    slice_columns = key
    if not key:
        sliceable = [
            column for column, kind in rebuilt_table.columns if kind in SLICE_TYPES
        ]
        slice_columns = tuple(sliceable[:1])
    for value in sorted(live_table.partitions.keys() | rebuilt_table.partitions.keys()):
        live_partition = live_table.partitions.get(value)
        rebuilt_partition = rebuilt_table.partitions.get(value)
        slices = 1
        if slice_columns:
            partitions = [part for part in (live_partition, rebuilt_partition) if part]
            rows = max(partition.rows for partition in partitions)
            slices = max(1, -(-rows // SLICE_ROWS))
        for number in range(slices):
            yield CompareTask(
                table=name,
                value=value,
                key=key,
                slice_columns=slice_columns,
                columns=columns,
                live_partition=live_partition,
                rebuilt_partition=rebuilt_partition,
                number=number,
                slices=slices,
                version=version,
                hdfs=hdfs,
            )


def describe_shapes(live_table: PublishedTable, rebuilt_table: PublishedTable) -> str:
    """Describe the columns and keys of two states of a table. Empty if they are equal."""
    if live_table.columns == rebuilt_table.columns and live_table.key == rebuilt_table.key:
        return ""
    return f"live {_shape(live_table)}, rebuilt {_shape(rebuilt_table)}"


def _shape(table: PublishedTable) -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind in table.columns)
    key = ", ".join(table.key) or "none"
    return f"{columns} (key {key})"


def compare_partition(task: CompareTask) -> PartitionComparison:
    """Compare the two states. A damaged live file, or one that lacks rows, is a difference.

    Raises WarehouseError for such a rebuilt file, Unavailable.
    """
    hdfs = Hdfs(task.hdfs)
    rebuilt_rows = _read_slice(task, hdfs, task.rebuilt_partition, None)
    where = f"{task.table} ({task.value})" if task.value else task.table
    try:
        live_rows = _read_slice(task, hdfs, task.live_partition, task.version)
    except (WarehouseError, ContractError) as error:
        rows = rebuilt_rows.num_rows
        return PartitionComparison(
            rows, max(1, rows), (f"{where} cannot be read: {error}",)
        )
    live_rows, rebuilt_rows = align_rows(live_rows, rebuilt_rows, task.key or task.columns)
    if live_rows.equals(rebuilt_rows):
        return PartitionComparison(rebuilt_rows.num_rows, 0)
    differing, descriptions = find_differences(live_rows, rebuilt_rows, task.key)
    examples = tuple(f"{where} {text}" for text in descriptions[:MOST_EXAMPLES])
    return PartitionComparison(rebuilt_rows.num_rows, differing, examples)


def align_rows(
    live_rows: pa.Table, rebuilt_rows: pa.Table, order: Sequence[str]
) -> tuple[pa.Table, pa.Table]:
    """Return both tables sorted by `order`, with the types of the rebuilt one.

    A table without rows takes the other's columns.
    """
    live_rows = live_rows if live_rows.num_columns else rebuilt_rows.schema.empty_table()
    rebuilt_rows = (
        rebuilt_rows if rebuilt_rows.num_columns else live_rows.schema.empty_table()
    )
    if not rebuilt_rows.num_columns or not order:
        return live_rows, rebuilt_rows
    sort_keys = [
        (name, "ascending")
        for name in order
        if not pa.types.is_nested(rebuilt_rows.schema.field(name).type)
    ]
    if not sort_keys:
        return live_rows.cast(rebuilt_rows.schema), rebuilt_rows
    return live_rows.cast(rebuilt_rows.schema).sort_by(sort_keys), rebuilt_rows.sort_by(
        sort_keys
    )


def _read_slice(
    task: CompareTask, hdfs: Hdfs, partition: HivePartition | None, version: int | None
) -> pa.Table:
    """Raises WarehouseError if the folder has other rows than the manifest states."""
    if partition is None:
        return pa.table({})
    row_count = 0
    tables: list[pa.Table] = []
    for entry in hdfs.list(partition.location):
        if version is not None and version_of_file(entry.name) > version:
            continue
        path = f"{partition.location}/{entry.name}"
        for rows in read_row_groups(hdfs.read_bytes(path), path):
            row_count += rows.num_rows
            selected = _select_columns(rows, task.columns, path)
            tables.append(
                rows_of_slice(selected, task.slice_columns, task.number, task.slices)
            )
    if row_count != partition.rows:
        raise WarehouseError(
            f"{partition.location} holds {row_count} rows, and the manifest states {partition.rows}"
        )
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def version_of_file(name: str) -> int:
    """Return the version that added a file of facts. 0 for one that came with its folder."""
    match = FILE_OF_VERSION.match(name)
    return int(match[1]) if match else 0


def _select_columns(rows: pa.Table, columns: Sequence[str], path: str) -> pa.Table:
    for name in columns:
        if name not in rows.column_names:
            raise WarehouseError(f"{path} has no column {name}")
    return rows.select(list(columns))


def find_differences(
    live_rows: pa.Table, rebuilt_rows: pa.Table, key: Sequence[str]
) -> tuple[int, list[str]]:
    """Return the number of differing rows of two aligned tables, and their descriptions.

    Without a key, those are the rows that one side has more often than the other.
    """
    if not key:
        return _differences_of_facts(live_rows, rebuilt_rows)
    live_by_key = _rows_by_key(live_rows, key)
    rebuilt_by_key = _rows_by_key(rebuilt_rows, key)
    all_keys = live_by_key.keys() | rebuilt_by_key.keys()
    keys = [key for key in all_keys if live_by_key.get(key) != rebuilt_by_key.get(key)]
    descriptions = []
    for row_key in sorted(keys, key=repr):
        key_text = ", ".join(
            f"{name} {value}" for name, value in zip(key, row_key, strict=True)
        )
        difference = _describe(
            live_by_key.get(row_key), rebuilt_by_key.get(row_key), rebuilt_rows.column_names
        )
        descriptions.append(f"row {key_text}: {difference}")
    duplicates = live_rows.num_rows - len(live_by_key)
    if duplicates:
        descriptions.append(f"has {duplicates} rows twice in the live table")
    return len(keys) + duplicates, descriptions


def _differences_of_facts(
    live_rows: pa.Table, rebuilt_rows: pa.Table
) -> tuple[int, list[str]]:
    live_counts = Counter(_rows(live_rows))
    rebuilt_counts = Counter(_rows(rebuilt_rows))
    names = rebuilt_rows.column_names
    descriptions = []
    for side, rows in (
        ("live", live_counts - rebuilt_counts),
        ("rebuilt", rebuilt_counts - live_counts),
    ):
        for row in rows.elements():
            values = dict(zip(names, row, strict=True))
            descriptions.append(f"{values}: only {side}")
    return len(descriptions), descriptions


def _describe(live_row: Row | None, rebuilt_row: Row | None, columns: Sequence[str]) -> str:
    if live_row is None:
        return "only rebuilt"
    if rebuilt_row is None:
        return "only live"
    differences = []
    for name, live_value, rebuilt_value in zip(columns, live_row, rebuilt_row, strict=True):
        if live_value != rebuilt_value:
            differences.append(f"{name} live {live_value!r}, rebuilt {rebuilt_value!r}")
    return ", ".join(differences)


def _rows_by_key(table: pa.Table, key: Sequence[str]) -> dict[Row, Row]:
    keys = _rows(table.select(list(key)))
    return dict(zip(keys, _rows(table), strict=True))


def _rows(table: pa.Table) -> list[Row]:
    columns = []
    for column in table.columns:
        values = column.to_pylist()
        # Structs and lists cannot be counted.
        is_nested = pa.types.is_nested(column.type)
        columns.append(list(map(repr, values)) if is_nested else values)
    return list(zip(*columns, strict=True))
