"""A past state of the warehouse, built from the archive into its own Hive database.

The live tables stay as they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.hive_metastore import Metastore
from connectors.hadoop.manifest_store import ManifestReader, ManifestStore
from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.runtime.settings import Settings
from schemas import topics
from schemas.errors import KappaError, Refused
from schemas.gtid import GtidSet, gtid_set
from schemas.hive.properties import gtid_property
from schemas.manifest import DebeziumSnapshot, Manifest, PublishedTable
from schemas.warehouse_layout import (
    Kind,
    Source,
    TableNames,
    past_database,
    past_folder,
    sources_among,
)
from spark.archive.files import TASK_BYTES, archive_files, batch_files
from spark.log.consistent_cut import AllowedTransactions
from spark.publish.hive_tables import warehouse_table
from spark.replayer.completeness import check_archive, end_records_of
from spark.replayer.rebuild import Progress, TableBuilder
from spark.replayer.rebuilt_tables import RebuiltTables, transactions_of
from spark.replayer.recovery_target import (
    HistoryRange,
    RecoveryPoint,
    RecoveryTarget,
    iso,
    point_at_gtid,
    point_at_time,
)
from spark.replayer.target_search import (
    SnapshotSpans,
    SurveyResult,
    SurveyTask,
    merge_spans,
    survey,
)
from spark.session import TaskRunner

LONG_AGO = datetime.min.replace(tzinfo=UTC)
TopicPartition = tuple[str, int]


@dataclass(frozen=True)
class PastCut:
    """A past point as a cut of the archive.

    `manifest` says what was read by then, `allowed` which DDL statements came by then. `name`
    becomes a part of the Hive database's name.
    """

    manifest: Manifest
    allowed: AllowedTransactions
    name: str


@dataclass(frozen=True)
class PastTables:
    """The tables of a past state, their cut, and the name of their Hive database."""

    tables: RebuiltTables
    cut: Manifest
    database: str


class PastState:
    """Builds past states. `live` is the version from whose archive they are built."""

    def __init__(
        self,
        settings: Settings,
        session: TaskRunner,
        versions: ManifestStore,
        live: Manifest,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._session = session
        self._versions = versions
        self._live = live
        self._progress = progress
        self._hdfs = Hdfs(settings.hdfs)

    def build(self, target: RecoveryTarget, table: str | None, token: str) -> PastTables:
        """Build the tables of a target, or just one of them.

        Raises Refused for a point that cannot be built, saying which can, WarehouseError if the
        archive is not complete, Unavailable.
        """
        sources = sources_in_archive(self._live, self._settings.mysql.database, table)
        if target.version is not None:
            cut = retained_cut(self._versions, target.version)
        else:
            cut = self._past_cut(target, sources)
        database = past_database(self._settings.hive.warehouse_database, cut.name)
        root = f"{past_folder(self._settings.hdfs.root, database)}/{token}"
        cut_sources = [source for source in sources if source.topic in cut.manifest.offsets]
        builder = TableBuilder(
            self._settings, self._session, self._versions, token, root, self._progress
        )
        try:
            rebuilt_tables = builder.rebuild(cut.manifest, cut_sources, cut.allowed)
            check_archive(
                self._settings,
                self._session,
                self._hdfs,
                cut.manifest,
                rebuilt_tables.extracts,
            )
        except KappaError:
            self._hdfs.delete(root)
            raise
        finally:
            builder.clear()
        return PastTables(rebuilt_tables, cut.manifest, database)

    def publish(self, past: PastTables, token: str) -> None:
        """Create the database in place of an earlier one with that name. Raises Unavailable."""
        database = past.database
        folder = past_folder(self._settings.hdfs.root, database)
        with Metastore(self._settings.hive.metastore_uris) as metastore:
            metastore.drop_database(database)
            metastore.ensure_database(database, self._hdfs.uri(f"{folder}/_hive"))
            for name, table in past.tables.manifest.tables.items():
                self._create_table(metastore, database, name, table, f"{folder}/{token}")
            gtids = gtid_property(past.tables.manifest.gtid)
            metastore.describe_database(database, {"kappa.gtid": gtids})
        for entry in self._hdfs.list(folder):
            if entry.name not in (token, "_hive"):
                self._hdfs.delete(f"{folder}/{entry.name}")

    def _create_table(
        self,
        metastore: Metastore,
        database: str,
        name: str,
        table: PublishedTable,
        root: str,
    ) -> None:
        state = warehouse_table(self._hdfs, root, database, name, table)
        # The version in which a table of the past changed last is unknown.
        hive_table = replace(
            state.table, properties={"kappa.gtid": gtid_property(table.gtid)}
        )
        metastore.ensure_table(hive_table)
        metastore.add_partitions(hive_table, state.locations)

    def _past_cut(self, target: RecoveryTarget, sources: Sequence[Source]) -> PastCut:
        """Find a point that only the archive knows."""
        ends = end_records_of(self._session, self._hdfs, self._live, self._settings)
        archive_end = self._archive_end(ends)

        def resolve(history_begin: datetime) -> RecoveryPoint:
            base = gtid_set(self._live.snapshot_transactions)
            history = HistoryRange(history_begin, base, archive_end)
            if target.gtid:
                return point_at_gtid(target.gtid, ends, history)
            return point_at_time(target.at or LONG_AGO, ends, history)

        try:
            point: RecoveryPoint | None = resolve(LONG_AGO)
        except Refused:
            point = None  # refused below, with the beginning of the history
        surveys = self._survey(sources, point)
        spans = merge_spans(result.snapshot_spans for result in surveys)
        snapshot_ends = (last for _, last in spans.values())
        resolved_point = resolve(min(snapshot_ends, default=LONG_AGO))
        refuse_points_in_snapshots(resolved_point, spans, ends)
        return past_cut(self._live, resolved_point, spans, surveys)

    def _survey(
        self, sources: Sequence[Source], point: RecoveryPoint | None
    ) -> list[SurveyResult]:
        tasks = []
        for source in sources:
            files = archive_files(self._hdfs, self._live.archive(source.topic))
            for batch in batch_files(files, TASK_BYTES):
                tasks.append(SurveyTask(source, batch, point, self._settings.hdfs))
        self._progress("looking for the point", 0, len(tasks), 0)
        return self._session.run(survey, tasks)

    def _archive_end(self, ends: pa.Table) -> datetime:
        now = datetime.now(UTC)
        log = kafka.offsets(self._settings.kafka, self._live.offsets)
        if is_archived(log, self._live.offsets):
            return now
        last_end = LONG_AGO
        if ends.num_rows:
            last_end = pc.max(ends.column("ended_at")).as_py()
        # Building the live version began after the version before was committed.
        previous = self._live.previous
        if previous is None or previous not in self._versions.numbers():
            return last_end
        previous_created_at = self._versions.read(previous).created_at
        return max(last_end, datetime.fromisoformat(previous_created_at))


def sources_in_archive(live: Manifest, database: str, table: str | None) -> list[Source]:
    """Return the sources of all tables in the archive, also of dropped ones, or of one table.

    Raises Refused for a table that the archive does not have.
    """
    names = TableNames(live.archive_names())
    sources = [
        source
        for source in sources_among(live.offsets, database, names)
        if source.kind is not Kind.TRANSACTIONS
    ]
    selected_sources = [source for source in sources if table in (None, source.table)]
    if not selected_sources:
        tables = ", ".join(sorted(source.table for source in sources))
        raise Refused(f"there is no table {table} in the archive", f"there are {tables}")
    return selected_sources


def retained_cut(versions: ManifestReader, number: int) -> PastCut:
    """Return the cut of a version that is retained.

    Raises Refused for a version that is not, or that has a part of a snapshot.
    """
    numbers = versions.numbers()
    if number not in numbers:
        raise Refused(
            f"version {number} is not kept: versions {numbers[0]} to {numbers[-1]} are",
            "ask for its time or its GTID, which the archive knows for ever",
        )
    manifest = versions.read(number)
    if not manifest.whole:
        raise Refused(
            f"version {number} has a part of a snapshot and equals no point of MySQL's history",
            "ask for a later one",
        )
    return PastCut(manifest, transactions_of(manifest), f"v{number}")


def is_archived(
    log: Mapping[TopicPartition, Watermarks], offsets: Mapping[str, Mapping[int, int]]
) -> bool:
    """Return whether a version has everything in the log. `offsets` are its next ones to read."""
    return all(
        watermarks.stable <= offsets[topic].get(partition, 0)
        for (topic, partition), watermarks in log.items()
    )


def refuse_points_in_snapshots(
    point: RecoveryPoint, spans: SnapshotSpans, ends: pa.Table
) -> None:
    """Raises Refused for a point between the last transaction before a snapshot and its end.

    The changes of that time are in no log.
    """
    end_times = ends.column("ended_at").to_pylist()
    for first, last in spans.values():
        earlier_times = [time for time in end_times if time < first]
        if not max(earlier_times, default=LONG_AGO) < point.at < last:
            continue
        hint = f"ask for a time from {iso(last)} on"
        if earlier_times:
            hint = f"ask for a time before {iso(max(earlier_times))} or from {iso(last)} on"
        raise Refused(
            f"{iso(point.at)} lies in a snapshot of Debezium, or in the gap of the log before it, "
            f"which ends at {iso(last)}",
            hint,
        )


def past_cut(
    live: Manifest,
    point: RecoveryPoint,
    spans: SnapshotSpans,
    surveys: Iterable[SurveyResult],
) -> PastCut:
    """Return the cut of a past point: the live version's, with offsets that end at the point.

    `spans` are the full snapshots in the order of the binlog.
    """
    first_offsets: dict[TopicPartition, int] = {}
    for result in surveys:
        for partition, offset in result.first_offsets.items():
            place = (result.topic, partition)
            first_offsets[place] = min(offset, first_offsets.get(place, offset))
    offsets: dict[str, dict[int, int]] = {}
    for topic, topic_ends in live.offsets.items():
        if topic == topics.TRANSACTIONS or reaches(live, topic, point):
            offsets[topic] = {
                partition: min(end, first_offsets.get((topic, partition), end))
                for partition, end in topic_ends.items()
            }
    snapshot = None
    snapshot_ids = [name for name, (_, last) in spans.items() if last <= point.at]
    if snapshot_ids:
        snapshot = DebeziumSnapshot(
            id=snapshot_ids[-1],
            version=0,
            transactions_end=0,
            tables=(),
            has_ended=True,
            is_superseded=True,
            whole=True,
        )
    base = gtid_set(live.snapshot_transactions) if len(spans) == 1 else GtidSet()
    point_gtids = {origin: ((1, number),) for origin, number in point.last_numbers.items()}
    manifest = replace(
        live,
        offsets=offsets,
        transactions=str(point.transactions),
        gtid=str(GtidSet(point_gtids).union(base)),
        snapshot=snapshot,
        tables={},
        ddl_positions={},
        lagging_topics={},
    )
    # StatementLog takes the statements up to one number after the last: so take the number before.
    last_numbers = {origin: number - 1 for origin, number in point.last_numbers.items()}
    allowed = AllowedTransactions(point.transactions, frozenset(), last_numbers)
    return PastCut(manifest, allowed, point.name)


def reaches(live: Manifest, topic: str, point: RecoveryPoint) -> bool:
    """Return whether a topic is archived up to a point. One that was left behind may not be."""
    left_behind = live.lagging_topics.get(topic)
    if left_behind is None:
        return True
    transactions = gtid_set(left_behind.transactions)
    return all(
        transactions.last_number(origin) >= point.transactions.last_number(origin)
        for origin in point.transactions.intervals
    )
