"""The cut of a version in the making: it begins with every transaction that has ended, and gives up those that turn out not to be whole. Pure.

Topics stand in step: one cut is for all of them. A topic that could not be carried was left at an earlier point; it has a cut of its own,
which blocks nobody, until it is in step again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.gtid import GtidSet, gtid_set
from schemas.topics import CHANGE_PREFIX
from spark.archive import Archived
from spark.cut import Allowed, Gap, Part, Transaction, allowed, portion, transactions, whole
from spark.manifest import Left, Manifest
from spark.transaction_log import Records

REBUILD = "changes are missing in the log: restore the topic, or rebuild the warehouse from a new snapshot"


@dataclass(frozen=True)
class Ends:
    """What the topic of transactions says between two offsets."""

    records: Records
    start: int
    end: int


@dataclass
class Scope:
    """The transactions that topics hold, those that have ended since, and those that this version takes.

    `until` is the offset in the topic of transactions up to which they are known.
    """

    known: GtidSet
    waiting: list[Transaction]
    until: int
    taken: list[Transaction] = field(default_factory=list)
    gap: Gap | None = None
    ceiling: GtidSet | None = None
    arrived: bool = False

    @property
    def reached(self) -> bool:
        """Whether all of the ceiling's transactions are here and taken."""
        return self.arrived and self.gap is None and len(self.taken) == len(self.waiting)

    def allowed(self) -> Allowed:
        """What may be read."""
        return allowed(self.known, self.taken, self.ceiling, self.reached)

    def stop_at(self, ceiling: GtidSet, arrived: bool) -> None:
        """Take nothing beyond a set of transactions, of which `arrived` says whether the log holds all."""
        self.ceiling, self.arrived = ceiling, arrived
        self.waiting = [one for one in self.waiting if one.gtid in ceiling]
        self.taken = [one for one in self.taken if one.gtid in ceiling]
        self.gap = self.gap if self.gap and self.gap.gtid in ceiling else None

    def keep_whole(self, seen: Mapping[str, list[Part]], carried: Collection[str]) -> set[str]:
        """Take only the transactions that are whole, from the first on; the GTIDs of those that are given up."""
        before, (self.taken, self.gap) = self.taken, whole(self.taken, seen, carried)
        return {one.gtid for one in before[len(self.taken) :]}


