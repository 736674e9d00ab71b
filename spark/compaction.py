"""One compaction: from the log to a committed version.

    plan the ranges -> archive them (Spark job) -> rewrite what they touch (Spark job) -> commit the manifest

Nothing is visible to anybody before the commit; a compaction that is killed or fails leaves files that no manifest names.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

from connectors import kafka
from connectors.registry import SchemaRegistry
from infra.errors import ContractError
from infra.settings import Settings
from schemas import lake
from schemas.statements import Position
from schemas.warehouse import Source, lake_location, lake_staging, source_of
from spark import plan
from spark.archive import Archived, ArchivedFile, ArchiveTask, Doors, archive
from spark.decoding import RowDecoder
from spark.log_reader import Reading
from spark.manifest import Archive, HivePartition, LakeDay, Manifest, Table, Versions
from spark.plan import TableChange
from spark.rewrite import RewriteTask, Rewritten, rewrite
from spark.roll_up import MOST_FILES, RolledUp, RollUpTask, roll_up
from spark.session import Session
from spark.statement_log import StatementLog
from spark.table_history import TableHistory


@dataclass
class Outcome:
    """What a compaction did: the version (None if there was nothing new), what it refused by topic, its steps' seconds."""

    manifest: Manifest | None = None
    refused: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    records: int = 0
    behind: int = 0

    def timed(self, step: str, since: float) -> float:
        """Note how long a step took; now."""
        now = time.monotonic()
        self.seconds[step] = round(now - since, 3)
        return now


