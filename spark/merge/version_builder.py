"""The next version from the one before: tables with their new partitions, the archive with its new
files.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from connectors.runtime.settings import Hdfs
from schemas.gtid import GtidSet
from schemas.hive import lake_tables
from schemas.manifest import HivePartition, LakeDay, LakeTable, Manifest, PublishedTable
from schemas.warehouse_layout import Source, lake_location, lake_staging
from spark.archive.archived_ranges import ArchivedFile, ArchivedRanges
from spark.archive.small_files import MAX_FILES, RollUpResult, RollUpTask
from spark.log.row_decoder import RowContracts
from spark.merge.rewrite_task import ChangesToMerge, NewVersion, RewriteResult, RewriteTask
from spark.merge.table_change import TableChange, split_evenly

FilesByDay = dict[tuple[Source, str], list[ArchivedFile]]


class VersionBuilder:
    """One attempt at a version: its number, and the token that marks its files."""

    def __init__(self, previous: Manifest, token: str, root: str) -> None:
        self.previous = previous
        self.token = token
        self._root = root
        self.version = previous.version + 1
        self.staging = f"{lake_staging(root)}/{token}"

    def base_table(self, change: TableChange) -> PublishedTable | None:
        """Return the published table that a change continues."""
        return self.previous.tables.get(change.base) if change.base else None

    def rewrite_tasks(
        self,
        change: TableChange,
        partitions: Mapping[str, HivePartition | None],
        merged: Mapping[str, GtidSet],
        hdfs: Hdfs,
        *,
        parallelism: int,
        in_threads: bool,
    ) -> list[RewriteTask]:
        """Return the tasks that rewrite Hive partitions of a table.

        It is one task with `parallelism` threads, or as many tasks with one thread each.
        """
        base = self.base_table(change)
        if base is not None and base.key[:1] != change.key[:1]:
            # The files have ranges of another column.
            partitions = {
                value: _without_ranges(part) for value, part in partitions.items()
            }
        snapshot = base.snapshot if base else ""
        changes = ChangesToMerge(change.files, change.periods, merged, snapshot)
        tasks = []
        for share in split_evenly(partitions, 1 if in_threads else parallelism):
            task = RewriteTask(
                table=change.definition,
                changes=changes,
                target=NewVersion(self.version, self.token, self.staging),
                partitions=share,
                hdfs=hdfs,
                threads=parallelism if in_threads else 1,
            )
            tasks.append(task)
        return tasks

    def next_table(
        self, change: TableChange, rewritten: Iterable[RewriteResult], gtid: str
    ) -> PublishedTable:
        """Return a changed table's next state, which holds the transactions `gtid`."""
        base = self.base_table(change)
        partitions: dict[str, HivePartition] = dict(base.partitions) if base else {}
        for result in rewritten:
            if result.table != change.source.table:
                continue
            for value, partition in result.partitions.items():
                if partition is None:
                    partitions.pop(value, None)
                else:
                    partitions[value] = partition
        partitioning = change.partitioning
        return PublishedTable(
            topic=change.source.topic,
            kind=change.source.kind.value,
            columns=tuple((column.name, column.type.hive) for column in change.columns),
            key=change.key,
            partition_column=partitioning.hive_column if partitioning else None,
            schema_id=change.schema_id,
            version=self.version,
            gtid=gtid,
            partitions=partitions,
            snapshot=change.snapshot,
        )

    def roll_up_tasks(
        self, archived: Iterable[ArchivedRanges], hdfs: Hdfs
    ) -> list[RollUpTask]:
        """Return the tasks for the days of the archive that have too many files."""
        tasks = []
        for (source, day), files in files_by_day(archived).items():
            lake_day = self._lake_day(source, day)
            if lake_day is None or lake_day.files + len(files) <= MAX_FILES:
                continue
            task = RollUpTask(
                table=source.table,
                day=day,
                location=lake_day.location,
                further_files=tuple(file.path for file in files),
                target=self._new_folder(source, day),
                hdfs=hdfs,
            )
            tasks.append(task)
        return tasks

    def next_archives(
        self,
        archived: list[ArchivedRanges],
        rolled_up: Iterable[RollUpResult],
        contracts: RowContracts,
    ) -> tuple[dict[str, LakeTable], list[tuple[str, str]]]:
        """Return the lake tables' next state, and the files to move into their folders."""
        archives = dict(self.previous.archives)
        arrivals = []
        roll_ups = {(result.table, result.day): result for result in rolled_up}
        for (source, day), files in files_by_day(archived).items():
            roll_up = roll_ups.get((source.table, day))
            if roll_up is not None:
                lake_day = LakeDay(roll_up.location, roll_up.files)
            else:
                lake_day = self._lake_day(source, day) or LakeDay(
                    self._new_folder(source, day), 0
                )
                lake_day = replace(lake_day, files=lake_day.files + len(files))
                for file in files:
                    name = file.path.rpartition("/")[2]
                    arrivals.append((file.path, f"{lake_day.location}/{name}"))
            archive = archives.get(source.table)
            if archive is None:
                archive = LakeTable(
                    source.topic, lake_tables.hive_columns(source.kind, None)
                )
            archives[source.table] = replace(archive, days={**archive.days, day: lake_day})
        self._update_columns(archives, archived, contracts)
        return archives, arrivals

    def _update_columns(
        self,
        archives: dict[str, LakeTable],
        archived: list[ArchivedRanges],
        contracts: RowContracts,
    ) -> None:
        """The columns of the last change, in the order of the binlog, become the lake table's."""
        for ranges in sorted(archived, key=lambda ranges: ranges.summary.position):
            schema_id = ranges.summary.schema_id
            if schema_id is None:
                continue
            source = ranges.source
            row_columns = contracts.contract(source, schema_id).columns
            columns = lake_tables.hive_columns(source.kind, row_columns)
            archives[source.table] = replace(archives[source.table], columns=columns)

    def _lake_day(self, source: Source, day: str) -> LakeDay | None:
        archive = self.previous.archives.get(source.table)
        return archive.days.get(day) if archive else None

    def _new_folder(self, source: Source, day: str) -> str:
        return lake_location(self._root, source.topic, day, self.version, self.token)


def files_by_day(archived: Iterable[ArchivedRanges]) -> FilesByDay:
    """Return the new archive files of each topic and day."""
    files: defaultdict[tuple[Source, str], list[ArchivedFile]] = defaultdict(list)
    for ranges in archived:
        for file in ranges.files:
            files[ranges.source, file.day].append(file)
    return files


def _without_ranges(partition: HivePartition | None) -> HivePartition | None:
    return partition and replace(partition, ranges=())
