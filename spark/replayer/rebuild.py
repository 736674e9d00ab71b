"""Tables built anew from the archive, up to a cut, and brought from one cut to a later one. Only a replay sees them until it switches.

take the records out of the archive (Spark job) -> what happened to each table (table_history) -> build its rows (Spark job)
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from connectors.hdfs import Hdfs
from connectors.registry import SchemaRegistry
from infra.errors import WarehouseError
from infra.settings import Settings
from schemas.envelope import binlog_number
from schemas.gtid import GtidSet, gtid_set
from schemas.statements import Position
from schemas.topics import change_topic
from schemas.warehouse import Kind, Source, lake_staging
from spark import plan
from spark.archive_files import TASK_BYTES, Files, archive_files, arrived_files, hands
from spark.build import BuildTask, Built, build, together
from spark.cut import Allowed, allowed
from spark.decoding import RowDecoder
from spark.housekeeping import settle_arrivals
from spark.manifest import NOTHING, HivePartition, Manifest, Table, Versions
from spark.next_version import NextVersion
from spark.plan import TableChange
from spark.rewrite import RewriteTask, rewrite
from spark.session import Session, run_here
from spark.statement_log import StatementLog
from spark.table_history import TableHistory
from spark.take import Taken, TakeTask, slice_path, take

# How much of the archive, compressed, makes one slice: it is some ten times that in memory.
SLICE_BYTES = 64 * 2**20
# Tasks for each core between two reports of progress.
WAVE = 4
# So much catches up sooner without Spark jobs, of which each takes half a second by itself.
FEW_RECORDS = 100_000
THREADS = 4
CATCHING_UP = "catching up with the live tables"

Progress = Callable[[str, int, int, int], None]  # a phase, its tasks done and in all, and the records that they have read
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass
class Rebuilt:
    """Tables of a replay as of a cut (a manifest with just these tables), the topics that cannot be built with the reason, and what was read.

    `superseded` are folders of its own that a later cut has replaced.
    """

    manifest: Manifest
    refused: dict[str, str] = field(default_factory=dict)
    records: int = 0
    taken: list[Taken] = field(default_factory=list)
    arrivals: list[tuple[str, str]] = field(default_factory=list)
    superseded: set[str] = field(default_factory=set)


class Builder:
    """Builds tables. `token` marks its files; `root` is where the tables lie (the warehouse's, or a past state's own)."""

    def __init__(self, settings: Settings, session: Session, versions: Versions, token: str, root: str, progress: Progress) -> None:
        self._settings, self._session, self._versions = settings, session, versions
        self._token, self._root, self._progress = token, root, progress
        self._hdfs, self._decoder = Hdfs(settings.hdfs), RowDecoder(SchemaRegistry(settings.registry.url))
        self._statements = StatementLog(settings)
        self.scratch = f"{lake_staging(settings.hdfs.root)}/{token}-replay"

    def clear(self) -> None:
        """Remove what was only read once."""
        self._hdfs.delete(self.scratch)

    def remove(self, locations: Iterable[str]) -> None:
        """Remove folders, of those that this builder made."""
        for location in locations:
            if self._token in location:
                self._hdfs.delete(location)

    def rebuild(self, cut: Manifest, sources: Sequence[Source], held: Allowed | None = None) -> Rebuilt:
        """The tables of some topics as all that the archive holds up to a cut leaves them; `held` says which statements came until then.

        Raises WarehouseError if the archive cannot be read, Unavailable if HDFS or Kafka (for the statements) is away.
        """
        taken = self._take(
            {source: archive_files(self._hdfs, cut.archives.get(source.table)) for source in sources},
            {},
            cut.offsets,
            SLICE_BYTES,
            "reading the archive",
        )
        slices = {one.source: count for one, count in taken}
        self._statements.read()
        history = self._history(replace(NOTHING, offsets={source.topic: {} for source in sources}), held or held_by(cut))
        done = Rebuilt(replace(cut, tables={}, statements={}), taken=[one for one, _ in taken], records=sum(one.rows for one, _ in taken))
        changes = history.changes([part for one, _ in taken for part in one.archived], done.refused)
        wanted = {source.table for source in sources}
        changes = [since_snapshot(change, cut) for change in changes if change.source.table in wanted]
        tables = self._built(cut, changes, slices, done)
        return replace(done, manifest=replace(done.manifest, tables=tables, statements=history.starts(changes)))

    def advance(self, done: Rebuilt, to: Manifest) -> Rebuilt:
        """The same tables at a later cut. Raises WarehouseError for what can only be built from the beginning; Unavailable."""
        before = done.manifest
        if before.snapshot != to.snapshot:
            raise WarehouseError("Debezium took a snapshot anew while the warehouse was replayed", "run ./kappa replay warehouse again")
        sources = [Source(table.topic, name, Kind(table.kind)) for name, table in before.tables.items()]
        settle_arrivals(self._hdfs, to)  # the compactor may be at it too
        since = [self._versions.read(number) for number in range(before.version + 1, to.version + 1)]
        files = {source: arrived_files(self._hdfs, self._settings.hdfs.root, before.archives.get(source.table), since, source) for source in sources}
        here = sum(manifest.changes for manifest in since) <= FEW_RECORDS
        taken = self._take(files, before.offsets, to.offsets, None, CATCHING_UP, here)
        self._statements.read()
        history, refused = self._history(before, held_by(to)), dict[str, str]()
        changes = history.changes([part for one, _ in taken for part in one.archived], refused)
        if refused:
            topic, reason = next(iter(refused.items()))
            raise WarehouseError(f"{topic} cannot be brought up to version {to.version}: {reason}", "run ./kappa replay warehouse again")
        run = NextVersion(replace(before, version=to.version), f"{self._token}-{to.version}", self._settings.hdfs.root)
        rewritten = self._run(rewrite, list(self._rewritings(changes, before, to, run)), CATCHING_UP, here=here)
        if refusal := next((answer.refusal for answer in rewritten if answer.refusal), None):
            raise WarehouseError(refusal, "run ./kappa replay warehouse again")
        gone = history.gone(changes)
        tables = {name: table for name, table in before.tables.items() if name not in gone}
        tables |= {change.source.table: counted(run.table(change, rewritten, gtid_of(to, change.source.table)), before) for change in changes}
        manifest = replace(to, tables=tables, statements={**(before.statements or {}), **history.starts(changes)})
        arrivals = done.arrivals + [arrival for answer in rewritten for arrival in answer.arrivals]
        records, superseded = done.records + sum(one.rows for one, _ in taken), done.superseded | (before.locations() - manifest.locations())
        return replace(done, manifest=manifest, records=records, arrivals=arrivals, superseded=superseded)

    def _take(
        self,
        files: Mapping[Source, Files],
        starts: Mapping[str, Mapping[int, int]],
        ends: Mapping[str, Mapping[int, int]],
        slice_bytes: int | None,
        phase: str,
        here: bool = False,
    ) -> list[tuple[Taken, int]]:
        """The records in some files of each topic between two points, with the number of slices that the topic is in."""
        tasks = []
        for source, held in files.items():
            slices = -(-sum(size for _, size in held) // slice_bytes) if slice_bytes and held else 1
            tasks += [
                TakeTask(
                    source, hand, starts.get(source.topic, {}), ends.get(source.topic, {}), slices, self.scratch,
                    self._settings.hdfs, self._settings.registry,
                )
                for hand in hands(held, TASK_BYTES)
            ]  # fmt: skip
        taken = self._run(take, tasks, phase, lambda one: one.rows, here)
        return [(one, task.slices) for one, task in zip(taken, tasks, strict=True)]

    def _history(self, previous: Manifest, held: Allowed) -> TableHistory:
        return TableHistory(self._settings, self._decoder, self._statements, previous, held)

    def _built(self, cut: Manifest, changes: Sequence[TableChange], slices: Mapping[Source, int], done: Rebuilt) -> dict[str, Table]:
        """The tables' new rows. Those that cannot be built are added to the refused ones."""
        tasks = [
            BuildTask(self._rewriting(change, files, cut.version + 1), number, count, self._root)
            for change in changes
            for count in [slices[change.source] if len(change.stretches) == 1 else 1]
            for number, files in enumerate(sliced_files(change, slices, count))
        ]
        by_table: defaultdict[str, dict[int, Built]] = defaultdict(dict)
        for task, answer in zip(tasks, self._run(build, tasks, "building the tables"), strict=True):
            by_table[answer.table][task.number] = answer
        tables = {}
        for change in changes:
            parts = by_table[change.source.table]
            if refusal := next((part.refusal for part in parts.values() if part.refusal), None):
                done.refused[change.source.topic] = refusal
            else:
                tables[change.source.table] = table_of(change, cut, together({number: part.partitions for number, part in parts.items()}))
        return tables

    def _rewriting(self, change: TableChange, files: dict[str, tuple[str, ...]], version: int) -> RewriteTask:
        """All of a table's history, as a rewriting of nothing."""
        return RewriteTask(
            change.source.table, change.schema, change.key, {}, "", change.cut, files, change.stretches, {}, version, self._token, "",
            self._settings.hdfs,
        )  # fmt: skip

    def _rewritings(self, changes: Iterable[TableChange], before: Manifest, to: Manifest, run: NextVersion) -> Iterator[RewriteTask]:
        for change in changes:
            standing = before.tables.get(change.base) if change.base else None
            known = {one.name: self._known(before, change_topic(self._settings.mysql.database, one.name)) for one in change.stretches}
            for part in plan.split_evenly(added_to(change, change.concerned(standing)), self._session.parallelism):
                yield RewriteTask(
                    change.source.table, change.schema, change.key, known, standing.snapshot if standing else "", change.cut,
                    sliced_files(change, {}, 1)[0], change.stretches, part, run.version, run.token, run.staging, self._settings.hdfs,
                )  # fmt: skip

    def _known(self, manifest: Manifest, topic: str) -> GtidSet:
        left = manifest.left.get(topic)
        return gtid_set(left.transactions if left else manifest.transactions)

    def _run(
        self,
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        phase: str,
        records: Callable[[Result], int] = lambda _: 0,
        here: bool = False,
    ) -> list[Result]:
        """The results of all tasks, in their order, some at a time so that there is progress to tell; `here` without a Spark job's overhead."""
        done: list[Result] = []
        wave = self._session.parallelism * WAVE
        for begin in range(0, len(tasks), wave):
            self._progress(phase, begin, len(tasks), sum(map(records, done)))
            some = tasks[begin : begin + wave]
            done += run_here(work, some, THREADS) if here else self._session.run(work, some)
        self._progress(phase, len(tasks), len(tasks), sum(map(records, done)))
        return done


