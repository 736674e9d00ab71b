"""The second value of a compaction: the log up to the cut, in files of the archive."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas import topics
from schemas.ddl.statements import Position
from schemas.errors import Unavailable
from schemas.manifest import DdlPosition, Manifest
from spark.archive.archive_task import ArchiveTask, Connections, archive_ranges
from spark.archive.archived_ranges import ArchivedRanges
from spark.compactor import plan
from spark.compactor.cut_builder import SHARED, CutBuilder, changes_by_topic
from spark.compactor.log_scan import LogScan
from spark.log.consistent_cut import Gap
from spark.log.range_reader import OffsetRange
from spark.merge.table_change import TableChange
from spark.merge.version_builder import VersionBuilder
from spark.session import TaskRunner, run_tasks

MOST_ATTEMPTS = 4


class History(Protocol):
    """The statements about the tables between a version and a cut (see TableHistory)."""

    def obsolete_positions(self) -> dict[str, Position]:
        """Return up to which position each topic holds records of dropped tables only."""

    def changes(
        self, archived: Sequence[ArchivedRanges], refused: dict[str, str]
    ) -> list[TableChange]:
        """Return the changed tables. Tables that cannot be replicated are added to `refused`."""

    def removed_tables(self, changes: Iterable[TableChange]) -> set[str]:
        """Return the published tables that the next version does not have under their name."""

    def starts(self, changes: Iterable[TableChange]) -> dict[str, DdlPosition]:
        """Return from where on statements about each table wait, in the next version."""


@dataclass(frozen=True)
class ArchivedChanges:
    """The archived ranges, which end at the cut, and the statements about the tables up to it.

    `refusals` say by topic why it cannot be replicated; `ranges` are without those topics.
    `waiting_reasons` say what partitions wait for, `gap` which changes are missing in the log, and
    `has_more` whether the log has more than one version may have.
    """

    scan: LogScan
    version: VersionBuilder
    ranges: list[ArchivedRanges]
    history: History
    refusals: dict[str, str]
    waiting_reasons: list[str]
    gap: Gap | None
    has_more: bool

    @property
    def previous(self) -> Manifest:
        """The version before."""
        return self.scan.previous

    @property
    def cut(self) -> CutBuilder:
        """The cut. Its transactions are complete in the archive."""
        return self.scan.cut

    @property
    def reaches_ceiling(self) -> bool:
        """Whether the version has all of the set at which it was asked to end."""
        return self.cut.shared_scope.reaches_ceiling and not any(map(is_full, self.ranges))


class Archiver(Protocol):
    """Archives ranges of the log."""

    def archive(
        self,
        scan: LogScan,
        version: VersionBuilder,
        ranges: Sequence[OffsetRange],
        obsolete_positions: Mapping[str, Position],
    ) -> list[ArchivedRanges]:
        """Return what was archived of some ranges, up to the scan's cut."""


class Histories(Protocol):
    """Gives the statements about the tables between a version and a cut."""

    def history(self, scan: LogScan) -> History:
        """Return the statements up to the scan's cut."""


@dataclass(frozen=True)
class TaskArchiver:
    """Archives ranges by tasks: by threads of this process, or on Spark if they are long."""

    session: TaskRunner
    connections: Connections

    def archive(
        self,
        scan: LogScan,
        version: VersionBuilder,
        ranges: Sequence[OffsetRange],
        obsolete_positions: Mapping[str, Position],
    ) -> list[ArchivedRanges]:
        """Return what was archived of some ranges, up to the scan's cut.

        Raises WarehouseError, Unavailable.
        """
        tasks = []
        for share in plan.distribute_ranges(ranges, self.session.parallelism):
            task = ArchiveTask(
                ranges=share,
                allowed=scan.allowed(share),
                version=version.version,
                staging=version.staging,
                connections=self.connections,
                obsolete_positions=dict(obsolete_positions),
            )
            tasks.append(task)
        in_threads = plan.is_small_log_range(ranges)
        results = run_tasks(self.session, archive_ranges, tasks, in_threads=in_threads)
        archived_ranges: list[ArchivedRanges] = []
        for result in results:
            archived_ranges += result
        return archived_ranges


