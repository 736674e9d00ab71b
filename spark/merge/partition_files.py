"""The files of a rewritten Hive partition: new ones, and copies of those that no change touches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from connectors.hadoop.folder_contents import StatedFiles, match_folder
from connectors.hadoop.hdfs import Entry
from schemas.errors import ContractError, WarehouseError
from schemas.manifest import HivePartition, PartitionFile
from spark.merge.projection import project
from spark.merge.rewrite_task import TableDefinition
from spark.merge.schema_periods import PeriodChanges, apply_periods
from spark.storage.file_system import FileReader, FileSystem
from spark.storage.key_bounds import ANY_KEY, KeySpan, span_of
from spark.storage.key_ranges import assign_to_ranges, needs_join, needs_split, split_by_key
from spark.storage.parquet import RESTORE_HINT, ParquetWriter, read_row_groups

SINGLE_FILE = "rows.parquet"


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file of a partition's new folder: its content, or the path of the file to copy."""

    name: str = ""
    rows: int
    size: int
    keys: KeySpan
    data: bytes | None = None
    copied_from: str = ""

    def write_to(self, files: FileSystem, folder: str) -> None:
        """Write the file to a folder.

        Raises WarehouseError if the file to copy is not as long as the manifest states.
        """
        data = self.data if self.data is not None else files.read_bytes(self.copied_from)
        if len(data) != self.size:
            raise WarehouseError(
                f"{self.copied_from} has {len(data)} bytes, and the manifest states {self.size}",
                RESTORE_HINT,
            )
        files.write_bytes(f"{folder}/{self.name}", data)


class RowFile:
    """Builds a new file of rows, and the span of their keys."""

    def __init__(self, table: TableDefinition) -> None:
        self._writer = ParquetWriter(table.schema)
        self._keys: KeySpan | None = None
        self._key = table.key[0] if table.key else None

    @property
    def rows(self) -> int:
        """The number of rows so far."""
        return self._writer.rows

    def append(self, rows: pa.Table) -> None:
        """Append rows with the table's schema."""
        self._writer.write_rows(rows)
        if self._key is None:
            return
        span = span_of(rows.column(self._key))
        if span is not None:
            self._keys = span.wider(self._keys)

    def finish(self) -> NewFile:
        """Return the complete file, without a name."""
        data = self._writer.finish()
        return NewFile(
            rows=self._writer.rows, size=len(data), keys=self._keys or ANY_KEY, data=data
        )


def file_of(table: TableDefinition, *rows: pa.Table) -> NewFile:
    """Return a new file of rows, without a name."""
    file = RowFile(table)
    for part in rows:
        file.append(part)
    return file.finish()