class Cut:
    """What each topic may hold in the next version, as far as is known."""

    def __init__(self, previous: Manifest, ends: Ends, older: Mapping[str, Ends]) -> None:
        """`ends` begin where the topics in step stand; `older` where each topic stands that was left behind and is now to be read again."""
        self._previous, self.ends = previous, ends
        self.step = _scope(gtid_set(previous.transactions), ends)
        self.step.taken = portion(self.step.waiting, self._in_step(()))
        self.left = {topic: self._left_scope(topic, found) for topic, found in older.items()}
        for topic, scope in self.left.items():
            scope.taken = portion(self._reached(scope), {topic})

    @property
    def end(self) -> int:
        """The offset in the topic of transactions after what the version takes: its end, unless something has begun and not ended."""
        end, held, last = self.ends.start, {one.gtid for one in self.step.taken}, self.ends.start
        for offset, record in self.ends.records:
            last = offset + 1
            if record["status"] == "END":
                if record["id"] not in held and record["id"] not in self.step.known:
                    return end
                end = offset + 1
        return self.ends.end if end == last else end

    @property
    def more(self) -> bool:
        """Whether there is more than one version may take."""
        in_step = self.step.gap is None and len(self.step.taken) < len(self.step.waiting)
        return in_step or any(
            scope.gap is None and (len(scope.taken) < len(self._reached(scope)) or scope.until < self.end) for scope in self.left.values()
        )

    @property
    def complete(self) -> bool:
        """Whether the version takes all that has ended."""
        return self.step.ceiling is None and len(self.step.taken) == len(self.step.waiting)

    def stop_at(self, ceiling: GtidSet, arrived: bool) -> None:
        """Take nothing beyond a set that MySQL's history went through: a prefix of the ENDs, since the set is one of the commits."""
        for scope in (self.step, *self.left.values()):
            scope.stop_at(ceiling, arrived)

    def allowed(self, carried: Iterable[str]) -> dict[str, Allowed]:
        """What may be read of each topic."""
        in_step = self.step.allowed()
        return {topic: self.left[topic].allowed() if topic in self.left else in_step for topic in carried}

    def known(self, topic: str) -> GtidSet:
        """The transactions that a topic's table holds already."""
        return (self.left.get(topic) or self.step).known

    def stop_before(self, gap: Gap) -> None:
        """Do not take a transaction of which changes are known to be missing."""
        numbers = [number for number, one in enumerate(self.step.taken) if one.gtid == gap.gtid]
        if numbers:
            self.step.taken, self.step.gap = self.step.taken[: numbers[0]], gap

    def settle(self, seen: Mapping[str, list[Part]], refused: dict[str, str]) -> dict[str, set[str]]:
        """Give up what is not whole: the GTIDs given up, by topic ('' for the topics in step).

        A topic that lacks changes for good is refused, and then the others no longer wait for it.
        """
        before, gap = self.step.taken, self.step.gap
        while True:
            self.step.taken = before
            given_up = {"": self.step.keep_whole(seen, self._in_step(refused))}
            if self.step.gap is None or not self.step.gap.passed:
                break
            refused[self.step.gap.topic] = f"{self.step.gap}; {REBUILD}"
        self.step.gap = self.step.gap or gap
        for topic, scope in self.left.items():
            beyond = {one.gtid for one in scope.taken[len(self._reached(scope)) :]}
            scope.taken = scope.taken[: len(self._reached(scope))]
            given_up[topic] = beyond | scope.keep_whole(seen, {topic})
            if scope.gap is not None and scope.gap.passed:
                refused[topic] = f"{scope.gap}; {REBUILD}"
        return {topic: gtids for topic, gtids in given_up.items() if gtids}

    def transactions(self, others: Mapping[str, set[str]]) -> GtidSet:
        """The transactions that the version holds, with those that each topic has besides (`others`)."""
        left = self.left_behind((), others)
        alone = (gtid for topic, gtids in others.items() if topic not in left for gtid in gtids)
        return self.step.known.plus(one.gtid for one in self.step.taken).plus(alone)

    def left_behind(self, refused: Collection[str], others: Mapping[str, set[str]]) -> dict[str, Left]:
        """The topics that are not in step after this version, and where they stand."""
        left = dict(self._previous.left)
        for topic in (topic for topic in refused if topic.startswith(f"{CHANGE_PREFIX}.")):
            left.setdefault(topic, Left(self.ends.start, self._previous.transactions))
        for topic, scope in self.left.items():
            if topic in refused:
                continue
            complete = len(scope.taken) == len(self._reached(scope))
            if complete and scope.until >= self.end:
                del left[topic]
            elif complete or scope.taken:
                held = scope.known.plus(one.gtid for one in scope.taken).plus(others.get(topic, ()))
                left[topic] = Left(scope.until if complete else scope.taken[-1].following, str(held))
        return left

    def _left_scope(self, topic: str, older: Ends) -> Scope:
        known = gtid_set(self._previous.left[topic].transactions)
        if older.end < self.ends.start:
            return _scope(known, older)
        return _scope(known, Ends([*older.records, *self.ends.records], older.start, self.ends.end))

    def _in_step(self, refused: Collection[str]) -> set[str]:
        """The topics with changes that all wait for each other."""
        return {topic for one in self.step.waiting for topic in one.changes} - {*self._previous.left, *refused}

    def _reached(self, scope: Scope) -> list[Transaction]:
        """The transactions of a scope up to where the topics in step get."""
        end = self.end
        return [one for one in scope.waiting if one.following <= end]


def _scope(known: GtidSet, ends: Ends) -> Scope:
    return Scope(known, transactions(ends.records, known), ends.end)


def seen(archived: Iterable[Archived], partitions: Mapping[str, int]) -> dict[str, list[Part]]:
    """What was read of each topic, by partition; those of which nothing was read included."""
    found: defaultdict[str, list[Part]] = defaultdict(list)
    for done in archived:
        found[done.source.topic] += done.parts
    return {topic: parts + [Part()] * (partitions.get(topic, len(parts)) - len(parts)) for topic, parts in found.items()}
