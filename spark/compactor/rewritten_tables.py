"""The third value of a compaction: the tables that the archived changes touch, rewritten."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.runtime.settings import Settings
from schemas.gtid import GtidSet
from schemas.manifest import DebeziumSnapshot, Manifest, PublishedTable
from schemas.topics import change_topic
from spark.archive.small_files import RollUpResult, RollUpTask, roll_up
from spark.compactor import plan
from spark.compactor.archived_changes import ArchivedChanges
from spark.compactor.initial_snapshot import NO_SNAPSHOT_ROWS, next_snapshot, unread_topics
from spark.merge.rewrite import rewrite
from spark.merge.rewrite_task import RewriteResult, RewriteTask
from spark.merge.table_change import TableChange
from spark.session import TaskRunner, run_tasks


@dataclass(frozen=True)
class RewrittenTables:
    """The new files of the changed tables, and the days of the archive that were rolled up.

    `refusals` say by topic why it cannot be replicated; `changes` are without those topics.
    `snapshot` is the state of the newest full snapshot.
    """

    archived_changes: ArchivedChanges
    snapshot: DebeziumSnapshot | None
    changes: list[TableChange]
    results: list[RewriteResult]
    roll_ups: list[RollUpResult]
    refusals: dict[str, str]

    @property
    def previous(self) -> Manifest:
        """The version before."""
        return self.archived_changes.previous

    @property
    def removed_tables(self) -> set[str]:
        """The published tables that the next version does not have under their name."""
        return self.archived_changes.history.removed_tables(self.changes)


def rewrite_tables(
    archived_changes: ArchivedChanges, settings: Settings, session: TaskRunner
) -> RewrittenTables:
    """Rewrite the tables that the archived changes touch, and roll up days of the archive.

    Raises WarehouseError if the tables would become wrong, Unavailable.
    """
    refusals = dict(archived_changes.refusals)
    snapshot = snapshot_after(archived_changes)
    changes = archived_changes.history.changes(archived_changes.ranges, refusals)
    refuse_unread(archived_changes.previous.tables, snapshot, changes, refusals)
    changes = [change for change in changes if change.source.topic not in refusals]
    tasks, in_threads = _plan_tasks(
        archived_changes, changes, settings, session.parallelism
    )
    results = run_tasks(session, _run_task, tasks, in_threads=in_threads)
    rewrite_results = [result for result in results if isinstance(result, RewriteResult)]
    for result in rewrite_results:
        refusals |= refusals_of(result, changes)
    return RewrittenTables(
        archived_changes=archived_changes,
        snapshot=snapshot,
        changes=[change for change in changes if change.source.topic not in refusals],
        results=rewrite_results,
        roll_ups=[result for result in results if isinstance(result, RollUpResult)],
        refusals=refusals,
    )


def snapshot_after(archived_changes: ArchivedChanges) -> DebeziumSnapshot | None:
    """Return the state of the newest full snapshot after some archived changes."""
    cut = archived_changes.cut
    return next_snapshot(
        archived_changes.previous,
        archived_changes.version.version,
        archived_changes.ranges,
        cut.log_range,
        archived_changes.scan.connector_gtids if cut.is_complete else None,
    )


def refuse_unread(
    tables: Mapping[str, PublishedTable],
    snapshot: DebeziumSnapshot | None,
    changes: Iterable[TableChange],
    refusals: dict[str, str],
) -> None:
    """Add the topics of tables without rows in a whole snapshot, also under a new name."""
    unread = unread_topics(tables, snapshot)
    for change in changes:
        if change.base is not None and tables[change.base].topic in unread:
            refusals.setdefault(change.source.topic, NO_SNAPSHOT_ROWS)
    for topic, reason in unread.items():
        refusals.setdefault(topic, reason)


def refusals_of(result: RewriteResult, changes: Sequence[TableChange]) -> dict[str, str]:
    """Return the topics that wait since a table's rewriting was refused, with the reason."""
    if not result.refusal:
        return {}
    change = next(change for change in changes if change.source.table == result.table)
    # Changes of a renamed table wait in its old topic too.
    topics = [change.source.topic, *(ranges.source.topic for ranges in change.archived)]
    return dict.fromkeys(topics, result.refusal)


def _plan_tasks(
    archived_changes: ArchivedChanges,
    changes: Sequence[TableChange],
    settings: Settings,
    parallelism: int,
) -> tuple[list[RewriteTask | RollUpTask], bool]:
    """Return the tasks, and whether threads of this process are faster than a Spark job."""
    version = archived_changes.version
    partitions_by_change = [
        change.touched_partitions(version.base_table(change)) for change in changes
    ]
    records = sum(archived_ranges.records for archived_ranges in archived_changes.ranges)
    in_threads = plan.is_small_rewrite(partitions_by_change, records)
    tasks: list[RewriteTask | RollUpTask] = []
    for change, partitions in zip(changes, partitions_by_change, strict=True):
        tasks += version.rewrite_tasks(
            change,
            partitions,
            _merged_transactions(archived_changes, change, settings.mysql.database),
            settings.hdfs,
            parallelism=parallelism,
            in_threads=in_threads,
        )
    tasks += version.roll_up_tasks(archived_changes.ranges, settings.hdfs)
    return tasks, in_threads


def _merged_transactions(
    archived_changes: ArchivedChanges, change: TableChange, database: str
) -> dict[str, GtidSet]:
    names = {period.name for period in change.periods}
    return {
        name: archived_changes.cut.merged_gtids(change_topic(database, name))
        for name in names
    }


def _run_task(task: RewriteTask | RollUpTask) -> RewriteResult | RollUpResult:
    return rewrite(task) if isinstance(task, RewriteTask) else roll_up(task)
