"""A past state of the warehouse, built from the archive into a Hive database of its own. The live tables are not touched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from connectors import kafka
from connectors.hdfs import Hdfs
from connectors.hive import HiveTable, Metastore
from infra.errors import ContractError, KappaError, Refused
from infra.settings import Settings
from schemas import topics
from schemas.gtid import GtidSet, gtid_set
from schemas.warehouse import WHOLE, Kind, Source, past_database, past_folder, source_of, table_folder
from spark.archive_check import check, ends_of
from spark.archive_files import TASK_BYTES, archive_files, hands
from spark.cut import Allowed
from spark.manifest import Manifest, Snapshot, Table, Versions
from spark.past_points import Asked, Point, Reach, iso, point_at, point_of
from spark.past_survey import Found, SurveyTask, spans_together, survey
from spark.rebuild import Builder, Progress, Rebuilt, held_by
from spark.session import Session

LONG_AGO = datetime.min.replace(tzinfo=UTC)
Spans = dict[str, tuple[datetime, datetime]]


@dataclass(frozen=True)
class PastCut:
    """A past point as a cut of the archive: what was read until then, and which statements came until then."""

    manifest: Manifest
    held: Allowed
    name: str


class Past:
    """One past state. `live` is the version whose archive it is built from."""

    def __init__(self, settings: Settings, session: Session, versions: Versions, live: Manifest, progress: Progress) -> None:
        self._settings, self._session, self._versions, self._live, self._progress = settings, session, versions, live, progress
        self._hdfs = Hdfs(settings.hdfs)

    def build(self, asked: Asked, table: str | None, token: str) -> tuple[Rebuilt, Manifest, str]:
        """The state that was asked for: its tables, its cut and the name of its Hive database.

        Raises Refused for a point that cannot be built, saying which can; WarehouseError if the archive is not whole.
        """
        sources = self._sources(table)
        cut = self._kept(asked.version) if asked.version is not None else self._past(asked, sources)
        name = past_database(self._settings.hive.warehouse_database, cut.name)
        root = f"{past_folder(self._settings.hdfs.root, name)}/{token}"
        builder = Builder(self._settings, self._session, self._versions, token, root, self._progress)
        try:
            done = builder.rebuild(cut.manifest, [source for source in sources if source.topic in cut.manifest.offsets], cut.held)
            check(self._settings, self._session, self._hdfs, cut.manifest, done.taken)
        except KappaError:
            self._hdfs.delete(root)
            raise
        finally:
            builder.clear()
        return done, cut.manifest, name

    def show(self, done: Rebuilt, name: str, token: str) -> None:
        """Make the database, in the place of an earlier one of that name."""
        root = past_folder(self._settings.hdfs.root, name)
        with Metastore(self._settings.hive.metastore_uris) as metastore:
            metastore.drop_database(name)
            metastore.ensure_database(name, self._hdfs.uri(f"{root}/_hive"))
            for table, found in done.manifest.tables.items():
                self._make(metastore, name, table, found, f"{root}/{token}")
            metastore.describe_database(name, {"kappa.gtid": done.manifest.gtid})
        for entry in self._hdfs.list(root):
            if entry.name not in (token, "_hive"):
                self._hdfs.delete(f"{root}/{entry.name}")

    def _make(self, metastore: Metastore, database: str, name: str, table: Table, root: str) -> None:
        columns = tuple((column.lower(), kind) for column, kind in table.columns)
        locations = {value: self._hdfs.uri(part.location) for value, part in table.partitions.items()}
        folder = locations[WHOLE] if table.partition_column is None else self._hdfs.uri(table_folder(root, name))
        made = HiveTable(database, name, columns, table.partition_column, folder, {"kappa.gtid": table.gtid})
        metastore.ensure_table(made)
        if table.partition_column is not None:
            metastore.add_partitions(made, locations)

    def _sources(self, table: str | None) -> list[Source]:
        """Every topic that feeds a table, also of tables that are gone since. Raises Refused for a table that never was."""
        found = []
        for topic in self._live.offsets:
            try:
                source = source_of(topic, self._settings.mysql.database)
            except ContractError:
                continue
            if source is not None and source.kind is not Kind.TRANSACTIONS:
                found.append(source)
        wanted = [source for source in found if table in (None, source.table)]
        if not wanted:
            raise Refused(f"there is no table {table} in the archive", f"there are {', '.join(sorted(source.table for source in found))}")
        return wanted

    def _kept(self, number: int) -> PastCut:
        """A version that is kept: its manifest says where it ends."""
        numbers = self._versions.numbers()
        if number not in numbers:
            raise Refused(
                f"version {number} is not kept: versions {numbers[0]} to {numbers[-1]} are",
                "ask for its time or its GTID, which the archive knows for ever",
            )
        manifest = self._versions.read(number)
        if not manifest.whole:
            raise Refused(f"version {number} holds a part of a snapshot and stands for no point of MySQL's history", "ask for a later one")
        return PastCut(manifest, held_by(manifest), f"v{number}")

    def _past(self, asked: Asked, sources: Sequence[Source]) -> PastCut:
        """A point that only the archive knows."""
        ends = ends_of(self._session, self._hdfs, self._live, self._settings)
        until = self._until(ends)

        def resolve(begin: datetime) -> Point:
            reach = Reach(begin, gtid_set(self._live.base), until)
            return point_of(asked.gtid, ends, reach) if asked.gtid else point_at(asked.at or LONG_AGO, ends, reach)

        try:
            point: Point | None = resolve(LONG_AGO)
        except Refused:
            point = None  # the reason wants the horizon
        found = self._survey(sources, point)
        spans = spans_together([one.snapshots for one in found])
        point = resolve(min((last for _, last in spans.values()), default=LONG_AGO))
        self._refuse_holes(point, spans, ends)
        return self._cut(point, spans, found)

    def _survey(self, sources: Sequence[Source], point: Point | None) -> list[Found]:
        tasks = [
            SurveyTask(source, hand, point, self._settings.hdfs)
            for source in sources
            for hand in hands(archive_files(self._hdfs, self._live.archives.get(source.table)), TASK_BYTES)
        ]
        self._progress("looking for the point", 0, len(tasks), 0)
        return self._session.run(survey, tasks)

    def _until(self, ends: pa.Table) -> datetime:
        """Until when all that was logged is in the live version: its making began after the version before, and maybe nothing came since."""
        asked_at = datetime.now(UTC)
        log = kafka.offsets(self._settings.kafka, self._live.offsets)
        if all(held.stable <= self._live.offsets[topic].get(partition, 0) for (topic, partition), held in log.items()):
            return asked_at
        last = pc.max(ends.column("ended_at")).as_py() if ends.num_rows else LONG_AGO
        before = self._live.previous
        if before not in self._versions.numbers():
            return last
        return max(last, datetime.fromisoformat(self._versions.read(before).created_at))

    def _refuse_holes(self, point: Point, spans: Spans, ends: pa.Table) -> None:
        """Between the last transaction before a snapshot and the snapshot's end, nobody wrote down what happened."""
        for first, last in spans.values():
            earlier = [at for at in ends.column("ended_at").to_pylist() if at < first]
            if max(earlier, default=LONG_AGO) < point.at < last:
                raise Refused(
                    f"{iso(point.at)} lies in a snapshot of Debezium, or in the hole of the log before it, which ends at {iso(last)}",
                    f"ask for a time before {iso(max(earlier))} or from {iso(last)} on" if earlier else f"ask for a time from {iso(last)} on",
                )

    def _cut(self, point: Point, spans: Spans, found: Sequence[Found]) -> PastCut:
        beyond: dict[tuple[str, int], int] = {}
        for one in found:
            for partition, offset in one.beyond.items():
                beyond[one.topic, partition] = min(offset, beyond.get((one.topic, partition), offset))
        offsets = {
            topic: {partition: min(end, beyond.get((topic, partition), end)) for partition, end in ends.items()}
            for topic, ends in self._live.offsets.items()
            if topic == topics.TRANSACTIONS or self._reaches(topic, point)
        }
        begun = [name for name, (_, last) in spans.items() if last <= point.at]
        snapshot = Snapshot(begun[-1], 0, 0, (), ended=True, followed=True, whole=True) if begun else None
        base = gtid_set(self._live.base) if len(spans) == 1 else GtidSet()
        gtid = GtidSet({origin: ((1, number),) for origin, number in point.last.items()}).joined(base)
        cut = replace(self._live, offsets=offsets, transactions=str(point.held), gtid=str(gtid), snapshot=snapshot, tables={}, statements={}, left={})
        return PastCut(cut, Allowed(point.held, frozenset(), {origin: number - 1 for origin, number in point.last.items()}), point.name)

    def _reaches(self, topic: str, point: Point) -> bool:
        """A table that could not be carried was left at an earlier point: it may not reach this one."""
        left = self._live.left.get(topic)
        return left is None or all(gtid_set(left.transactions).last(origin) >= point.held.last(origin) for origin in point.held.intervals)
