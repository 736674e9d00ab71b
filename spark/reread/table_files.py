"""Writes the rows of a table, as they are read in the order of its key, into Hive partitions."""

from dataclasses import replace

import pyarrow as pa

from schemas.manifest import HivePartition
from schemas.warehouse_layout import WHOLE
from spark.merge.hive_partitions import by_hive_partition
from spark.merge.partition_files import NewFile, RowFile, file_of, partition_of
from spark.merge.rewrite_task import TableDefinition
from spark.storage.file_system import FileSystem
from spark.storage.key_ranges import RANGE_ROWS


class TableFiles:
    """The files of a table in one folder. Memory holds at most a file of each partition."""

    def __init__(self, table: TableDefinition, folder: str, files: FileSystem) -> None:
        self._table = table
        self._folder = folder
        self._files = files
        self._partitions: dict[str, _PartitionFiles] = {}

    def append(self, rows: pa.Table) -> None:
        """Write the next rows. Raises Unavailable, Refused."""
        for value, part in by_hive_partition(rows, self._table.partitioning).items():
            self._partition(value).append(part)

    def finish(self) -> dict[str, HivePartition]:
        """Write what is left, and return the Hive partitions by value.

        A table that is not partitioned has its partition also without rows.
        """
        if self._table.partitioning is None:
            self._partition(WHOLE)
        return {value: files.finish() for value, files in self._partitions.items()}

    def _partition(self, value: str) -> "_PartitionFiles":
        if value not in self._partitions:
            partitioning = self._table.partitioning
            name = f"{partitioning.hive_column}={value}" if partitioning else "rows"
            folder = f"{self._folder}/{name}"
            self._partitions[value] = _PartitionFiles(self._table, folder, self._files)
        return self._partitions[value]


class _PartitionFiles:
    """The files of one Hive partition: each has the keys after those of the file before."""

    def __init__(self, table: TableDefinition, folder: str, files: FileSystem) -> None:
        self._table = table
        self._folder = folder
        self._files = files
        self._written_files: list[NewFile] = []
        self._open = RowFile(table)

    def append(self, rows: pa.Table) -> None:
        self._open.append(rows)
        if self._open.rows >= RANGE_ROWS:
            self._write(self._open.finish())
            self._open = RowFile(self._table)

    def finish(self) -> HivePartition:
        if self._open.rows or not self._written_files:
            has_rows = bool(self._open.rows)
            self._write(self._open.finish() if has_rows else file_of(self._table))
        partition = partition_of(self._folder, self._written_files)
        if not _has_ranges(self._written_files):
            partition = replace(partition, ranges=())
        return partition

    def _write(self, file: NewFile) -> None:
        named_file = replace(file, name=f"rows-{len(self._written_files):04}.parquet")
        named_file.write_to(self._files, self._folder)
        # The content is in HDFS now.
        self._written_files.append(replace(named_file, data=None))


def _has_ranges(files: list[NewFile]) -> bool:
    """Whether the files' first keys are numbers that ascend from file to file."""
    highest: int | None = None
    for file in files:
        if file.keys.low is None or file.keys.high is None:
            return False
        if highest is not None and file.keys.low <= highest:
            return False
        highest = file.keys.high
    return True
