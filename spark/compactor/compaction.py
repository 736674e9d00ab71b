"""One compaction: from the log to a committed version.

It is four values, each made from the one before: LogScan -> ArchivedChanges -> RewrittenTables ->
Manifest. Large archiving and rewriting is a Spark job; small one is done by threads of this
process.

Nothing is visible before the commit of the manifest. A compaction that is killed or fails leaves
files that no manifest names.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from connectors.control.cut_request import CutFiles, CutRequest
from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import Manifest, TableBase
from spark.archive.archive_task import Connections
from spark.compactor.archived_changes import ArchivedChanges, TaskArchiver, archive_changes
from spark.compactor.initial_snapshot import unread_topics
from spark.compactor.log_scan import KafkaLog, LogScan, scan_log
from spark.compactor.missing_changes import MissingChangesTracker
from spark.compactor.next_manifest import next_manifest
from spark.compactor.rewritten_tables import rewrite_tables
from spark.log.ddl_statements import RecordedStatements, StatementLog
from spark.log.row_decoder import RowDecoder
from spark.log.statement_order import NO_ORDER, StatementOrder
from spark.merge.table_changes import TableHistory
from spark.merge.version_builder import VersionBuilder
from spark.reread.adopt import adopt
from spark.session import TaskRunner

NO_BASES: Mapping[str, TableBase] = {}


@dataclass(frozen=True)
class CompactionResult:
    """The result of a compaction.

    `manifest` is the version (None if there was nothing new), `refusals` say by topic why it is not
    replicated, `waits` what is missing in the log, `seconds` the time of each step, `more`
    whether the log has more than one version may have. `reached` is the id of the cut request
    (connectors/control/cut_request.py) whose set the warehouse now equals. `connector_gtids`, if
    they were asked for, is a GTID set that the version has all of.
    """

    manifest: Manifest | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    more: bool = False
    reached: str = ""
    connector_gtids: str = ""

    @property
    def records(self) -> int:
        """The number of records that the version took from the log."""
        return self.manifest.changes if self.manifest else 0


class StepTimer:
    """Measures the steps of a compaction, one after the other."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._step_began_at = clock()
        self.seconds: dict[str, float] = {}

    def finish_step(self, name: str) -> None:
        """Note the time since the last step was finished."""
        now = self._clock()
        self.seconds[name] = round(now - self._step_began_at, 3)
        self._step_began_at = now


