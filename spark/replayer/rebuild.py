"""Tables rebuilt from the archive up to a cut, and advanced from one cut to a later one.

The records are extracted from the archive (Spark job), the statements about each table are read,
and its rows are built (Spark job). Only a replay sees the tables until it cuts over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from schemas.errors import WarehouseError
from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import Manifest, PublishedTable
from schemas.topics import change_topic
from schemas.warehouse_layout import Kind, Source, lake_staging
from spark.archive.archived_ranges import ArchivedRanges
from spark.archive.files import TASK_BYTES, Files, archive_files, batch_files, new_files
from spark.log.consistent_cut import AllowedTransactions
from spark.log.ddl_statements import StatementLog
from spark.log.row_decoder import RowDecoder
from spark.merge import table_change
from spark.merge.rewrite import rewrite
from spark.merge.rewrite_task import ChangesToMerge, NewVersion, RewriteTask
from spark.merge.table_change import TableChange
from spark.merge.table_changes import TableHistory
from spark.merge.version_builder import VersionBuilder
from spark.replayer.bases import before_replay, usable_bases
from spark.replayer.build_task import BuildResult, BuildTask, build_slice, merge_partitions
from spark.replayer.extract import ExtractResult, ExtractTask, extract_records
from spark.replayer.rebuilt_tables import (
    FilesByName,
    RebuiltTables,
    force_new_files,
    gtid_of,
    rebuilt_table,
    since_snapshot,
    sliced_files,
    transactions_of,
    with_file_counts,
)
from spark.session import TaskRunner, run_in_threads
from spark.storage.expire_versions import move_arrivals

# How much of the archive, compressed, makes one slice: it is some ten times that in memory.
SLICE_BYTES = 64 * 2**20
# Tasks for each core between two reports of progress.
WAVE = 4
# So much catches up faster without Spark jobs, of which each takes half a second of overhead.
FEW_RECORDS = 100_000
THREADS = 4
# Every record of a topic, with the Hive partitions that it touches.
FROM_BEGIN = {0: 0}
CATCHING_UP = "catching up with the live tables"
REPLAY_AGAIN = "run ./kappa replay warehouse again"

# A phase, its finished tasks, all its tasks, and the records that they have read.
Progress = Callable[[str, int, int, int], None]
Task = TypeVar("Task")
Result = TypeVar("Result")


class TableBuilder:
    """Builds tables.

    `token` marks its files. `root` is the folder of the tables: the warehouse's, or that of a past
    state.
    """

    def __init__(
        self,
        settings: Settings,
        session: TaskRunner,
        versions: ManifestStore,
        token: str,
        root: str,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._session = session
        self._versions = versions
        self._token = token
        self._root = root
        self._progress = progress
        self._hdfs = Hdfs(settings.hdfs)
        self._decoder = RowDecoder(SchemaRegistry(settings.registry.url))
        self._statements = StatementLog(settings)
        self._extract_folder = f"{lake_staging(settings.hdfs.root)}/{token}-replay"

    def clear(self) -> None:
        """Remove the extracted records."""
        self._hdfs.delete(self._extract_folder)

    def remove(self, folders: Iterable[str]) -> None:
        """Remove those folders that this builder created."""
        for folder in folders:
            if self._token in folder:
                self._hdfs.delete(folder)

    def rebuild(
        self,
        cut: Manifest,
        sources: Sequence[Source],
        allowed: AllowedTransactions | None = None,
    ) -> RebuiltTables:
        """Build the tables of some topics from all records up to a cut.

        `allowed` are the transactions of the cut (None: those of a version), up to which statements
        count. Raises WarehouseError if the archive is damaged, Unavailable.
        """
        bases, refused_tables = usable_bases(cut, sources)
        files = {}
        slice_counts = {}
        for source in sources:
            if source.topic in refused_tables:
                continue
            files[source] = archive_files(self._hdfs, cut.archive(source.topic))
            has_base = source.table in bases
            slice_counts[source] = 1 if has_base else _count_slices(files[source])
        starts = {base.topic: FROM_BEGIN for base in bases.values()}
        extracts = self._extract(
            files, starts, cut.offsets, slice_counts, "reading the archive"
        )
        self._statements.read_new()
        before = before_replay(cut, files, bases, self._statements.offset_after)
        names = {source.topic: source.table for source in sources}
        history = self._history(before, allowed or transactions_of(cut), names)
        table_names = {source.table for source in files}
        changes = []
        for change in history.changes(_archived(extracts), refused_tables):
            if change.source.table in table_names:
                changes.append(since_snapshot(change, cut))
        from_log = [change for change in changes if change.base is None]
        tables = self._build_tables(cut, from_log, slice_counts, refused_tables)
        tables |= self._build_on_bases(cut, before, changes, refused_tables)
        manifest = replace(cut, tables=tables, ddl_positions=history.starts(changes))
        records = sum(extract.rows for extract in extracts)
        return RebuiltTables(manifest, refused_tables, records, extracts)

    def advance(self, rebuilt_tables: RebuiltTables, cut: Manifest) -> RebuiltTables:
        """Return the tables at a later cut.

        Raises WarehouseError for changes that need a new replay, Unavailable.
        """
        before = rebuilt_tables.manifest
        if before.snapshot != cut.snapshot:
            raise WarehouseError(
                "Debezium took a new snapshot while the warehouse was replayed",
                REPLAY_AGAIN,
            )
        read_again = [name for name in before.tables if _was_read_since(name, before, cut)]
        if read_again:
            raise WarehouseError(
                f"{', '.join(read_again)} was read from MySQL while the warehouse was replayed",
                REPLAY_AGAIN,
            )
        move_arrivals(self._hdfs, cut)  # the compactor may move them too
        later_numbers = range(before.version + 1, cut.version + 1)
        later_versions = [self._versions.read(number) for number in later_numbers]
        in_threads = sum(manifest.changes for manifest in later_versions) <= FEW_RECORDS
        extracts = self._extract(
            self._new_files(before, later_versions),
            before.offsets,
            cut.offsets,
            {},
            CATCHING_UP,
            in_threads,
        )
        self._statements.read_new()
        history = self._history(before, transactions_of(cut))
        refused_tables: dict[str, str] = {}
        changes = history.changes(_archived(extracts), refused_tables)
        for topic, reason in refused_tables.items():
            raise WarehouseError(
                f"{topic} cannot be brought up to version {cut.version}: {reason}",
                REPLAY_AGAIN,
            )
        version = VersionBuilder(
            replace(before, version=cut.version),
            f"{self._token}-{cut.version}",
            self._settings.hdfs.root,
        )
        tasks = list(self._rewrite_tasks(changes, before, version))
        results = self._run(rewrite, tasks, CATCHING_UP, in_threads=in_threads)
        arrivals = list(rebuilt_tables.arrivals)
        for result in results:
            if result.refusal:
                raise WarehouseError(result.refusal, REPLAY_AGAIN)
            arrivals += result.arrivals
        tables = dict(before.tables)
        for name in history.removed_tables(changes):
            tables.pop(name, None)
        for change in changes:
            name = change.source.table
            table = version.next_table(change, results, gtid_of(cut, name))
            tables[name] = with_file_counts(table, before)
        ddl_positions = {**(before.ddl_positions or {}), **history.starts(changes)}
        manifest = replace(cut, tables=tables, ddl_positions=ddl_positions)
        new_records = sum(extract.rows for extract in extracts)
        replaced_folders = before.locations() - manifest.locations()
        return replace(
            rebuilt_tables,
            manifest=manifest,
            records=rebuilt_tables.records + new_records,
            arrivals=arrivals,
            superseded=rebuilt_tables.superseded | replaced_folders,
        )

    def _new_files(
        self, before: Manifest, later_versions: Sequence[Manifest]
    ) -> dict[Source, Files]:
        """Return the files that later versions added to the archive of each table."""
        files = {}
        for name, table in before.tables.items():
            source = Source(table.topic, name, Kind(table.kind))
            archive = before.archive(table.topic)
            root = self._settings.hdfs.root
            files[source] = new_files(self._hdfs, root, archive, later_versions, source)
        return files

    def _extract(
        self,
        files_by_source: Mapping[Source, Files],
        starts: Mapping[str, Mapping[int, int]],
        ends: Mapping[str, Mapping[int, int]],
        slice_counts: Mapping[Source, int],
        phase: str,
        in_threads: bool = False,
    ) -> list[ExtractResult]:
        """Extract the records between two cuts from files of each topic, into its slices."""
        tasks = []
        for source, files in files_by_source.items():
            for batch in batch_files(files, TASK_BYTES):
                task = ExtractTask(
                    source=source,
                    files=batch,
                    starts=starts.get(source.topic, {}),
                    ends=ends.get(source.topic, {}),
                    slices=slice_counts.get(source, 1),
                    scratch=self._extract_folder,
                    hdfs=self._settings.hdfs,
                    registry=self._settings.registry,
                )
                tasks.append(task)
        return self._run(
            extract_records, tasks, phase, lambda extract: extract.rows, in_threads
        )

    def _history(
        self,
        previous: Manifest,
        allowed: AllowedTransactions,
        names: Mapping[str, str] | None = None,
    ) -> TableHistory:
        return TableHistory(
            self._settings.mysql.database,
            self._decoder,
            self._statements,
            previous,
            allowed,
            names,
        )

    def _build_tables(
        self,
        cut: Manifest,
        changes: Sequence[TableChange],
        slice_counts: Mapping[Source, int],
        refused_topics: dict[str, str],
    ) -> dict[str, PublishedTable]:
        """Build the tables. Topics of those that cannot be built are added to `refused_topics`."""
        tasks = []
        for change in changes:
            # A table with statements in its history, or without a key, is built in one piece.
            in_slices = len(change.periods) == 1 and not change.is_keyless
            slices = slice_counts.get(change.source, 1) if in_slices else 1
            for number, files in enumerate(sliced_files(change, slice_counts, slices)):
                rewriting = self._rewrite_of_nothing(change, files, cut.version + 1)
                tasks.append(BuildTask(rewriting, number, slices, self._root))
        results_by_table: dict[str, dict[int, BuildResult]] = {}
        results = self._run(build_slice, tasks, "building the tables")
        for task, result in zip(tasks, results, strict=True):
            results_by_table.setdefault(result.table, {})[task.number] = result
        tables = {}
        for change in changes:
            slice_results = results_by_table.get(change.source.table, {})
            refusals = [
                result.refusal for result in slice_results.values() if result.refusal
            ]
            if refusals:
                refused_topics[change.source.topic] = refusals[0]
                continue
            partitions = merge_partitions(
                {number: result.partitions for number, result in slice_results.items()}
            )
            tables[change.source.table] = rebuilt_table(change, cut, partitions)
        return tables

    def _build_on_bases(
        self,
        cut: Manifest,
        before: Manifest,
        changes: Sequence[TableChange],
        refused_topics: dict[str, str],
    ) -> dict[str, PublishedTable]:
        """Merge the changes since tables were read from MySQL with what was read.

        The topics of tables that cannot be built are added to `refused_topics`.
        """
        changes_by_base = {change.base: change for change in changes if change.base}
        version = VersionBuilder(
            replace(before, version=cut.version), f"{self._token}-b", self._root
        )
        tasks = list(self._rewrite_tasks(changes_by_base.values(), before, version))
        results = self._run(rewrite, tasks, "merging with what was read from MySQL")
        for result in results:
            if result.refusal:
                refused_topics[before.tables[result.table].topic] = result.refusal
        tables = {}
        for name, base_table in before.tables.items():
            change = changes_by_base.get(name)
            if base_table.topic in refused_topics:
                continue
            table = replace(base_table, version=cut.version)
            if change is not None:
                table = version.next_table(change, results, "")
            tables[name] = replace(table, version=cut.version, gtid=gtid_of(cut, name))
        return tables

    def _rewrite_of_nothing(
        self, change: TableChange, files: FilesByName, version: int
    ) -> RewriteTask:
        """Return a table's whole history as changes of a table without rows."""
        return RewriteTask(
            table=change.definition,
            changes=ChangesToMerge(files, change.periods, merged={}, snapshot=""),
            target=NewVersion(version, self._token, staging=""),
            partitions={},
            hdfs=self._settings.hdfs,
        )

    def _rewrite_tasks(
        self, changes: Iterable[TableChange], before: Manifest, version: VersionBuilder
    ) -> Iterator[RewriteTask]:
        for change in changes:
            base = version.base_table(change)
            changes_to_merge = ChangesToMerge(
                sliced_files(change, {}, 1)[0],
                change.periods,
                merged=self._merged_transactions(change, before),
                snapshot=base.snapshot if base else "",
            )
            partitions = force_new_files(change, change.touched_partitions(base))
            for share in table_change.split_evenly(partitions, self._session.parallelism):
                yield RewriteTask(
                    table=change.definition,
                    changes=changes_to_merge,
                    target=NewVersion(version.version, version.token, version.staging),
                    partitions=share,
                    hdfs=self._settings.hdfs,
                )

    def _merged_transactions(
        self, change: TableChange, before: Manifest
    ) -> dict[str, GtidSet]:
        merged_transactions = {}
        for period in change.periods:
            topic = change_topic(self._settings.mysql.database, period.name)
            lagging_topic = before.lagging_topics.get(topic)
            transactions = (
                lagging_topic.transactions if lagging_topic else before.transactions
            )
            merged_transactions[period.name] = gtid_set(transactions)
        return merged_transactions

    def _run(
        self,
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        phase: str,
        count_records: Callable[[Result], int] = lambda _: 0,
        in_threads: bool = False,
    ) -> list[Result]:
        """Return the results of all tasks, in their order.

        Tasks run in waves, with a report of progress before each. Threads of this process save a
        Spark job's overhead.
        """
        results: list[Result] = []
        wave_size = self._session.parallelism * WAVE
        for begin in range(0, len(tasks), wave_size):
            self._progress(phase, begin, len(tasks), sum(map(count_records, results)))
            wave = tasks[begin : begin + wave_size]
            if in_threads:
                results += run_in_threads(work, wave, THREADS)
            else:
                results += self._session.run(work, wave)
        self._progress(phase, len(tasks), len(tasks), sum(map(count_records, results)))
        return results


def _was_read_since(name: str, before: Manifest, cut: Manifest) -> bool:
    return before.bases.get(name) != cut.bases.get(name)


def _count_slices(files: Files) -> int:
    size = sum(file_size for _, file_size in files)
    return -(-size // SLICE_BYTES) if files else 1


def _archived(extracts: Iterable[ExtractResult]) -> list[ArchivedRanges]:
    archived_ranges: list[ArchivedRanges] = []
    for extract in extracts:
        archived_ranges += extract.archived
    return archived_ranges
