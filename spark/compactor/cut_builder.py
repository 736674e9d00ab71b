"""The consistent cut of the version that is being built. Pure.

It starts with every transaction that has ended, and drops those whose changes are not complete in
the log.

Topics share one cut. A topic that could not be replicated lags behind: it has its own cut,
which blocks no other topic, until it has caught up with the shared one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import LaggingTopic, Manifest
from schemas.topics import CHANGE_PREFIX
from spark.archive.archived_ranges import ArchivedRanges
from spark.log.consistent_cut import (
    AllowedTransactions,
    Gap,
    PartitionChanges,
    Transaction,
    allow_transactions,
    complete_prefix,
    ended_transactions,
    limit_transactions,
)
from spark.log.statement_order import NO_ORDER, StatementOrder
from spark.log.transactions import TransactionRecords

REBUILD = (
    "changes are missing in the log: restore the topic, or rebuild the warehouse from a "
    "new snapshot"
)
# Key of the shared cut, among those of lagging topics.
SHARED = ""


@dataclass(frozen=True)
class TransactionLogRange:
    """The records of the topic of transactions between two offsets."""

    records: TransactionRecords
    start: int
    end: int


@dataclass
class CutScope:
    """The transactions of some topics: merged ones, candidates that have ended since, and the
    selection of these for this version.

    `end_offset` is the offset in the topic of transactions up to which candidates are known. A
    version must not go beyond `ceiling`, all of which `is_ceiling_logged` if the log has it. The
    log has all of `logged_gtids`. The candidates from `waiting_gtid` on were dropped, if it is not
    empty. `order` has the places of statements among the transactions.
    """

    merged_gtids: GtidSet
    candidates: list[Transaction]
    end_offset: int
    selection: list[Transaction] = field(default_factory=list)
    gap: Gap | None = None
    ceiling: GtidSet | None = None
    is_ceiling_logged: bool = False
    logged_gtids: GtidSet | None = None
    waiting_gtid: str = ""
    order: StatementOrder = NO_ORDER

    @property
    def reaches_ceiling(self) -> bool:
        """Whether the selection has all of the ceiling's transactions."""
        is_waiting = self.is_waiting and self.waiting_gtid in (self.ceiling or ())
        has_all = self.gap is None and self.is_complete and not is_waiting
        return self.is_ceiling_logged and has_all

    @property
    def is_waiting(self) -> bool:
        """Whether transactions were dropped that come later."""
        return bool(self.waiting_gtid)

    @property
    def is_complete(self) -> bool:
        """Whether all candidates are selected."""
        return len(self.selection) == len(self.candidates)

    @property
    def is_limited(self) -> bool:
        """Whether transactions that have ended are no candidates."""
        return self.is_waiting or self.ceiling is not None

    def allowed(self) -> AllowedTransactions:
        """Return the transactions that may be read."""
        has_all = self.is_complete and self.gap is None and not self.is_limited
        return allow_transactions(
            self.merged_gtids,
            self.selection,
            self.ceiling,
            self.reaches_ceiling,
            logged=self.logged_gtids if has_all else None,
            order=self.order,
        )

    def stop_at(self, ceiling: GtidSet, is_logged: bool) -> None:
        """Select nothing beyond a set of transactions.

        `is_logged` says whether the log has all of the set.
        """
        self.ceiling = ceiling
        self.is_ceiling_logged = is_logged
        self.candidates = [end for end in self.candidates if end.gtid in ceiling]
        self.selection = [end for end in self.selection if end.gtid in ceiling]
        if self.gap is not None and self.gap.gtid not in ceiling:
            self.gap = None

    def wait_for(self, gtids: GtidSet) -> None:
        """Drop the transactions from the first on that is not in a set."""
        for number, transaction in enumerate(self.candidates):
            if transaction.gtid not in gtids:
                self.candidates = self.candidates[:number]
                self.selection = self.selection[:number]
                self.waiting_gtid = transaction.gtid
                return

    def keep_complete(
        self, partitions: Mapping[str, list[PartitionChanges]], topics: Collection[str]
    ) -> set[str]:
        """Keep the prefix of transactions whose changes in `topics` were all read.

        Returns the GTIDs of the others.
        """
        selection = self.selection
        self.selection, self.gap = complete_prefix(selection, partitions, topics)
        return {transaction.gtid for transaction in selection[len(self.selection) :]}


