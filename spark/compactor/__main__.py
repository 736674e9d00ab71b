"""The process warehouse:compactor: every few seconds, the news in the log become a version of the
warehouse, which Hive shows.

Run as `python -m spark.compactor`. A file `run/compact.request` makes it compact immediately,
`run/republish.request` makes it compare Hive with the newest version (connectors/control).
"""

import os
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any
from uuid import uuid4

from connectors.control.checked_columns import CheckedColumnsFile, ColumnChecks
from connectors.control.cut_request import CutFiles, CutResponse
from connectors.control.repair_request import RepublishFile, RepublishRequest
from connectors.control.replay_lease import CompactorPause, is_replay_running
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import WatchState
from connectors.debezium.capture_rules.rules_record import RulesFile
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.snapshot_tables import left_out_tables
from connectors.debezium.table_exclusion import ExclusionFile
from connectors.hadoop import hive_metastore
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.runtime import settings as settings_module
from connectors.runtime.logging_setup import start_logging
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import Settings
from schemas.errors import KappaError, Refused
from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import Manifest, TableBase
from schemas.topics import change_topic
from schemas.warehouse_layout import Kind
from spark.compactor.compaction import CompactionResult, Compactor
from spark.compactor.refused_topics import RefusedTopics
from spark.compactor.rereads import reached_gtids, rereads_of
from spark.compactor.status import describe_status, names_in_hive
from spark.compactor.suspects import (
    Suspects,
    captured_suspects,
    find_suspects,
    healing_topics,
    statement_order,
)
from spark.publish.foreign_files import ForeignFiles
from spark.publish.hive_publisher import HivePublisher
from spark.session import Session, SparkEnded
from spark.storage.expire_versions import VersionExpiry, move_arrivals

PROCESS = "compactor"
REQUEST = "compact.request"
TICK_SECONDS = 0.1
HOLD_TICK_SECONDS = 0.02
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 15.0
EXPIRE_EVERY_SECONDS = 60.0
# How long the removal of what killed runs have left may delay a round.
ORPHAN_SECONDS = 0.5


