"""The consistent cut: the transactions of a version, and its end in each partition. Pure.

Debezium writes an END for every transaction into one topic of one partition, in commit order, with
the number of changes that the transaction has in each table. A cut is a prefix of these ENDs such
that the log holds all their changes. Changes are in commit order within each partition too, so the
first one of a transaction beyond the cut ends the partition's part of the version. Kafka's own
transactions are not needed for that: what arrives twice, or in one topic earlier than in another,
changes no cut.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import READ as READ_ROW
from schemas.envelope import TRUNCATE, is_snapshot_row
from schemas.errors import ContractError
from schemas.gtid import GtidSet, split_gtid
from schemas.topics import topic_of_collection
from spark.log.statement_order import NO_ORDER, FollowedStatements, StatementOrder

# The transactions of one version have at most so many changes together (but there is always one
# transaction), so that memory is bounded however long the backlog is.
MAX_CHANGES = 200_000
MAX_TRANSACTIONS = 50_000
MAX_SNAPSHOT_ROWS = 500_000


@dataclass(frozen=True)
class Transaction:
    """A transaction as its END describes it: GTID, number of changes by topic, offset after the
    END.
    """

    gtid: str
    changes: Mapping[str, int]
    next_offset: int


def ended_transactions(
    records: Iterable[tuple[int, Mapping[str, Any]]], known: GtidSet
) -> list[Transaction]:
    """Return the transactions that END in some records (with their offsets), in log order.

    Each is returned once; those in `known` are left out.
    """
    transactions: dict[str, Transaction] = {}
    for offset, record in records:
        gtid = record["id"]
        if record["status"] != "END" or gtid in transactions or gtid in known:
            continue
        changes: Counter[str] = Counter()
        for collection in record["data_collections"] or ():
            topic = topic_of_collection(collection["data_collection"])
            changes[topic] += collection["event_count"]
        transactions[gtid] = Transaction(gtid, dict(changes), offset + 1)
    return list(transactions.values())


def limit_transactions(
    transactions: Sequence[Transaction],
    topics: Collection[str],
    max_changes: int = MAX_CHANGES,
) -> list[Transaction]:
    """Return the first transactions with at most `max_changes` in `topics`, at least one."""
    limited: list[Transaction] = []
    total = 0
    for transaction in transactions[:MAX_TRANSACTIONS]:
        changes = transaction.changes
        total += sum(count for topic, count in changes.items() if topic in topics)
        if limited and total > max_changes:
            break
        limited.append(transaction)
    return limited


@dataclass(frozen=True)
class AllowedTransactions:
    """The transactions that may be read from a topic.

    `new` ones belong to this version; `earlier` ones can only be repetitions. Of `complete`, and of
    what is before it in the binary log, no transaction is missing; `last_numbers` is the highest
    GTID number in it per origin. Nothing beyond `ceiling` is allowed.
    """

    earlier: GtidSet
    new: frozenset[str]
    last_numbers: Mapping[str, int] = field(default_factory=dict)
    ceiling: GtidSet | None = None
    complete: GtidSet = field(default_factory=GtidSet)
    order: StatementOrder = NO_ORDER

    def includes(self, gtid: str) -> bool:
        """Return whether a transaction is allowed."""
        return gtid in self.new or gtid in self.earlier

    def includes_all_before(
        self, gtid: str, statements: FollowedStatements | None = None
    ) -> bool:
        """Return whether no transaction before a GTID is missing: a later one is allowed, or the
        one just before it.

        `statements` are those before it that are followed. Where its place in the binary log is not
        known, the numbers of its origin tell.
        """
        if self.is_beyond_ceiling(gtid):
            return False
        if gtid in self.complete:
            return True
        statements = statements or FollowedStatements()
        has_all = self.order.has_all_before(gtid, self.complete, statements)
        if has_all is not None:
            return has_all
        origin, number = split_gtid(gtid)
        last_number = max(self.last_numbers.get(origin, 0), statements.last_number(origin))
        return number <= last_number + 1

    def is_beyond_ceiling(self, gtid: str) -> bool:
        """Return whether this version must not hold a statement, which no END counts."""
        return self.ceiling is not None and gtid not in self.ceiling


def allow_transactions(
    earlier: GtidSet,
    new: Iterable[Transaction],
    ceiling: GtidSet | None = None,
    reached: bool = False,
    *,
    logged: GtidSet | None = None,
    order: StatementOrder = NO_ORDER,
) -> AllowedTransactions:
    """Return what may be read from the topics that stand at `earlier`.

    If the ceiling is `reached`, no transaction before its end is missing. Nor is one of `logged`.
    """
    gtids = frozenset(transaction.gtid for transaction in new)
    complete = earlier.with_gtids(gtids)
    if not order.knows(complete):
        order = NO_ORDER
    if ceiling is not None and reached:
        complete = complete.union(ceiling)
    if logged is not None:
        complete = complete.union(logged)
    last_numbers = {origin: complete.last_number(origin) for origin in complete.intervals}
    return AllowedTransactions(earlier, gtids, last_numbers, ceiling, complete, order)


class PartitionCut:
    """Finds where a version ends in one partition, and counts the changes of each transaction.

    `includes` receives the changes in their order. `is_beyond` tells that a transaction was met
    that is not allowed; `truncate_gtids` have no END; `waiting_reason` says what else the partition
    waits for.
    """

    def __init__(self, allowed: AllowedTransactions) -> None:
        self.changes: Counter[str] = Counter()
        self.truncate_gtids: set[str] = set()
        self.is_beyond = False
        self.waiting_reason = ""
        self._allowed = allowed
        self._has_ended = False
        self._last_orders: dict[str, int] = {}
        self._snapshot_rows = 0

    @property
    def is_full(self) -> bool:
        """Whether there are more rows of a snapshot than one version may hold."""
        return self._snapshot_rows > MAX_SNAPSHOT_ROWS

    def includes(self, change: Mapping[str, Any]) -> bool:
        """Return whether the next change belongs to the version. After the first that does not,
        none does.

        Raises ContractError for a change outside any transaction, whose place among the others
        cannot be determined.
        """
        if not self._has_ended:
            self._has_ended = not self._belongs(change)
        return not self._has_ended

    def _belongs(self, change: Mapping[str, Any]) -> bool:
        if change["op"] == READ_ROW:
            # A chunk of an incremental snapshot repeats rows as they are at its place in the log.
            self._snapshot_rows += is_snapshot_row(change)
            return not self.is_full
        transaction = change["transaction"]
        if transaction is None:
            return self._belongs_alone(change)
        gtid = transaction["id"]
        order = transaction["data_collection_order"]
        if gtid in self._allowed.new:
            # Changes that Connect repeats after a crash have the same numbers.
            if order > self._last_orders.get(gtid, 0):
                self._last_orders[gtid] = order
                self.changes[gtid] += 1
            return True
        self.is_beyond = gtid not in self._allowed.earlier
        return not self.is_beyond

    def _belongs_alone(self, change: Mapping[str, Any]) -> bool:
        """A TRUNCATE is DDL, and the rows of an XA transaction are logged when it is prepared: they
        are in no transaction that ends in the log, so only the GTID tells their place.
        """
        gtid = change["source"]["gtid"]
        if gtid is None:
            raise ContractError(
                "a change that belongs to no transaction",
                "the connector needs provide.transaction.metadata, MySQL gtid_mode=ON",
            )
        if self._allowed.includes_all_before(gtid):
            self.truncate_gtids.add(gtid)
            return True
        change_kind = "a TRUNCATE" if change["op"] == TRUNCATE else "an XA transaction"
        self.waiting_reason = f"{change_kind}, {gtid}, waits for a transaction after it"
        return False


@dataclass(frozen=True)
class PartitionChanges:
    """The changes read from a partition, by transaction (see PartitionCut for the rest)."""

    changes: Mapping[str, int] = field(default_factory=dict)
    is_beyond: bool = False
    is_full: bool = False
    waiting_reason: str = ""


@dataclass(frozen=True)
class Gap:
    """Changes that an END states and the log does not hold.

    It `is_permanent` if later changes follow in every partition, so that these never come.
    """

    gtid: str
    topic: str
    expected_changes: int
    actual_changes: int
    is_permanent: bool

    def __str__(self) -> str:
        return (
            f"transaction {self.gtid} has {self.expected_changes} changes in {self.topic}, and the "
            f"log holds {self.actual_changes} of them"
        )


def complete_prefix(
    transactions: Sequence[Transaction],
    partitions: Mapping[str, Sequence[PartitionChanges]],
    topics: Collection[str],
) -> tuple[list[Transaction], Gap | None]:
    """Return the longest prefix of transactions whose changes in `topics` were all read.

    The gap is what is missing of the next transaction. `partitions` are the changes read from each
    topic.
    """
    for number, transaction in enumerate(transactions):
        for topic, expected_changes in transaction.changes.items():
            if topic not in topics:
                continue
            topic_partitions = partitions.get(topic, ())
            actual_changes = _count_changes(topic_partitions, transaction.gtid)
            if actual_changes < expected_changes:
                later_gtids = {later.gtid for later in transactions[number + 1 :]}
                gap = Gap(
                    transaction.gtid,
                    topic,
                    expected_changes,
                    actual_changes,
                    is_permanent=_all_continue(topic_partitions, later_gtids),
                )
                return list(transactions[:number]), gap
    return list(transactions), None


def _count_changes(partitions: Iterable[PartitionChanges], gtid: str) -> int:
    return sum(partition.changes.get(gtid, 0) for partition in partitions)


def _all_continue(partitions: Sequence[PartitionChanges], later_gtids: set[str]) -> bool:
    """Whether later changes follow in every partition (False if there is no partition)."""
    if not partitions:
        return False
    for partition in partitions:
        has_later = bool(later_gtids & partition.changes.keys())
        if not partition.is_beyond and not has_later:
            return False
    return True
