"""How the next version follows from the one before: tables with their new partitions, the archive with its new files."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from infra.settings import Hdfs, Settings
from schemas import lake
from schemas.gtid import GtidSet
from schemas.warehouse import Source, lake_location, lake_staging
from spark.archive import Archived, ArchivedFile
from spark.decoding import RowDecoder
from spark.manifest import Archive, HivePartition, LakeDay, Manifest, Table
from spark.plan import TableChange, split_evenly
from spark.rewrite import RewriteTask, Rewritten
from spark.roll_up import MOST_FILES, RolledUp, RollUpTask


class NextVersion:
    """One attempt at a version: its number, the token that marks its files, and how the next manifest follows from the previous one."""

    def __init__(self, previous: Manifest, token: str, root: str) -> None:
        self.previous, self.token, self._root = previous, token, root
        self.version = previous.version + 1
        self.staging = f"{lake_staging(root)}/{token}"

    def before(self, change: TableChange) -> Table | None:
        """The published table that a change goes on from."""
        return self.previous.tables.get(change.base) if change.base else None

    def rewrites(
        self, change: TableChange, old: Mapping[str, HivePartition | None], known: Mapping[str, GtidSet], parallelism: int, here: bool, hdfs: Hdfs
    ) -> list[RewriteTask]:
        """The tasks that rewrite a table's hive partitions `old`: one with threads if it is done `here`, and as many as run at once on Spark."""
        before = self.before(change)
        if before and before.key[:1] != change.key[:1]:  # files by ranges of another column
            old = {value: held and replace(held, ranges=()) for value, held in old.items()}
        shares, threads = (1, parallelism) if here else (parallelism, 1)
        return [
            RewriteTask(
                change.source.table, change.schema, change.key, known, before.snapshot if before else "", change.cut, change.files,
                change.stretches, part, self.version, self.token, self.staging, hdfs, threads,
            )
            for part in split_evenly(old, shares)
        ]  # fmt: skip

    def table(self, change: TableChange, rewritten: Iterable[Rewritten], gtid: str) -> Table:
        """A changed table's next state, which holds the transactions `gtid`."""
        name = change.source.table
        before = self.before(change)
        partitions: dict[str, HivePartition] = dict(before.partitions) if before else {}
        for value, new in (item for answer in rewritten if answer.table == name for item in answer.partitions.items()):
            if new is None:
                partitions.pop(value, None)
            else:
                partitions[value] = new
        columns = tuple((column.name, column.type.hive) for column in change.columns)
        hive_column = change.cut.hive_column if change.cut else None
        return Table(
            change.source.topic, change.source.kind.value, columns, change.key, hive_column, change.schema_id, self.version, gtid, partitions,
            change.snapshot,
        )  # fmt: skip

    def days(self, archived: Iterable[Archived]) -> dict[tuple[Source, str], list[ArchivedFile]]:
        """The new archive files of each topic and day."""
        found: defaultdict[tuple[Source, str], list[ArchivedFile]] = defaultdict(list)
        for done in archived:
            for file in done.files:
                found[done.source, file.day].append(file)
        return found

    def roll_ups(self, archived: Iterable[Archived], settings: Settings) -> list[RollUpTask]:
        """The days of the archive that have too many files."""
        tasks = []
        for (source, day), files in self.days(archived).items():
            standing = self._day(source, day)
            if standing is not None and standing.files + len(files) > MOST_FILES:
                target = lake_location(self._root, source.topic, day, self.version, self.token)
                tasks.append(RollUpTask(source.table, day, standing.location, tuple(file.path for file in files), target, settings.hdfs))
        return tasks

    def archives(self, archived: list[Archived], rolled: Iterable[RolledUp], decoder: RowDecoder) -> tuple[dict[str, Archive], list[tuple[str, str]]]:
        """The lake tables' next state, and the files that are to be moved into their folders."""
        archives, arrivals = dict(self.previous.archives), []
        renewed = {(answer.table, answer.day): answer for answer in rolled}
        for (source, day), files in self.days(archived).items():
            archive = archives.get(source.table) or Archive(source.topic, lake.hive_columns(source.kind, None))
            if answer := renewed.get((source.table, day)):
                standing = LakeDay(answer.location, answer.files)
            else:
                standing = self._day(source, day) or LakeDay(lake_location(self._root, source.topic, day, self.version, self.token), 0)
                standing = replace(standing, files=standing.files + len(files))
                arrivals += [(file.path, f"{standing.location}/{file.path.rpartition('/')[2]}") for file in files]
            archives[source.table] = replace(archive, days={**archive.days, day: standing})
        for done in sorted(archived, key=lambda done: done.position):
            if done.schema_id is not None:
                source = done.source
                columns = lake.hive_columns(source.kind, decoder.contract(source, done.schema_id).columns)
                archives[source.table] = replace(archives[source.table], columns=columns)
        return archives, arrivals

    def _day(self, source: Source, day: str) -> LakeDay | None:
        archive = self.previous.archives.get(source.table)
        return archive.days.get(day) if archive else None
