"""One task: the latest changes of a table into new files of the Hive partitions that they touch."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa

from connectors.hadoop.hdfs import Hdfs
from schemas.errors import ContractError
from schemas.manifest import HivePartition
from schemas.warehouse_layout import WHOLE, Kind
from spark.archive.small_files import MAX_FILES
from spark.merge.hive_partitions import by_hive_partition
from spark.merge.keyless_rows import has_keyless_period, is_without_effect, rows_after
from spark.merge.merge_input import read_periods
from spark.merge.partition_files import (
    SINGLE_FILE,
    NewFile,
    PartitionPart,
    file_of,
    partition_of,
    partition_parts,
)
from spark.merge.rewrite_task import RewriteResult, RewriteTask
from spark.merge.schema_periods import PeriodChanges, inserted_rows
from spark.storage.file_system import FileReader, FileSystem


def rewrite(task: RewriteTask) -> RewriteResult:
    """Rewrite the partitions of a task in HDFS (see rewrite_partitions)."""
    return rewrite_partitions(task, Hdfs(task.hdfs))


def rewrite_partitions(task: RewriteTask, files: FileSystem) -> RewriteResult:
    """Rewrite the partitions of a task.

    Rows that do not fit the newest columns are a refusal. Raises Unavailable if HDFS does not
    answer, WarehouseError for a damaged file.
    """
    try:
        return _Rewriting(task, files).run()
    except ContractError as error:
        refusal = f"{error}; {error.hint}" if error.hint else str(error)
        return RewriteResult(task.table.name, refusal=refusal)


def build_rows(task: RewriteTask, files: FileReader) -> pa.Table:
    """Return the rows that a task's changes leave in an empty table.

    Raises Unavailable, WarehouseError for a damaged file, ContractError for rows that do not fit.
    """
    periods = read_periods(task, files)
    if has_keyless_period(periods):
        return rows_after(task.table.schema.empty_table(), periods, task.table)
    return inserted_rows(periods, task.table.schema)


class _Rewriting:
    def __init__(self, task: RewriteTask, files: FileSystem) -> None:
        self._task = task
        self._files = files
        self._periods: Sequence[PeriodChanges] = read_periods(task, files)
        self._result = RewriteResult(task.table.name)

    def run(self) -> RewriteResult:
        if has_keyless_period(self._periods):
            self._rewrite_all_rows()
            return self._result
        task = self._task
        schema = task.table.schema
        new_rows = inserted_rows(self._periods, schema)
        incoming = by_hive_partition(new_rows, task.table.partitioning)

        def rewrite_value(value: str) -> None:
            self._rewrite_partition(value, incoming.get(value, schema.empty_table()))

        # Arrow and the network release Python's lock.
        with ThreadPoolExecutor(task.threads) as threads:
            list(threads.map(rewrite_value, task.partitions))
        return self._result

    def _rewrite_all_rows(self) -> None:
        """Rewrite a table without a key as a whole."""
        task = self._task
        if task.table.partitioning is not None:
            raise ContractError(f"table {task.table.name} had no key for a while")
        partition = task.partitions[WHOLE]
        if partition is not None and is_without_effect(self._periods):
            return
        present_part = PartitionPart(partition, None, task.table.schema.empty_table(), True)
        present_tables = list(present_part.read(self._files))
        present_rows = task.table.schema.empty_table()
        if present_tables:
            present_rows = pa.concat_tables(present_tables)
        rows = rows_after(present_rows, self._periods, task.table)
        folder = task.folder(WHOLE)
        file = replace(file_of(task.table, rows), name=SINGLE_FILE)
        file.write_to(self._files, folder)
        self._result.partitions[WHOLE] = partition_of(folder, [file])

    def _rewrite_partition(self, value: str, incoming: pa.Table) -> None:
        partition = self._task.partitions[value]
        is_facts = self._task.table.kind is Kind.FACTS
        if is_facts and partition is not None and partition.files < MAX_FILES:
            self._result.partitions[value] = self._add_file(value, incoming, partition)
        else:
            self._replace_files(value, incoming, partition)

    def _add_file(
        self, value: str, incoming: pa.Table, partition: HivePartition
    ) -> HivePartition:
        """Facts become one more file: its cost does not grow with the partition."""
        task = self._task
        target = task.target
        file = file_of(task.table, incoming)
        waiting_path = f"{target.staging}/{task.table.name}-{value}.parquet"
        final_path = f"{partition.location}/{target.version}-{target.token}.parquet"
        self._files.write_bytes(waiting_path, file.data or b"")
        self._result.arrivals.append((waiting_path, final_path))
        return replace(
            partition,
            rows=partition.rows + file.rows,
            size=partition.size + file.size,
            files=partition.files + 1,
        )

    def _replace_files(
        self, value: str, incoming: pa.Table, partition: HivePartition | None
    ) -> None:
        """The remaining old rows and the new ones go into a new folder, unless nothing changes."""
        task = self._task
        folder = task.folder(value)
        # A table that is not partitioned exists also without rows; a partition does not.
        stays_without_rows = value == WHOLE
        with ThreadPoolExecutor(task.threads) as threads:
            parts = partition_parts(task.table, self._periods, incoming, partition)
            rewritten_files = list(threads.map(self._rewrite_part, parts))
            is_unchanged = all(new_files is None for new_files in rewritten_files)
            if is_unchanged and (partition is not None or not stays_without_rows):
                return
            files = _files_with_rows(parts, rewritten_files)
            if not files and stays_without_rows:
                files = [replace(file_of(task.table), name=SINGLE_FILE)]
            if not files:
                self._result.partitions[value] = None
                return
            list(threads.map(lambda file: file.write_to(self._files, folder), files))
        self._result.partitions[value] = partition_of(folder, files)

    def _rewrite_part(self, part: PartitionPart) -> list[NewFile] | None:
        return part.rewrite(self._task.table, self._files, self._periods)


def _files_with_rows(
    parts: Sequence[PartitionPart], rewritten: Sequence[list[NewFile] | None]
) -> list[NewFile]:
    files = []
    for number, (part, new_files) in enumerate(zip(parts, rewritten, strict=True)):
        files += [file for file in part.with_names(number, new_files) if file.rows]
    return files