class Compactor:
    """Builds and commits versions."""

    def __init__(self, settings: Settings, session: Session, versions: Versions, token: str) -> None:
        self._settings, self._session, self._versions, self._token = settings, session, versions, token
        self._doors = Doors(settings.kafka, settings.registry, settings.hdfs, settings.mysql, settings.login("mysql.reader"))
        self._decoder = RowDecoder(SchemaRegistry(settings.registry.url))
        self._statements = StatementLog(settings)

    def compact(self, previous: Manifest, held: Mapping[str, str]) -> Outcome:
        """Build and commit the version after `previous`; topics in `held` are left alone.

        Raises WarehouseError when going on would publish something wrong, Unavailable when an outside system is away.
        """
        outcome, start = Outcome(refused=dict(held)), time.monotonic()
        ranges = self._ranges(previous, outcome)
        # A statement that is read twice in a row as the last one has no change before it that the ranges lack, and none after it that they have.
        while self._statements.read():
            ranges = self._ranges(previous, outcome)
        tables = TableHistory(self._settings, self._decoder, self._statements, previous)
        start = outcome.timed("plan", start)
        if not ranges and not tables.moved():
            return outcome
        run = _Run(previous, f"{self._token}-{uuid4().hex[:6]}", self._settings.hdfs.root)
        archived = self._archive(ranges, run, outcome, tables.void())
        start = outcome.timed("archive", start)
        changes = tables.changes(archived, outcome.refused)
        rewritten, rolled = self._rewrite(changes, archived, run, outcome)
        start = outcome.timed("merge", start)
        archived = [done for done in archived if done.source.topic not in outcome.refused]
        outcome.records = sum(done.rows for done in archived)
        changes = [change for change in changes if change.source.topic not in outcome.refused]
        if outcome.records or changes or tables.gone(changes):
            outcome.manifest = self._manifest(run, archived, changes, rewritten, rolled, tables)
            self._versions.commit(outcome.manifest)
            outcome.timed("commit", start)
        return outcome

    def _ranges(self, previous: Manifest, outcome: Outcome) -> list[Reading]:
        sources = []
        for topic in kafka.list_topics(self._settings.kafka):
            try:
                source = source_of(topic, self._settings.mysql.database)
            except ContractError as error:
                outcome.refused[topic] = f"{error}; {error.hint}"
                continue
            if source is not None and topic not in outcome.refused:
                sources.append(source)
        log = kafka.offsets(self._settings.kafka, [source.topic for source in sources])
        for lost in set(previous.offsets) - {topic for topic, _ in log} - set(outcome.refused):
            outcome.refused[lost] = "the topic is gone from Kafka; its table stays as it was"
        ranges = plan.readings(previous, sources, log)
        ends = {(reading.source.topic, reading.partition): reading.end for reading in ranges}
        outcome.behind = sum(log[place].stable - end for place, end in ends.items())
        return ranges

    def _archive(self, ranges: list[Reading], run: "_Run", outcome: Outcome, void: Mapping[str, Position]) -> list[Archived]:
        hands = plan.share(ranges, self._session.parallelism)
        tasks = [ArchiveTask(hand, run.staging, self._doors, dict(void)) for hand in hands]
        found = [done for answer in self._session.run(archive, tasks) for done in answer]
        for done in found:
            topic = done.source.topic
            if done.refusal:
                outcome.refused[topic] = done.refusal
        return [done for done in found if done.source.topic not in outcome.refused]

    def _rewrite(self, changes: list[TableChange], archived: list[Archived], run: "_Run", outcome: Outcome) -> tuple[list[Rewritten], list[RolledUp]]:
        """Both kinds of rewriting in one Spark job. Tables whose rows do not fit are refused, and left out."""
        tasks: list[RewriteTask | RollUpTask] = []
        for change in changes:
            old = change.concerned(run.previous.tables.get(change.base) if change.base else None)
            tasks += [
                RewriteTask(
                    change.source.table, change.schema, change.key, change.cut, change.files, change.stretches, part, run.version, run.token,
                    run.staging, self._settings.hdfs,
                )
                for part in plan.split_evenly(old, self._session.parallelism)
            ]  # fmt: skip
        tasks += run.roll_ups(archived, self._settings)
        answers = self._session.run(_work, tasks)
        rewritten = [answer for answer in answers if isinstance(answer, Rewritten)]
        topics = {change.source.table: change.source.topic for change in changes}
        for answer in rewritten:
            if answer.refusal:
                # A renamed table's changes wait in its old topic too.
                change = next(change for change in changes if change.source.table == answer.table)
                outcome.refused |= dict.fromkeys([topics[answer.table], *(done.source.topic for done in change.archived)], answer.refusal)
        return rewritten, [answer for answer in answers if isinstance(answer, RolledUp)]

    def _manifest(
        self,
        run: "_Run",
        archived: list[Archived],
        changes: list[TableChange],
        rewritten: list[Rewritten],
        rolled: list[RolledUp],
        history: TableHistory,
    ) -> Manifest:
        gone = history.gone(changes)
        tables = {name: table for name, table in run.previous.tables.items() if name not in gone}
        tables |= {change.source.table: run.table(change, rewritten) for change in changes}
        archives, arrivals = run.archives(archived, rolled, self._decoder)
        arrivals += [arrival for answer in rewritten if answer.table in {change.source.table for change in changes} for arrival in answer.arrivals]
        unreadable = Counter(run.previous.unreadable)
        for done in archived:
            if done.unreadable:
                unreadable[done.source.topic] += sum(done.unreadable.values())
        manifest = Manifest(
            version=run.version,
            previous=run.previous.version if run.previous.version >= 0 else None,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            owner=run.token,
            gtid=max((done.position for done in archived), default=(-1, -1, ""))[2] or run.previous.gtid,
            changes=sum(done.rows for done in archived),
            offsets=plan.next_offsets(run.previous, archived),
            tables=tables,
            archives=archives,
            arrivals=tuple(arrivals),
            unreadable=dict(unreadable),
            statements=history.starts(changes),
            dropped=tuple(sorted(gone - tables.keys())),
        )
        return replace(manifest, replaced=tuple(sorted(run.previous.locations() - manifest.locations())))


def _work(task: RewriteTask | RollUpTask) -> Rewritten | RolledUp:
    return rewrite(task) if isinstance(task, RewriteTask) else roll_up(task)


class _Run:
    """One attempt at a version: its number, the token that marks its files, and how the next manifest follows from the previous one."""

    def __init__(self, previous: Manifest, token: str, root: str) -> None:
        self.previous, self.token, self._root = previous, token, root
        self.version = previous.version + 1
        self.staging = f"{lake_staging(root)}/{token}"

    def table(self, change: TableChange, rewritten: Iterable[Rewritten]) -> Table:
        """A changed table's next state."""
        name = change.source.table
        before = self.previous.tables.get(change.base) if change.base else None
        partitions: dict[str, HivePartition] = dict(before.partitions) if before else {}
        for value, new in (item for answer in rewritten if answer.table == name for item in answer.partitions.items()):
            if new is None:
                partitions.pop(value, None)
            else:
                partitions[value] = new
        columns = tuple((column.name, column.type.hive) for column in change.columns)
        hive_column = change.cut.hive_column if change.cut else None
        gtid = change.gtid(before.gtid if before else "")
        return Table(
            change.source.topic, change.source.kind.value, columns, change.key, hive_column, change.schema_id, self.version, gtid, partitions
        )

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
