"""The cut: which transactions a version holds, and where it ends in each partition of the log. Pure.

Debezium writes an END for every transaction into one topic of one partition, in commit order, with the number of changes that the
transaction has in each table. A cut is a prefix of these ENDs such that the log holds all their changes. Within each partition changes
stand in commit order too, so the first one of a transaction that is not in the cut ends the partition's part of the version.
Kafka's own transactions are not needed for that: what arrives twice, or in one topic earlier than in another, changes no cut.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.errors import ContractError
from schemas.envelope import READ as READ_ROW
from schemas.envelope import TRUNCATE, is_snapshot_row
from schemas.gtid import GtidSet, parts
from schemas.topics import CHANGE_PREFIX

# A version takes transactions of at most so many changes together (but always one), so that memory is bounded however long the backlog is.
MOST_CHANGES = 200_000
MOST_TRANSACTIONS = 50_000
MOST_SNAPSHOT_ROWS = 500_000


@dataclass(frozen=True)
class Transaction:
    """A transaction as its END says: its GTID, its number of changes by topic, and the offset after the END."""

    gtid: str
    changes: Mapping[str, int]
    following: int


def transactions(records: Iterable[tuple[int, Mapping[str, Any]]], known: GtidSet) -> list[Transaction]:
    """The transactions that some records (by offset) of the topic of transactions end, each once, without those that are known."""
    found: dict[str, Transaction] = {}
    for offset, record in records:
        gtid = record["id"]
        if record["status"] == "END" and gtid not in found and gtid not in known:
            changes: Counter[str] = Counter()
            for collection in record["data_collections"] or ():
                changes[topic_of(collection["data_collection"])] += collection["event_count"]
            found[gtid] = Transaction(gtid, dict(changes), offset + 1)
    return list(found.values())


def topic_of(collection: str) -> str:
    """The topic of a table, `database.table`, by Debezium's rule for names that Kafka does not take."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", f"{CHANGE_PREFIX}.{collection}")


def portion(waiting: Sequence[Transaction], topics: Collection[str], most: int = MOST_CHANGES) -> list[Transaction]:
    """The first transactions that one version may take, by their changes in `topics`: not too many, but at least one."""
    taken: list[Transaction] = []
    total = 0
    for transaction in waiting[:MOST_TRANSACTIONS]:
        total += sum(count for topic, count in transaction.changes.items() if topic in topics)
        if taken and total > most:
            break
        taken.append(transaction)
    return taken


@dataclass(frozen=True)
class Allowed:
    """What may be taken of a topic: transactions of earlier versions, which can only be repetitions, and those of this version.

    Nothing beyond `ceiling`, if there is one.
    """

    known: GtidSet
    taken: frozenset[str]
    last: Mapping[str, int] = field(default_factory=dict)
    ceiling: GtidSet | None = None

    def holds(self, gtid: str) -> bool:
        """Whether a transaction is one of them."""
        return gtid in self.taken or gtid in self.known

    def surely_after(self, gtid: str) -> bool:
        """Whether nothing that comes before a GTID is missing: a later one of the same origin is held, or the one just before it."""
        origin, number = parts(gtid)
        return number <= self.last.get(origin, 0) + 1 and not self.beyond_ceiling(gtid)

    def beyond_ceiling(self, gtid: str) -> bool:
        """Whether a statement, which no END counts, is one that this version must not hold."""
        return self.ceiling is not None and gtid not in self.ceiling


def allowed(known: GtidSet, taken: Iterable[Transaction], ceiling: GtidSet | None = None, reached: bool = False) -> Allowed:
    """What may be taken of the topics that stand where `known` says. A ceiling that is `reached` says that nothing before its end is missing."""
    gtids = frozenset(transaction.gtid for transaction in taken)
    together = known.plus(gtids)
    whole = together.joined(ceiling) if ceiling is not None and reached else together
    return Allowed(known, gtids, {origin: whole.last(origin) for origin in whole.intervals}, ceiling)