def held_by(cut: Manifest) -> Allowed:
    """The transactions of a version."""
    return allowed(gtid_set(cut.transactions), ())


def sliced_files(change: TableChange, slices: Mapping[Source, int], count: int) -> list[dict[str, tuple[str, ...]]]:
    """The files of a table's changes, for each of so many slices. In one, everything is read: what is in several slices counts once all the same."""
    numbers: dict[str, int] = {}
    for done in change.archived:
        numbers |= {file.path: slices.get(done.source, 1) for file in done.files}
    found = []
    for number in range(count):
        which = {path: range(held) if count == 1 else (number,) for path, held in numbers.items()}
        paths = {name: dict.fromkeys(files) for name, files in change.files.items()}
        found.append({name: tuple(slice_path(path, one) for path in held for one in which[path]) for name, held in paths.items()})
    return found


def added_to(change: TableChange, concerned: dict[str, HivePartition | None]) -> dict[str, HivePartition | None]:
    """Facts always get a further file here, however many there are: what an earlier round added is not in its place yet, and cannot be read."""
    if change.source.kind is not Kind.FACTS:
        return concerned
    return {value: part and replace(part, files=0) for value, part in concerned.items()}


def counted(table: Table, before: Manifest) -> Table:
    """A table with the number of files that its partitions of facts really have."""
    standing = before.tables.get(table.topic)
    if table.kind != Kind.FACTS.value or standing is None:
        return table
    held = standing.partitions
    partitions = {
        value: replace(part, files=held[value].files + 1) if value in held and part != held[value] else part
        for value, part in table.partitions.items()
    }
    return replace(table, partitions=partitions)