@dataclass(frozen=True)
class PartitionPart:
    """A part of a Hive partition that is rewritten alone: all of it, or one of its key ranges.

    `incoming` are the rows that are inserted into it.
    """

    partition: HivePartition | None
    key_range: PartitionFile | None
    incoming: pa.Table
    is_touched: bool

    def rewrite(
        self, table: TableDefinition, files: FileReader, periods: Sequence[PeriodChanges]
    ) -> list[NewFile] | None:
        """Return the new files, without names; None if nothing changes.

        Raises WarehouseError for a damaged file, ContractError for rows that do not fit.
        """
        if not self.is_touched:
            return None
        rows_before = self._rows_before()
        remaining = []
        rows_after = 0
        single_file = None if self._is_large(table, rows_before) else RowFile(table)
        for rows in self.read(files):
            rows = with_newest_columns(apply_periods(rows, periods), table)
            rows_after += rows.num_rows
            if single_file is None:
                remaining.append(rows)
            else:
                single_file.append(rows)
        is_unchanged = rows_after == rows_before and not self.incoming.num_rows
        if is_unchanged and len(periods) == 1:
            return None
        if single_file is not None:
            single_file.append(self.incoming)
            return [single_file.finish()]
        rows = pa.concat_tables([*remaining, self.incoming])
        return [file_of(table, part) for part in split_by_key(rows, table.key[0])]

    def with_names(self, number: int, new_files: list[NewFile] | None) -> list[NewFile]:
        """Return the new files of the part. The names have the order of the keys."""
        if new_files is None:
            return [self._copy(f"rows-{number:04}.parquet")] if self.key_range else []
        if self.key_range is None and len(new_files) == 1:
            return [replace(new_files[0], name=SINGLE_FILE)]
        named_files = []
        for part, file in enumerate(new_files):
            named_files.append(replace(file, name=f"rows-{number:04}-{part:04}.parquet"))
        return named_files

    def _is_large(self, table: TableDefinition, rows_before: int) -> bool:
        """Whether the new rows may be too many for one file."""
        key_type = table.key_type
        return key_type is not None and needs_split(
            rows_before + self.incoming.num_rows, key_type
        )

    def _rows_before(self) -> int:
        if self.key_range is not None:
            return self.key_range.rows
        return self.partition.rows if self.partition else 0

    def _copy(self, name: str) -> NewFile:
        assert self.partition is not None and self.key_range is not None
        return NewFile(
            name=name,
            rows=self.key_range.rows,
            size=self.key_range.size,
            keys=KeySpan(self.key_range.lowest_key, self.key_range.highest_key),
            copied_from=f"{self.partition.location}/{self.key_range.file}",
        )

    def read(self, files: FileReader) -> Iterator[pa.Table]:
        """Yield the present rows, a row group at a time.

        Raises WarehouseError if they are not as many as the manifest states: to continue would lose
        the others in silence.
        """
        if self.partition is None:
            return
        location = self.partition.location
        if self.key_range is not None:
            names = [self.key_range.file]
            place = f"{location}/{self.key_range.file}"
        else:
            names = self._file_names(files.list(location))
            place = location
        actual_rows = 0
        for name in names:
            path = f"{location}/{name}"
            for rows in read_row_groups(files.read_bytes(path), path):
                actual_rows += rows.num_rows
                yield rows
        stated_rows = self._rows_before()
        if actual_rows != stated_rows:
            raise WarehouseError(
                f"{place} holds {actual_rows} rows, and the manifest states {stated_rows}",
                RESTORE_HINT,
            )

    def _file_names(self, entries: Sequence[Entry]) -> list[str]:
        """The partition's own files, if they can be told from those that others put there."""
        assert self.partition is not None
        match = match_folder(StatedFiles.of_partition(self.partition), entries)
        return [entry.name for entry in (entries if match.damage else match.manifest_files)]


def with_newest_columns(rows: pa.Table, table: TableDefinition) -> pa.Table:
    """Return old rows with the table's columns.

    Raises ContractError for a column whose values in older rows no statement tells.
    """
    if not rows.num_rows:
        return table.schema.empty_table()
    missing_columns = [name for name in table.schema.names if name not in rows.column_names]
    if missing_columns:
        raise ContractError(
            f"table {table.name}: no statement tells what the new column {missing_columns[0]} "
            "holds in older rows",
        )
    return project(rows, table.schema)


def partition_parts(
    table: TableDefinition,
    periods: Sequence[PeriodChanges],
    incoming: pa.Table,
    partition: HivePartition | None,
) -> list[PartitionPart]:
    """Return a Hive partition by its key ranges.

    It is one part if it has no ranges, if it has become small, or if all its rows change.
    """
    latest = periods[0].latest
    all_rows_change = len(periods) > 1 or latest.truncated
    if (
        partition is None
        or len(partition.ranges) < 2
        or needs_join(partition.rows)
        or all_rows_change
    ):
        return [PartitionPart(partition, None, incoming, True)]
    key = table.key[0]
    key_schema = pa.schema([table.schema.field(key)])
    ranges = partition.ranges
    changed_keys = assign_to_ranges(project(latest.keys, key_schema), key, ranges)
    new_rows = assign_to_ranges(incoming, key, ranges)
    parts = []
    for key_range, keys, rows in zip(ranges, changed_keys, new_rows, strict=True):
        is_touched = bool(keys.num_rows or rows.num_rows)
        parts.append(PartitionPart(partition, key_range, rows, is_touched))
    return parts


def partition_of(folder: str, files: Sequence[NewFile]) -> HivePartition:
    """Return a Hive partition as the manifest describes it, with at least one file."""
    keys = files[0].keys
    for file in files[1:]:
        keys = file.keys.wider(keys)
    ranges: tuple[PartitionFile, ...] = ()
    if len(files) > 1:
        ranges = tuple(_key_range(file) for file in files)
    return HivePartition(
        location=folder,
        rows=sum(file.rows for file in files),
        size=sum(file.size for file in files),
        lowest_key=keys.low,
        highest_key=keys.high,
        files=len(files),
        ranges=ranges,
    )


def _key_range(file: NewFile) -> PartitionFile:
    return PartitionFile(
        file=file.name,
        rows=file.rows,
        size=file.size,
        lowest_key=file.keys.low or 0,
        highest_key=file.keys.high or 0,
    )