class CompactorProcess:
    """The loop around compactions: publish the newest version, build and publish the next, wait."""

    def __init__(self, settings: Settings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._hdfs = Hdfs(settings.hdfs)
        self._versions = ManifestStore(self._hdfs, settings.hdfs.root)
        self._publisher = HivePublisher(settings, self._hdfs)
        self._refused_tables = self._publisher.refused_tables
        self._foreign_files = ForeignFiles(self._hdfs, settings.hdfs.root)
        self._compactor = Compactor(settings, session, self._versions, uuid4().hex[:8])
        self._expiry = VersionExpiry(
            settings,
            self._hdfs,
            self._versions,
            is_in_use=self._publisher.is_read_by_refused_table,
        )
        self._state = ProcessState(settings.home, PROCESS)
        self._compactor_pause = CompactorPause(settings.home)
        self._log = start_logging(PROCESS)
        self._cut_files = CutFiles(settings.home)
        self._republish_file = RepublishFile(settings.home)
        self._last_republish_id = ""
        self._published_version: Manifest | None = None  # None: Hive's state is unknown
        self._visible: Manifest | None = None  # the newest version that Hive shows whole
        self._refused_topics = RefusedTopics()
        self._refusals_shown: dict[str, str] = {}
        self._healing_topics: set[str] = set()
        self._last_result = CompactionResult()
        self._last_seconds: dict[str, float] = {}
        self._rereads = rereads_of(settings, self._hdfs)
        self._watch = BinlogWatchFile(settings.home)
        self._exclusions = ExclusionFile(settings.home)
        self._column_checks = ColumnChecks(CheckedColumnsFile(settings.home))
        self._rules_file = RulesFile(settings.home)
        self._unlogged_tables: Mapping[str, str] = {}
        self._waits: list[str] = []
        self._connector_gtids = ""
        self._connect = ConnectApi(settings.connect.url)
        self._knows_left_out_tables = False
        self._mixed_seconds = 0.0
        self._expired_at = time.monotonic()
        self._orphan_removal = self._expiry.orphan_removal()

    def run(self) -> None:
        """Compact without end.

        Raises SparkEnded, and errors that are no KappaError: then the process must be restarted.
        """
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            begin = time.monotonic()
            try:
                has_more = self._compact()
                wait_seconds = FIRST_WAIT_SECONDS
                pause_seconds = 0.0
                if not has_more:
                    seconds = time.monotonic() - begin
                    pause_seconds = self._settings.spark.interval_seconds - seconds
                self._pause(pause_seconds)
            except SparkEnded:
                raise
            except KappaError as error:
                self._forget_hive()
                self._report(
                    "waiting", f"{error}. {error.hint}" if error.hint else str(error)
                )
                self._pause(wait_seconds, report=False)
                wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)

    def _compact(self) -> bool:
        """Run one round. Returns whether the log has more than one version may have."""
        self._wait_while_held()
        if (republish_request := self._republish_file.current_request()) is not None:
            self._republish(republish_request)
        previous = self._published_version or self._publish(self._versions.newest())
        if self._refused_tables.is_retry_due():
            previous = self._publish(previous)
        if self._compactor_pause.pause_if_requested():
            # A replay has finished its last step, and may have published a version.
            self._forget_hive()
            return True
        self._request_left_out_tables(previous)
        watch, unchecked_tables = self._read_watch()
        self._unlogged_tables = watch.unlogged_tables
        gtids_reached = reached_gtids(previous, self._connector_gtids)
        bases = self._rereads.ready(previous, gtids_reached)
        suspects = self._find_suspects(
            watch, previous, bases, gtids_reached, unchecked_tables
        )
        result = self._compactor.compact(
            previous,
            self._refusals(bases, suspects),
            bases,
            within=watch.gtids if self._knows_left_out_tables else GtidSet(),
            order=statement_order(watch),
            with_connector_gtids=self._rereads.is_waiting_for_cut or bool(suspects.to_wait),
        )
        self._connector_gtids = result.connector_gtids
        refusals = self._note_refused(result.refusals, suspects)
        self._waits = result.waits
        if result.manifest is not None:
            self._publish_result(result, result.manifest)
        if result.reached:
            version = (self._published_version or previous).version
            self._cut_files.write_response(CutResponse(result.reached, version))
        self._read_again(self._published_version or previous, refusals, suspects)
        # Those of this version's refusals among them, which were requested just now.
        self._healing_topics = healing_topics(suspects, self._rereads.waiting_topics())
        self._report("running", self._status())
        self._expire_versions()
        return result.more

    def _request_left_out_tables(self, manifest: Manifest) -> None:
        """Request the tables whose rows Debezium's snapshot left out, unless they were read.

        The first version has no changes before they are known: the log alone has not all rows.
        """
        if self._knows_left_out_tables:
            return
        try:
            config = self._connect.config(self._settings.connect.connector)
        except KappaError:
            config = None
        if config is None:
            self._knows_left_out_tables = manifest.version >= 0
            return
        database = self._settings.mysql.database
        tables = left_out_tables(config, database)
        self._rereads.request_left_out(
            manifest, [change_topic(database, table) for table in tables]
        )
        self._knows_left_out_tables = True

    def _read_watch(self) -> tuple[WatchState, frozenset[str]]:
        """Return what the watch has read up to the first statement after which columns are to be
        compared, and the tables that are not waited for any longer.
        """
        watch = self._watch.read()
        rules = self._settings.mysql.capture_rules
        wait = self._column_checks.wait(watch.statements, rules.captures)
        if wait.within is not None:
            watch = watch.up_to(gtid_set(wait.within))
        return watch, wait.tables

    def _find_suspects(
        self,
        watch: WatchState,
        manifest: Manifest,
        bases: dict[str, TableBase],
        gtids_reached: GtidSet,
        unchecked_tables: Collection[str],
    ) -> Suspects:
        """Return what the watch makes doubtful; take back `bases` that are older than that."""
        by_topic = {base.topic: name for name, base in bases.items()}
        last_bases = self._rereads.last_bases(manifest)
        last_bases |= {topic: bases[name] for topic, name in by_topic.items()}
        database = self._settings.mysql.database
        suspects = find_suspects(
            watch,
            manifest,
            last_bases,
            self._compactor.recorded_statements(),
            gtids_reached,
            database,
            {name: one.reason for name, one in self._exclusions.read().items()},
            unchecked_tables,
            now=time.time(),
        )
        suspects = captured_suspects(
            suspects,
            manifest,
            last_bases,
            self._settings.mysql.capture_rules,
            self._rules_file.refused(),
            watch.unlogged_tables,
            database,
        )
        for topic, reason in suspects.to_read.items():
            if topic in by_topic:
                del bases[by_topic[topic]]
                self._rereads.reject(topic, reason)
        return suspects

    def _refusals(
        self, bases: Mapping[str, TableBase], suspects: Suspects
    ) -> dict[str, str]:
        """Return the topics to leave alone: refused lately, doubtful, or read again."""
        refusals = {**self._refused_topics.recent(), **self._rereads.waiting_topics()}
        for base in bases.values():
            refusals.pop(base.topic, None)
        return {**refusals, **suspects.to_wait, **suspects.to_read}

    def _read_again(
        self, manifest: Manifest, refusals: Mapping[str, str], suspects: Suspects
    ) -> None:
        """Have the tables read again that are no longer replicated."""
        self._rereads.finish(manifest)
        self._rereads.request({**refusals, **suspects.to_read})
        self._rereads.read_next(manifest)

    def _republish(self, request: RepublishRequest) -> None:
        """Make Hive and its folders what the newest version says, after any change to them."""
        self._log.warning("publishing again: %s", request.reason)
        self._last_republish_id = request.id
        self._forget_hive()
        manifests = [self._publish(self._versions.newest())]
        if not manifests[0].whole:
            # Of the newest version Hive does not show MySQL's tables.
            manifests += self._publish_mysql_tables()
        for manifest in manifests:
            self._set_foreign_files_aside(manifest, request.folders)
        self._republish_file.remove_request(request)

    def _publish_mysql_tables(self) -> list[Manifest]:
        """Publish MySQL's tables of the newest version that has no part of a snapshot, if any."""
        for number in reversed(self._versions.numbers()):
            manifest = self._versions.read(number)
            if manifest.whole:
                mysql_tables = {
                    name: table
                    for name, table in manifest.tables.items()
                    if table.kind == Kind.CHANGES.value
                }
                mysql_part = replace(manifest, tables=mysql_tables, archives={})
                self._publisher.publish(mysql_part)
                return [mysql_part]
        return []

    def _set_foreign_files_aside(
        self, manifest: Manifest, folders: Sequence[str] | None
    ) -> None:
        try:
            new_paths = self._foreign_files.set_aside(manifest, folders)
        except Refused as error:
            # Versions are built without it, and the next proof asks again.
            self._log.error("files of others cannot be set aside: %s", error)
            return
        for source, target in new_paths.items():
            self._log.warning("set aside, as no version names it: %s -> %s", source, target)

    def _must_republish(self) -> bool:
        """Whether there is a request that was not tried yet."""
        request = self._republish_file.current_request()
        return request is not None and request.id != self._last_republish_id

    def _wait_while_held(self) -> None:
        """Begin no version while another process is about to name the point where it must end."""
        while (
            request := self._cut_files.current_request()
        ) is not None and request.is_hold:
            self._session.check_jvm()
            time.sleep(HOLD_TICK_SECONDS)

    def _publish_result(self, result: CompactionResult, manifest: Manifest) -> None:
        begin = time.monotonic()
        self._publish(manifest)
        publish_seconds = round(time.monotonic() - begin, 3)
        self._last_seconds = {
            **result.seconds,
            "publish": publish_seconds,
            "mixed": self._mixed_seconds,
        }
        self._last_result = result
        self._log.info(
            "version %d: %d records, %s",
            manifest.version,
            result.records,
            self._last_seconds,
        )

    def _publish(self, manifest: Manifest) -> Manifest:
        """Finish what a version's commit began: its files in place, and Hive shows it.

        Returns the version that Hive shows now.
        """
        if self._published_version is None:
            hive_metastore.prepare(self._settings)
        self._published_version = None
        move_arrivals(self._hdfs, manifest)
        self._mixed_seconds = round(self._publisher.publish(manifest), 4)
        numbers = self._versions.numbers()
        if numbers and numbers[-1] > manifest.version:
            # Another compactor was faster, and Hive may now show our older version.
            self._publisher.forget()
            return self._publish(self._versions.newest())
        self._published_version = manifest
        if manifest.whole:
            self._visible = manifest
        return manifest

    def _forget_hive(self) -> None:
        """Publish again in the next round, since Hive may have changed."""
        self._published_version = None
        self._publisher.forget()

    def _expire_versions(self) -> None:
        if is_replay_running(self._settings.home):
            return  # a replay reads what would be removed
        self._remove_orphans()
        if time.monotonic() - self._expired_at > EXPIRE_EVERY_SECONDS:
            self._expired_at = time.monotonic()
            try:
                self._expiry.expire_versions()
            except Refused as error:
                # Versions stay for longer. That is no reason not to publish further ones.
                self._log.error("old versions stay: %s", error)

    def _remove_orphans(self) -> None:
        """Go on with the removal of what killed runs have left, for a part of a round."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        for removed in self._orphan_removal:
            if removed:
                self._log.info("removed %d folders of killed runs", removed)
            if time.monotonic() > deadline:
                return

    def _pause(self, seconds: float, report: bool = True) -> None:
        """Wait until the next round is due, or requested."""
        request = self._settings.home / "run" / REQUEST
        deadline = time.monotonic() + seconds
        while not request.exists() and time.monotonic() < deadline:
            if self._must_republish():
                return
            self._session.check_jvm()
            if report:
                self._report("running", self._status())
            time.sleep(TICK_SECONDS)
        if request.exists():
            request.unlink(missing_ok=True)
            self._refused_topics.retry_all()

    def _note_refused(
        self, refusals: Mapping[str, str], suspects: Suspects
    ) -> dict[str, str]:
        """Remember the topics that are not replicated. Return those that do not only wait."""
        waiting_topics = {**suspects.to_wait, **self._rereads.waiting_topics()}
        new_refusals = {
            topic: reason
            for topic, reason in refusals.items()
            if topic not in waiting_topics
        }
        for topic in self._refused_topics.note_refused(new_refusals):
            self._log.warning("%s is not replicated: %s", topic, refusals[topic])
        self._refusals_shown = dict(refusals)
        return new_refusals

    def _status(self) -> str:
        return describe_status(
            self._published_version,
            self._visible,
            self._refusals_shown,
            self._waits,
            self._refused_tables.reasons(),
            self._unlogged_tables,
        )

    def _report(self, state: str, detail: str) -> None:
        visible = self._visible
        figures: dict[str, Any] = {}
        if visible is not None and visible.version >= 0:
            figures["version"] = visible.version
            figures["gtid"] = visible.gtid
            figures["created_at"] = visible.created_at
        self._state.report(
            "running" if state == "running" else "waiting",
            detail,
            **figures,
            records=self._last_result.records,
            seconds=self._last_seconds,
            unreadable=dict(visible.unreadable_records) if visible else {},
            waits=self._waits,
            refused=self._refusals_shown,
            healing=sorted(self._healing_topics),
            refused_by_hive=self._refused_tables.reasons(),
            names_in_hive=names_in_hive(visible) if visible else {},
        )


def main() -> None:
    """Start Spark, and compact without end."""
    settings = settings_module.load(os.environ)
    log = start_logging(PROCESS)
    signal.signal(signal.SIGTERM, _exit)
    try:
        CompactorProcess(settings, Session(settings)).run()
    except SparkEnded as error:
        log.error("%s", error)
        raise SystemExit(1) from error


def _exit(number: int, frame: FrameType | None) -> None:
    """End immediately: only a manifest commits. Spark's JVM ends with its parent."""
    os._exit(0)


if __name__ == "__main__":
    main()