class Compactor:
    """Builds and commits versions."""

    def __init__(
        self, settings: Settings, session: TaskRunner, versions: ManifestStore, token: str
    ) -> None:
        self._settings = settings
        self._session = session
        self._versions = versions
        self._token = token
        connections = Connections(
            kafka=settings.kafka,
            registry=settings.registry,
            hdfs=settings.hdfs,
            mysql=settings.mysql,
            mysql_reader=settings.login("mysql.reader"),
            warehouse=settings.warehouse,
        )
        self._archiver = TaskArchiver(session, connections)
        self._decoder = RowDecoder(SchemaRegistry(settings.registry.url))
        self._statements = StatementLog(settings)
        self._log = KafkaLog(settings, self._decoder, self._statements.tables)
        self._missing_changes = MissingChangesTracker()
        self._cut_files = CutFiles(settings.home)

    def compact(
        self,
        published_manifest: Manifest,
        refusals: Mapping[str, str],
        bases: Mapping[str, TableBase] = NO_BASES,
        *,
        within: GtidSet | None = None,
        order: StatementOrder = NO_ORDER,
        with_connector_gtids: bool = False,
    ) -> CompactionResult:
        """Build and commit the version after `published_manifest`, without topics in `refusals`.

        `bases` are tables (by name) that were read from MySQL again, and continue from there. The
        version has no transaction outside of `within`, a set that grows (None: any). `order` has
        the places of statements among the transactions.
        Raises WarehouseError if the version would be wrong, Unavailable if an outside system does
        not answer.
        """
        timer = StepTimer()
        early_request = self._cut_files.current_request()
        previous = self._adopt(published_manifest, bases)
        unread = unread_topics(previous.tables, previous.snapshot)
        # A statement that nothing follows waits for the connector to have passed it.
        with_connector_gtids |= self._statements.is_waiting
        scan = self._scan_log(previous, {**unread, **refusals}, with_connector_gtids)
        if within is not None:
            scan.cut.wait_for(within)
        scan.cut.know_order(order, _logged_gtids(scan))
        # Read after the scan: data from before a hold is older than the set that the hold is for.
        request = self._cut_files.current_request()
        if request is not None:
            if request.is_hold:
                return CompactionResult(refusals=scan.refusals)
            scan.cut.stop_at(
                request.ceiling(), is_logged=has_arrived(early_request, request)
            )
        timer.finish_step("look")
        archived_changes = self._archive_changes(scan)
        timer.finish_step("archive")
        rewritten_tables = rewrite_tables(archived_changes, self._settings, self._session)
        timer.finish_step("merge")
        now = datetime.now(UTC)
        manifest = next_manifest(rewritten_tables, self._decoder, now, published_manifest)
        if manifest is not None:
            self._versions.commit(manifest)
            timer.finish_step("commit")
        reaches_request = request is not None and archived_changes.reaches_ceiling
        return CompactionResult(
            manifest=manifest,
            refusals=rewritten_tables.refusals,
            waits=self._waits(archived_changes),
            seconds=timer.seconds,
            more=archived_changes.has_more,
            reached=request.id if request is not None and reaches_request else "",
            connector_gtids=_complete_gtids(archived_changes),
        )

    def recorded_statements(self) -> RecordedStatements:
        """Return the statements that Debezium has recorded. Raises Unavailable."""
        self._statements.read_new()
        return self._statements.recorded_statements()

    def history(self, scan: LogScan) -> TableHistory:
        """Return the statements about the tables between the previous version and a scan's cut."""
        allowed = scan.cut.shared_scope.allowed()
        database = self._settings.mysql.database
        return TableHistory(
            database, self._decoder, self._statements, scan.previous, allowed
        )

    def _adopt(
        self, published_manifest: Manifest, bases: Mapping[str, TableBase]
    ) -> Manifest:
        if not bases:
            return published_manifest
        topics_in_log = self._log.topics()
        self._statements.read_new()
        return adopt(
            published_manifest, bases, topics_in_log, self._statements.offset_after
        )

    def _scan_log(
        self, previous: Manifest, refusals: Mapping[str, str], with_connector_gtids: bool
    ) -> LogScan:
        all_refusals = {**self._missing_changes.absent_topics(), **refusals}
        self._statements.read_new()
        tables = self._statements.tables()
        scan = scan_log(
            self._log,
            self._settings.mysql.database,
            previous,
            all_refusals,
            with_connector_gtids=with_connector_gtids,
        )
        # Every statement before one of the changes is known. It may name the table of a topic.
        if self._statements.read_new() and self._statements.tables() != tables:
            return self._scan_log(previous, refusals, with_connector_gtids)
        gap = self._missing_changes.gap_to_skip(scan.watermarks)
        if gap is not None and gap.topic not in scan.refusals:
            scan.cut.stop_before(gap)
        return scan

    def _archive_changes(self, scan: LogScan) -> ArchivedChanges:
        token = f"{self._token}-{uuid4().hex[:6]}"
        version = VersionBuilder(scan.previous, token, self._settings.hdfs.root)
        archived_changes = archive_changes(scan, version, self._archiver, self)
        self._missing_changes.note_gap(archived_changes.gap, scan.watermarks)
        return archived_changes

    def _waits(self, archived_changes: ArchivedChanges) -> list[str]:
        missing_changes = self._missing_changes.missing
        waits = [str(missing_changes)] if missing_changes is not None else []
        return waits + archived_changes.waiting_reasons


def _complete_gtids(archived_changes: ArchivedChanges) -> str:
    """Return the connector's GTID set if the version has all of it, else an empty text."""
    if archived_changes.has_more or not archived_changes.cut.is_complete:
        return ""
    return archived_changes.scan.connector_gtids or ""


def _logged_gtids(scan: LogScan) -> GtidSet | None:
    """Return the transactions that the log has, None if that is not known."""
    if scan.connector_gtids is None or scan.is_limited:
        return None
    return gtid_set(scan.connector_gtids)


def has_arrived(early_request: CutRequest | None, request: CutRequest) -> bool:
    """Return whether all of a request's set was in the log before the scan."""
    if early_request is None or early_request.id != request.id:
        return False
    return early_request.arrived