class Gate:
    """Looks at the changes of one partition in their order, counts those of each transaction, and says where the version ends."""

    def __init__(self, allowed: Allowed) -> None:
        self.changes: Counter[str] = Counter()
        self.others: set[str] = set()  # what has a GTID and no END: TRUNCATE
        self.beyond = False  # a transaction that is not allowed has been met
        self._stopped = False
        self.awaited = ""
        self._allowed = allowed
        self._reached: dict[str, int] = {}
        self._snapshot_rows = 0

    @property
    def full(self) -> bool:
        """Whether there are more rows of a snapshot than one version may take."""
        return self._snapshot_rows > MOST_SNAPSHOT_ROWS

    def admits(self, change: Mapping[str, Any]) -> bool:
        """Whether the next change belongs to the version; after the first that does not, nothing does.

        Raises ContractError for one that stands in no transaction, so that its place among the others cannot be told.
        """
        self._stopped = self._stopped or not self._belongs(change)
        return not self._stopped

    def _belongs(self, change: Mapping[str, Any]) -> bool:
        if change["op"] == READ_ROW:
            # A chunk of an incremental snapshot repeats rows as they stand at its place in the log.
            self._snapshot_rows += is_snapshot_row(change)
            return not self.full
        if change["transaction"] is None:
            return self._belongs_alone(change)
        gtid, order = change["transaction"]["id"], change["transaction"]["data_collection_order"]
        if gtid in self._allowed.taken:
            # What Connect writes again after a crash has the same numbers again.
            if order > self._reached.get(gtid, 0):
                self._reached[gtid] = order
                self.changes[gtid] += 1
            return True
        self.beyond = gtid not in self._allowed.known
        return not self.beyond

    def _belongs_alone(self, change: Mapping[str, Any]) -> bool:
        """A TRUNCATE is DDL: it is in no transaction, so its GTID must tell its place among them."""
        gtid = change["source"]["gtid"]
        if change["op"] != TRUNCATE or gtid is None:
            raise ContractError("a change that belongs to no transaction", "the connector needs provide.transaction.metadata, MySQL gtid_mode=ON")
        if self._allowed.surely_after(gtid):
            self.others.add(gtid)
            return True
        self.awaited = f"a TRUNCATE, {gtid}, waits for a transaction after it"
        return False


@dataclass(frozen=True)
class Part:
    """What was read of a partition: its changes by transaction, and whether one that is not allowed stands behind them.

    It is `full` if more of a snapshot stands there than a version may take; `awaited` says what else it waits for.
    """

    changes: Mapping[str, int] = field(default_factory=dict)
    beyond: bool = False
    full: bool = False
    awaited: str = ""


@dataclass(frozen=True)
class Gap:
    """Changes that an END states and the log does not hold. If `passed`, later ones stand behind them everywhere, so they never come."""

    gtid: str
    topic: str
    stated: int
    found: int
    passed: bool

    def __str__(self) -> str:
        return f"transaction {self.gtid} has {self.stated} changes in {self.topic}, and the log holds {self.found} of them"


def whole(taken: Sequence[Transaction], seen: Mapping[str, Sequence[Part]], topics: Collection[str]) -> tuple[list[Transaction], Gap | None]:
    """The longest prefix of transactions whose changes in `topics` are all there, and what is missing of the next one."""
    for number, transaction in enumerate(taken):
        for topic, stated in transaction.changes.items():
            partitions = seen.get(topic, ())
            found = sum(part.changes.get(transaction.gtid, 0) for part in partitions)
            if topic in topics and found < stated:
                later = {following.gtid for following in taken[number + 1 :]}
                passed = bool(partitions) and all(part.beyond or later & part.changes.keys() for part in partitions)
                return list(taken[:number]), Gap(transaction.gtid, topic, stated, found, passed)
    return list(taken), None