def archive_changes(
    scan: LogScan, version: VersionBuilder, archiver: Archiver, histories: Histories
) -> ArchivedChanges:
    """Archive the log up to the scan's cut.

    Transactions that turn out to be incomplete leave the cut, and the topics of which too much was
    archived are archived again. Raises Unavailable if the log changes faster than that, and what
    the archiver raises.
    """
    refusals = dict(scan.refusals)
    cut = scan.cut
    allowed = cut.shared_scope.allowed()
    history = histories.history(scan)
    obsolete_positions = history.obsolete_positions()
    ranges = scan.ranges_in_cut()
    archived_ranges: list[ArchivedRanges] = []
    for _ in range(MOST_ATTEMPTS):
        archived_ranges += archiver.archive(scan, version, ranges, obsolete_positions)
        for topic_ranges in archived_ranges:
            if topic_ranges.refusal:
                refusals[topic_ranges.source.topic] = topic_ranges.refusal
        partitions = changes_by_topic(archived_ranges, scan.partition_counts)
        dropped_gtids = cut.drop_incomplete(partitions, refusals)
        repeated_topics = topics_to_repeat(archived_ranges, dropped_gtids)
        if not repeated_topics:
            break
        archived_ranges = [
            change
            for change in archived_ranges
            if change.source.topic not in repeated_topics
        ]
        ranges = scan.ranges_in_cut(only=repeated_topics)
    else:
        raise Unavailable(
            "the log changes while it is read", "see ./kappa status and ./kappa logs kafka"
        )
    if cut.shared_scope.allowed() != allowed:
        history = histories.history(scan)  # the cut has become smaller
    has_full_partition = any(map(is_full, archived_ranges))
    has_ended_snapshot = any(ranges.snapshot.has_ended for ranges in archived_ranges)
    has_more = scan.is_limited or has_full_partition or cut.has_more or has_ended_snapshot
    return ArchivedChanges(
        scan=scan,
        version=version,
        ranges=[
            topic_ranges
            for topic_ranges in archived_ranges
            if topic_ranges.source.topic not in refusals
        ],
        history=history,
        refusals=refusals,
        waiting_reasons=_waiting_reasons(archived_ranges),
        # Behind the remaining rows of a snapshot there may be the missing changes.
        gap=None if has_full_partition else cut.shared_scope.gap,
        has_more=has_more,
    )


def topics_to_repeat(
    archived_ranges: Iterable[ArchivedRanges], dropped_gtids: Mapping[str, set[str]]
) -> set[str]:
    """Return the topics whose archived ranges have changes of transactions dropped from the cut.

    `dropped` are GTIDs by topic (SHARED for the shared cut).
    """
    repeated_topics = set()
    for topic_ranges in archived_ranges:
        topic = topic_ranges.source.topic
        gtids = dropped_gtids.get(SHARED, set()) | dropped_gtids.get(topic, set())
        if not gtids:
            continue
        archived_gtids: set[str] = set()
        for partition in topic_ranges.partition_changes:
            archived_gtids |= partition.changes.keys()
        has_dropped_changes = bool(gtids & archived_gtids)
        if (
            topic == topics.TRANSACTIONS
            or has_dropped_changes
            or topic_ranges.truncate_gtids
        ):
            repeated_topics.add(topic)
    return repeated_topics


def is_full(topic_ranges: ArchivedRanges) -> bool:
    """Return whether a partition has more rows of a snapshot than one version may have."""
    return any(partition.is_full for partition in topic_ranges.partition_changes)


def _waiting_reasons(archived_ranges: Iterable[ArchivedRanges]) -> list[str]:
    reasons = []
    for topic_ranges in archived_ranges:
        for partition in topic_ranges.partition_changes:
            if partition.waiting_reason:
                reasons.append(f"{topic_ranges.source.topic}: {partition.waiting_reason}")
    return reasons
