"""Rebuilt tables as of a cut, and how a table's history becomes one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.ddl.statements import Position
from schemas.envelope import binlog_number
from schemas.gtid import gtid_set
from schemas.manifest import HivePartition, Manifest, PublishedTable
from schemas.warehouse_layout import Kind, Source
from spark.log.consistent_cut import AllowedTransactions, allow_transactions
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.table_change import TableChange
from spark.replayer.extract import ExtractResult, slice_path

FilesByName = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class RebuiltTables:
    """Tables of a replay, as a manifest of a cut with just these tables.

    `refused` are the topics that cannot be built, with the reason, `records` the number of records
    read, `arrivals` files to move after the cutover, `superseded` own folders that a later cut
    replaced.
    """

    manifest: Manifest
    refused: dict[str, str] = field(default_factory=dict)
    records: int = 0
    extracts: list[ExtractResult] = field(default_factory=list)
    arrivals: list[tuple[str, str]] = field(default_factory=list)
    superseded: set[str] = field(default_factory=set)


def transactions_of(cut: Manifest) -> AllowedTransactions:
    """Return the transactions of a version."""
    return allow_transactions(gtid_set(cut.transactions), ())


def sliced_files(
    change: TableChange, slice_counts: Mapping[Source, int], slices: int
) -> list[FilesByName]:
    """Return the extracted files of a table's changes, for each of its slices.

    A table in one slice reads the files of all slices: a change that is in several counts once.
    """
    counts_by_path: dict[str, int] = {}
    for archived_ranges in change.archived:
        slice_count = slice_counts.get(archived_ranges.source, 1)
        for file in archived_ranges.files:
            counts_by_path[file.path] = slice_count
    files_by_slice = []
    for number in range(slices):
        files_of_slice: FilesByName = {}
        for name, paths in change.files.items():
            slice_paths: list[str] = []
            for path in dict.fromkeys(paths):
                numbers = range(counts_by_path[path]) if slices == 1 else [number]
                slice_paths += [slice_path(path, part) for part in numbers]
            files_of_slice[name] = tuple(slice_paths)
        files_by_slice.append(files_of_slice)
    return files_by_slice


def force_new_files(
    change: TableChange, partitions: Mapping[str, HivePartition | None]
) -> dict[str, HivePartition | None]:
    """Return the partitions of facts without a number of files, so that each gets one more file.

    The files that an earlier round added are not in their place yet, and cannot be read.
    """
    if change.source.kind is not Kind.FACTS:
        return dict(partitions)
    return {
        value: partition and replace(partition, files=0)
        for value, partition in partitions.items()
    }


def with_file_counts(table: PublishedTable, before: Manifest) -> PublishedTable:
    """Return a table of facts with the number of files that its partitions really have."""
    table_before = before.tables.get(table.topic)
    if table.kind != Kind.FACTS.value or table_before is None:
        return table
    partitions = dict(table.partitions)
    for value, partition in table.partitions.items():
        partition_before = table_before.partitions.get(value)
        if partition_before is not None and partition != partition_before:
            partitions[value] = replace(partition, files=partition_before.files + 1)
    return replace(table, partitions=partitions)


def since_snapshot(change: TableChange, cut: Manifest) -> TableChange:
    """Drop the history from before the newest full snapshot of a table without rows in it.

    Such a table was empty when the snapshot was taken.
    """
    snapshot = cut.snapshot
    if change.source.kind is not Kind.CHANGES or snapshot is None:
        return change
    if change.snapshot == snapshot.id:
        return change
    file, _, position = snapshot.id.rpartition(":")
    begin: Position = (binlog_number(file), int(position))
    periods: list[SchemaPeriod] = []
    for period in change.periods:
        if period.until is None or period.until > begin:
            periods.append(replace(period, after=max(period.after, begin)))
    cut_table = cut.tables.get(change.source.table)
    table_snapshot = cut_table.snapshot if cut_table else change.snapshot
    return replace(change, periods=tuple(periods), snapshot=table_snapshot)


def rebuilt_table(
    change: TableChange, cut: Manifest, partitions: dict[str, HivePartition]
) -> PublishedTable:
    """Return a table with these hive partitions, as of a cut."""
    partitioning = change.partitioning
    return PublishedTable(
        topic=change.source.topic,
        kind=change.source.kind.value,
        columns=tuple((column.name, column.type.hive) for column in change.columns),
        key=change.key,
        partition_column=partitioning.hive_column if partitioning else None,
        schema_id=change.schema_id,
        version=cut.version,
        gtid=gtid_of(cut, change.source.table),
        partitions=partitions,
        snapshot=change.snapshot,
    )


def gtid_of(cut: Manifest, table: str) -> str:
    """Return the GTID set of the version in which a table changed last, as of a cut."""
    return cut.tables[table].gtid if table in cut.tables else cut.gtid