def since_snapshot(change: TableChange, cut: Manifest) -> TableChange:
    """A table of which the newest full snapshot has no row began empty with it: what came before is void."""
    if change.source.kind is not Kind.CHANGES or cut.snapshot is None or change.snapshot == cut.snapshot.id:
        return change
    file, _, place = cut.snapshot.id.rpartition(":")
    begin: Position = (binlog_number(file), int(place))
    stretches = [one for one in change.stretches if one.until is None or one.until > begin]
    standing = cut.tables.get(change.source.table)
    later = tuple(replace(one, after=max(one.after, begin)) for one in stretches)
    return replace(change, stretches=later, snapshot=standing.snapshot if standing else change.snapshot)


def table_of(change: TableChange, cut: Manifest, partitions: dict[str, HivePartition]) -> Table:
    """A table with these hive partitions, as of a cut."""
    columns = tuple((column.name, column.type.hive) for column in change.columns)
    return Table(
        change.source.topic, change.source.kind.value, columns, change.key, change.cut.hive_column if change.cut else None, change.schema_id,
        cut.version, gtid_of(cut, change.source.table), partitions, change.snapshot,
    )  # fmt: skip


def gtid_of(cut: Manifest, table: str) -> str:
    """What a table held when it last changed, as of a cut."""
    return cut.tables[table].gtid if table in cut.tables else cut.gtid
