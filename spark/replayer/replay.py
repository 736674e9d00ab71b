"""One replay of the warehouse: tables are rebuilt beside the live ones, compared, and cut over."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from connectors.control.replay_lease import hold_replay_lease
from connectors.control.replay_request import ReplayRequest
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.runtime.process_state import is_running
from connectors.runtime.settings import Settings
from schemas.errors import Unavailable, UsageError
from schemas.manifest import Manifest
from schemas.topics import source_table
from schemas.warehouse_layout import Kind, Source
from spark.replayer.compare_table import Comparison, compare_partition, plan_comparison
from spark.replayer.completeness import check_archive
from spark.replayer.cutover import Cutover, CutoverResult, tables_before_cutover
from spark.replayer.point_in_time import PastState
from spark.replayer.progress import ReplayProgress
from spark.replayer.rebuild import TableBuilder
from spark.replayer.rebuilt_tables import RebuiltTables
from spark.replayer.recovery_target import RecoveryTarget, parse_target
from spark.session import TaskRunner
from spark.storage.expire_versions import move_arrivals

COMPACTOR = "compactor"
# Comparison tasks for each core between two reports of progress.
WAVE = 4


@dataclass(frozen=True, kw_only=True)
class ReplayOutcome:
    """The result of a replay. `version` is the one that it was compared with.

    `records_per_second` is the rate of reading and building, `compared` the number of rows,
    `differing` that of differing rows by table, `named` their descriptions, `refused` the reason by
    topic why a table could not be rebuilt.
    """

    version: int
    gtid: str
    tables: list[str]
    records: int
    seconds: float
    records_per_second: float
    compared: int = 0
    differing: dict[str, int] = dataclasses.field(default_factory=dict)
    named: list[str] = dataclasses.field(default_factory=list)
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    switched: CutoverResult | None = None
    database: str | None = None


class Replay:
    """Runs one request."""

    def __init__(
        self,
        settings: Settings,
        session: TaskRunner,
        request: ReplayRequest,
        progress: ReplayProgress,
    ) -> None:
        self._settings = settings
        self._session = session
        self._request = request
        self._progress = progress
        self._hdfs = Hdfs(settings.hdfs)
        self._versions = ManifestStore(self._hdfs, settings.hdfs.root)
        self._token = f"r{uuid4().hex[:10]}"
        self._builder = TableBuilder(
            settings,
            session,
            self._versions,
            self._token,
            settings.hdfs.root,
            progress.report_tasks,
        )

    def run(self) -> ReplayOutcome:
        """Run the request. Raises a KappaError if it fails: the live tables are then unchanged."""
        with hold_replay_lease(self._settings.home, self._token):
            try:
                if self._request.to is not None:
                    return self._build_past_state(parse_target(self._request.to))
                if self._request.rollback:
                    return self._roll_back()
                return self._replay_live_tables()
            finally:
                self._builder.clear()

    def _replay_live_tables(self) -> ReplayOutcome:
        live = newest_whole_version(self._versions, self._hdfs)
        begin = time.monotonic()
        sources = sources_of(live, self._request.table)
        rebuilt_tables = self._builder.rebuild(live, sources)
        cutover_result = None
        try:
            seconds = time.monotonic() - begin
            self._progress.report_phase("checking that the archive is whole")
            check_archive(
                self._settings, self._session, self._hdfs, live, rebuilt_tables.extracts
            )
            names = [source.table for source in sources]
            comparison = self._compare(live, rebuilt_tables.manifest, names)
            if self._request.switch and (comparison.equal or self._request.accept):
                cutover_result = self._cut_over(rebuilt_tables)
        finally:
            self._remove_unless_published(rebuilt_tables, live)
        return outcome(live, rebuilt_tables, seconds, comparison, cutover_result)

    def _build_past_state(self, target: RecoveryTarget) -> ReplayOutcome:
        live = newest_whole_version(self._versions, self._hdfs)
        begin = time.monotonic()
        past_state = PastState(
            self._settings, self._session, self._versions, live, self._progress.report_tasks
        )
        past_tables = past_state.build(target, self._request.table, self._token)
        seconds = time.monotonic() - begin
        self._progress.report_phase(f"making the database {past_tables.database}")
        comparison = Comparison()
        if target.version is not None:
            names = sorted(past_tables.tables.manifest.tables)
            comparison = self._compare(past_tables.cut, past_tables.tables.manifest, names)
        past_state.publish(past_tables, self._token)
        result = outcome(past_tables.cut, past_tables.tables, seconds, comparison, None)
        return dataclasses.replace(result, database=past_tables.database)

    def _roll_back(self) -> ReplayOutcome:
        begin = time.monotonic()
        tables = tables_before_cutover(self._versions)
        cutover_result = self._cut_over(tables)
        seconds = time.monotonic() - begin
        return outcome(tables.manifest, tables, seconds, Comparison(), cutover_result)

    def _cut_over(self, rebuilt_tables: RebuiltTables) -> CutoverResult:
        cutover = Cutover(
            settings=self._settings,
            versions=self._versions,
            builder=self._builder,
            token=self._token,
            is_compactor_running=is_running(self._settings.home, COMPACTOR),
            report=self._progress.report_phase,
        )
        return cutover.run(rebuilt_tables)

    def _compare(
        self, live: Manifest, rebuilt: Manifest, names: Sequence[str]
    ) -> Comparison:
        tasks, comparison = plan_comparison(live, rebuilt, names, self._settings.hdfs)
        wave_size = self._session.parallelism * WAVE
        for begin in range(0, len(tasks), wave_size):
            self._progress.report_tasks(
                "comparing with the live tables", begin, len(tasks), comparison.rows
            )
            wave = tasks[begin : begin + wave_size]
            results = self._session.run(compare_partition, wave)
            for task, result in zip(wave, results, strict=True):
                comparison.add_partition(task.table, result)
        return comparison

    def _remove_unless_published(
        self, rebuilt_tables: RebuiltTables, live: Manifest
    ) -> None:
        """Remove the rebuilt files, unless a version names them."""
        for number in self._versions.numbers():
            if number > live.version and self._versions.read(number).owner == self._token:
                return
        self._builder.remove(rebuilt_tables.manifest.locations())


def newest_whole_version(versions: ManifestStore, hdfs: Hdfs) -> Manifest:
    """Return the newest version, with all of its files in place.

    Raises Unavailable if there is none, or if it has a part of a snapshot.
    """
    newest = versions.newest()
    if newest.version < 0:
        raise Unavailable("nothing is published yet", "see ./kappa status")
    if not newest.whole:
        raise Unavailable(
            "a snapshot of Debezium is coming in",
            "wait until ./kappa status shows that all of it is here",
        )
    move_arrivals(hdfs, newest)
    return newest


def sources_of(manifest: Manifest, table: str | None) -> list[Source]:
    """Return the sources of a version's tables, or of one table, by its name in Hive or in MySQL.

    Raises UsageError for a table that the version does not have.
    """
    sources = [
        Source(version_table.topic, name, Kind(version_table.kind))
        for name, version_table in manifest.tables.items()
    ]
    if table is not None:
        named_in_mysql = [source for source in sources if _mysql_name(source) == table]
        named_in_hive = [source for source in sources if source.table == table]
        sources = named_in_mysql or named_in_hive
    if table is not None and not sources:
        names = ", ".join(sorted(manifest.tables))
        raise UsageError(f"there is no table {table}", f"there are {names}")
    return sources


def _mysql_name(source: Source) -> str:
    is_change = source.kind is Kind.CHANGES
    return source_table(source.topic) if is_change else source.topic


def outcome(
    cut: Manifest,
    rebuilt_tables: RebuiltTables,
    seconds: float,
    comparison: Comparison,
    cutover_result: CutoverResult | None,
) -> ReplayOutcome:
    """Return the result of a replay up to a cut."""
    return ReplayOutcome(
        version=cut.version,
        gtid=cut.gtid,
        tables=sorted(rebuilt_tables.manifest.tables),
        records=rebuilt_tables.records,
        seconds=round(seconds, 2),
        records_per_second=round(rebuilt_tables.records / seconds) if seconds else 0,
        compared=comparison.rows,
        differing=comparison.differing,
        named=comparison.examples,
        refused=rebuilt_tables.refused,
        switched=cutover_result,
    )