class CutBuilder:
    """The cut of each topic in the next version, as far as it is known."""

    def __init__(
        self,
        previous: Manifest,
        log_range: TransactionLogRange,
        lagging_ranges: Mapping[str, TransactionLogRange],
    ) -> None:
        """Select every transaction that has ended, up to the limit of one version.

        `log_range` starts where the shared cut of `previous` ends, `lagging_ranges` start where
        each lagging topic ends that is read again.
        """
        self._previous = previous
        self.log_range = log_range
        self.shared_scope = _scope(gtid_set(previous.transactions), log_range)
        self.shared_scope.selection = limit_transactions(
            self.shared_scope.candidates, self._topics_in_shared_cut(())
        )
        self.lagging_scopes: dict[str, CutScope] = {}
        for topic, lagging_range in lagging_ranges.items():
            self.lagging_scopes[topic] = self._lagging_scope(topic, lagging_range)
        for topic, scope in self.lagging_scopes.items():
            scope.selection = limit_transactions(self._candidates_in_cut(scope), {topic})

    @property
    def end(self) -> int:
        """The offset in the topic of transactions where the version ends.

        It is the end of the log range, unless a transaction has begun and not ended.
        """
        end = self.log_range.start
        selection = {transaction.gtid for transaction in self.shared_scope.selection}
        next_offset = self.log_range.start
        for offset, record in self.log_range.records:
            next_offset = offset + 1
            if record["status"] != "END":
                continue
            gtid = record["id"]
            if gtid not in selection and gtid not in self.shared_scope.merged_gtids:
                return end
            end = next_offset
        return self.log_range.end if end == next_offset else end

    @property
    def has_more(self) -> bool:
        """Whether the log has more transactions than one version may have."""
        if self.shared_scope.gap is None and not self.shared_scope.is_complete:
            return True
        return any(self._lags_behind(scope) for scope in self.lagging_scopes.values())

    @property
    def is_complete(self) -> bool:
        """Whether the version has every transaction that has ended."""
        scopes = (self.shared_scope, *self.lagging_scopes.values())
        is_waiting = any(scope.is_waiting for scope in scopes)
        return self.shared_scope.is_complete and not (
            is_waiting or self.shared_scope.is_limited
        )

    def stop_at(self, ceiling: GtidSet, is_logged: bool) -> None:
        """Select nothing beyond a set that was MySQL's state at one moment.

        So the selection stays a prefix of the END records. `is_logged` says whether the log has all
        of the set.
        """
        for scope in (self.shared_scope, *self.lagging_scopes.values()):
            scope.stop_at(ceiling, is_logged)

    def wait_for(self, gtids: GtidSet) -> None:
        """Select nothing from the first transaction on that is not in a growing set."""
        for scope in (self.shared_scope, *self.lagging_scopes.values()):
            scope.wait_for(gtids)

    def know_order(self, order: StatementOrder, logged_gtids: GtidSet | None) -> None:
        """Note the places of statements among the transactions.

        The log has all of `logged_gtids`, if they are known, and the cut what comes after them.
        """
        self.shared_scope.logged_gtids = logged_gtids
        for scope in (self.shared_scope, *self.lagging_scopes.values()):
            scope.order = order

    def stop_before(self, gap: Gap) -> None:
        """Select no transaction from one on whose changes are known to be missing."""
        gtids = [transaction.gtid for transaction in self.shared_scope.selection]
        if gap.gtid in gtids:
            self.shared_scope.selection = self.shared_scope.selection[
                : gtids.index(gap.gtid)
            ]
            self.shared_scope.gap = gap

    def allowed(self, topics: Iterable[str]) -> dict[str, AllowedTransactions]:
        """Return the transactions that may be read from each topic."""
        shared = self.shared_scope.allowed()
        return {
            topic: self.lagging_scopes[topic].allowed()
            if topic in self.lagging_scopes
            else shared
            for topic in topics
        }

    def merged_gtids(self, topic: str) -> GtidSet:
        """Return the transactions that a topic's table has in the previous version."""
        scope = self.lagging_scopes.get(topic, self.shared_scope)
        return scope.merged_gtids

    def drop_incomplete(
        self, partitions: Mapping[str, list[PartitionChanges]], refusals: dict[str, str]
    ) -> dict[str, set[str]]:
        """Drop the transactions whose changes were not all read.

        Returns the dropped GTIDs by topic (SHARED for the shared cut). A topic that lacks changes
        permanently is added to `refusals`, and the others no longer wait for it.
        """
        dropped_gtids = {SHARED: self._drop_from_shared(partitions, refusals)}
        for topic, scope in self.lagging_scopes.items():
            count = len(self._candidates_in_cut(scope))
            beyond_cut = {transaction.gtid for transaction in scope.selection[count:]}
            scope.selection = scope.selection[:count]
            dropped_gtids[topic] = beyond_cut | scope.keep_complete(partitions, {topic})
            if scope.gap is not None and scope.gap.is_permanent:
                refusals[topic] = f"{scope.gap}; {REBUILD}"
        return {topic: gtids for topic, gtids in dropped_gtids.items() if gtids}

    def _drop_from_shared(
        self, partitions: Mapping[str, list[PartitionChanges]], refusals: dict[str, str]
    ) -> set[str]:
        selection = self.shared_scope.selection
        earlier_gap = self.shared_scope.gap
        while True:
            self.shared_scope.selection = selection
            topics = self._topics_in_shared_cut(refusals)
            dropped_gtids = self.shared_scope.keep_complete(partitions, topics)
            gap = self.shared_scope.gap
            if gap is None or not gap.is_permanent:
                break
            refusals[gap.topic] = f"{gap}; {REBUILD}"
        self.shared_scope.gap = gap or earlier_gap
        return dropped_gtids

    def transactions(self, truncate_gtids: Mapping[str, set[str]]) -> GtidSet:
        """Return the transactions of the version.

        TRUNCATEs (GTIDs by topic) have no END record, and are added for topics that do not lag.
        """
        lagging_topics = self.lagging_topics((), truncate_gtids)
        gtids = [transaction.gtid for transaction in self.shared_scope.selection]
        for topic, topic_gtids in truncate_gtids.items():
            if topic not in lagging_topics:
                gtids += topic_gtids
        return self.shared_scope.merged_gtids.with_gtids(gtids)

    def lagging_topics(
        self, refusals: Collection[str], truncate_gtids: Mapping[str, set[str]]
    ) -> dict[str, LaggingTopic]:
        """Return the topics that lag behind the version, and where they are."""
        topics = dict(self._previous.lagging_topics)
        for topic in refusals:
            if topic.startswith(f"{CHANGE_PREFIX}."):
                topics.setdefault(
                    topic, LaggingTopic(self.log_range.start, self._previous.transactions)
                )
        for topic, scope in self.lagging_scopes.items():
            if topic in refusals:
                continue
            has_all = len(scope.selection) == len(self._candidates_in_cut(scope))
            if has_all and scope.end_offset >= self.end:
                del topics[topic]
            elif has_all or scope.selection:
                gtids = [transaction.gtid for transaction in scope.selection]
                gtids += truncate_gtids.get(topic, ())
                offset = scope.end_offset if has_all else scope.selection[-1].next_offset
                topics[topic] = LaggingTopic(
                    offset, str(scope.merged_gtids.with_gtids(gtids))
                )
        return topics

    def _lags_behind(self, scope: CutScope) -> bool:
        if scope.gap is not None:
            return False
        has_all = len(scope.selection) >= len(self._candidates_in_cut(scope))
        return not has_all or scope.end_offset < self.end

    def _lagging_scope(self, topic: str, lagging_range: TransactionLogRange) -> CutScope:
        merged_gtids = gtid_set(self._previous.lagging_topics[topic].transactions)
        if lagging_range.end < self.log_range.start:
            return _scope(merged_gtids, lagging_range)
        records = [*lagging_range.records, *self.log_range.records]
        whole_range = TransactionLogRange(records, lagging_range.start, self.log_range.end)
        return _scope(merged_gtids, whole_range)

    def _topics_in_shared_cut(self, refusals: Collection[str]) -> set[str]:
        """Return the topics with changes that wait for each other."""
        topics: set[str] = set()
        for transaction in self.shared_scope.candidates:
            topics |= transaction.changes.keys()
        return topics - {*self._previous.lagging_topics, *refusals}

    def _candidates_in_cut(self, scope: CutScope) -> list[Transaction]:
        """Return the candidates of a lagging topic before the end of the shared cut."""
        end = self.end
        return [
            transaction
            for transaction in scope.candidates
            if transaction.next_offset <= end
        ]


def _scope(merged_gtids: GtidSet, log_range: TransactionLogRange) -> CutScope:
    candidates = ended_transactions(log_range.records, merged_gtids)
    return CutScope(merged_gtids, candidates, log_range.end)


def changes_by_topic(
    archived: Iterable[ArchivedRanges], partition_counts: Mapping[str, int]
) -> dict[str, list[PartitionChanges]]:
    """Return the changes read from each partition of the archived topics.

    A partition without read changes has empty ones.
    """
    changes: defaultdict[str, list[PartitionChanges]] = defaultdict(list)
    for archived_ranges in archived:
        changes[archived_ranges.source.topic] += archived_ranges.partition_changes
    for topic, partitions in changes.items():
        unread = partition_counts.get(topic, len(partitions)) - len(partitions)
        partitions += [PartitionChanges()] * unread
    return dict(changes)
