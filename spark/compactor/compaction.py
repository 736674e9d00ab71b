"""One compaction: from the log to a committed version.

    look at the log -> archive what is new up to the cut -> rewrite what it touches -> commit the manifest

Much work of the middle two is a Spark job; little work is done by threads of this process.

Nothing is visible to anybody before the commit; a compaction that is killed or fails leaves files that no manifest names.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

from connectors.registry import SchemaRegistry
from infra.errors import Unavailable, WarehouseError
from infra.settings import Settings
from schemas.gtid import gtid_set
from schemas.statements import Position
from schemas.topics import change_topic
from spark import plan
from spark.archive import Archived, ArchiveTask, Doors, archive
from spark.ceiling import CutFiles
from spark.decoding import RowDecoder
from spark.look import Look, Wait, look, to_repeat
from spark.manifest import FROM_THE_LOG, Manifest, Snapshot, Versions
from spark.next_version import NextVersion
from spark.plan import TableChange
from spark.rewrite import RewriteTask, Rewritten, rewrite
from spark.roll_up import RolledUp, RollUpTask, roll_up
from spark.scopes import REBUILD, seen
from spark.session import Result, Session, Task, run_here
from spark.snapshots import following, unconfirmed
from spark.statement_log import StatementLog
from spark.table_history import TableHistory

MOST_ATTEMPTS = 4
# A topic is made with its first record: how long one may be missing that the transactions speak of.
ABSENT_SECONDS = 30.0


@dataclass
class Outcome:
    """What a compaction did: the version (None if there was nothing new), what it refused by topic, what it waits for, its steps' seconds.

    `reached` is the id of the request (spark/ceiling.py) whose set the warehouse now equals.
    """

    manifest: Manifest | None = None
    refused: dict[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    records: int = 0
    more: bool = False
    reached: str = ""

    def timed(self, step: str, since: float) -> float:
        """Note how long a step took; now."""
        now = time.monotonic()
        self.seconds[step] = round(now - since, 3)
        return now


class Compactor:
    """Builds and commits versions."""

    def __init__(self, settings: Settings, session: Session, versions: Versions, token: str) -> None:
        self._settings, self._session, self._versions, self._token = settings, session, versions, token
        self._doors = Doors(settings.kafka, settings.registry, settings.hdfs, settings.mysql, settings.login("mysql.reader"))
        self._decoder = RowDecoder(SchemaRegistry(settings.registry.url))
        self._statements = StatementLog(settings)
        self._wait: Wait | None = None
        self._cuts = CutFiles(settings.home)

    def compact(self, previous: Manifest, held: Mapping[str, str]) -> Outcome:
        """Build and commit the version after `previous`; topics in `held` are left alone.

        Raises WarehouseError when going on would publish something wrong, Unavailable when an outside system is away.
        """
        outcome, start = Outcome(refused={**self._absent(), **held}), time.monotonic()
        asked = self._cuts.asked()
        found = look(self._settings, self._decoder, previous, outcome.refused)
        if self._wait is not None and self._wait.gap.topic not in outcome.refused and self._wait.still(found.log):
            found.cut.stop_before(self._wait.gap)
        self._statements.read()  # after the look: every statement before a change that it found is known
        request = self._cuts.asked()  # after all looking: what was seen before a hold is older than the set that it is for
        if request is not None and request.holds:
            return outcome
        if request is not None:
            found.cut.stop_at(request.ceiling(), arrived=asked is not None and asked.id == request.id and asked.arrived)
        start = outcome.timed("look", start)
        run = NextVersion(previous, f"{self._token}-{uuid4().hex[:6]}", self._settings.hdfs.root)
        archived = self._archive(found, run, outcome, self._history(previous, found).void())
        if request is not None and found.cut.step.reached and not any(part.full for one in archived for part in one.parts):
            outcome.reached = request.id
        start = outcome.timed("archive", start)
        snapshot = following(previous, run.version, archived, found.cut.ends, found.base if found.cut.complete else None)
        tables = self._history(previous, found)  # the cut may have become smaller
        changes = tables.changes(archived, outcome.refused)
        changes += self._emptied(previous, snapshot, outcome, tables, {change.base for change in changes} | tables.gone(changes))
        rewritten, rolled = self._rewrite(changes, archived, found, run, outcome)
        start = outcome.timed("merge", start)
        archived = [done for done in archived if done.source.topic not in outcome.refused]
        outcome.records = sum(done.rows for done in archived)
        changes = [change for change in changes if change.source.topic not in outcome.refused]
        if outcome.records or snapshot != previous.snapshot or changes or tables.gone(changes):
            outcome.manifest = self._manifest(run, found, outcome, snapshot, archived, changes, rewritten, rolled, tables)
            self._versions.commit(outcome.manifest)
            outcome.timed("commit", start)
        return outcome

    def _history(self, previous: Manifest, found: Look) -> TableHistory:
        return TableHistory(self._settings, self._decoder, self._statements, previous, found.cut.step.allowed())

    def _archive(self, found: Look, run: NextVersion, outcome: Outcome, void: Mapping[str, Position]) -> list[Archived]:
        """Everything up to the cut, in the archive. A topic of which too much was taken is archived again, up to what is whole."""
        due, done = found.due(run.previous), list[Archived]()
        for _ in range(MOST_ATTEMPTS):
            hands = plan.share(due, self._session.parallelism)
            tasks = [ArchiveTask(hand, found.allowed(hand), run.version, run.staging, self._doors, dict(void)) for hand in hands]
            done += [answer for answers in self._run(archive, tasks, plan.few_records(due)) for answer in answers]
            outcome.refused |= {answer.source.topic: answer.refusal for answer in done if answer.refusal}
            again = to_repeat(done, found.cut.settle(seen(done, found.partitions), outcome.refused))
            if not again:
                self._note(found, done, outcome)
                return [answer for answer in done if answer.source.topic not in outcome.refused]
            done = [answer for answer in done if answer.source.topic not in again]
            due = found.due(run.previous, only=again)
        raise Unavailable("the log changes while it is read", "see ./kappa status and ./kappa logs kafka")

    def _absent(self) -> dict[str, str]:
        """A topic that does not come to be, though it should hold changes that are waited for."""
        wait = self._wait
        if wait is None or wait.held or time.monotonic() - wait.since < ABSENT_SECONDS:
            return {}
        return {wait.gap.topic: f"{wait.gap}: the topic does not exist; {REBUILD}"}

    def _note(self, found: Look, done: Iterable[Archived], outcome: Outcome) -> None:
        """Remember which changes are missing, so that they are waited for and not looked for again and again."""
        gap, before = found.cut.step.gap, self._wait
        full = any(part.full for one in done for part in one.parts)
        if gap is None or full:
            self._wait = None  # behind the rest of a snapshot there may be what is missing
        elif before is None or before.gap != gap or not before.still(found.log):
            since = before.since if before is not None and before.gap.gtid == gap.gtid else time.monotonic()
            self._wait = Wait(gap, since, {place: held for place, held in found.log.items() if place[0] == gap.topic})
        outcome.waits = [str(self._wait)] if self._wait is not None else []
        outcome.waits += [f"{one.source.topic}: {part.awaited}" for one in done for part in one.parts if part.awaited]
        read = {(reading.source.topic, reading.partition): reading.end for reading in found.readings}
        limited = any(found.log[place].stable > end for place, end in read.items())
        outcome.more = limited or full or found.cut.more or any(one.snapshot_ended for one in done)

    def _emptied(
        self, previous: Manifest, snapshot: Snapshot | None, outcome: Outcome, tables: TableHistory, others: Collection[str | None]
    ) -> list[TableChange]:
        """The tables that a snapshot, now that it is whole, shows to be empty. Raises WarehouseError if one has changed meanwhile."""
        if snapshot is None or not snapshot.whole or snapshot == previous.snapshot:
            return []
        changes = []
        for name in unconfirmed(previous.tables, snapshot):
            table = previous.tables[name]
            if table.topic in outcome.refused or table.topic in previous.left or name in others:
                continue
            if table.version >= snapshot.version:
                raise WarehouseError(
                    f"table {name} has changed since a snapshot that holds no row of it: which of its rows are from before nobody can say",
                    FROM_THE_LOG,
                )
            changes.append(tables.emptied(name, snapshot.id))
        return changes

    def _run(self, work: Callable[[Task], Result], tasks: Sequence[Task], here: bool) -> list[Result]:
        return run_here(work, tasks, self._session.parallelism) if here else self._session.run(work, tasks)

    def _rewrite(
        self, changes: list[TableChange], archived: list[Archived], found: Look, run: NextVersion, outcome: Outcome
    ) -> tuple[list[Rewritten], list[RolledUp]]:
        """Both kinds of rewriting at once. Tables whose rows do not fit are refused, and left out."""
        concerned = [change.concerned(run.before(change)) for change in changes]
        here = plan.few_rows(concerned, sum(done.rows for done in archived))
        tasks: list[RewriteTask | RollUpTask] = []
        for change, old in zip(changes, concerned, strict=True):
            known = {stretch.name: found.cut.known(change_topic(self._settings.mysql.database, stretch.name)) for stretch in change.stretches}
            tasks += run.rewrites(change, old, known, self._session.parallelism, here, self._settings.hdfs)
        tasks += run.roll_ups(archived, self._settings)
        answers = self._run(_work, tasks, here)
        rewritten = [answer for answer in answers if isinstance(answer, Rewritten)]
        topics = {change.source.table: change.source.topic for change in changes}
        for answer in rewritten:
            if answer.refusal:
                # A renamed table's changes wait in its old topic too.
                change = next(change for change in changes if change.source.table == answer.table)
                outcome.refused |= dict.fromkeys([topics[answer.table], *(done.source.topic for done in change.archived)], answer.refusal)
        return rewritten, [answer for answer in answers if isinstance(answer, RolledUp)]

    def _manifest(
        self, run: NextVersion, found: Look, outcome: Outcome, snapshot: Snapshot | None, archived: list[Archived], changes: list[TableChange],
        rewritten: list[Rewritten], rolled: list[RolledUp], history: TableHistory,
    ) -> Manifest:  # fmt: skip
        others = {done.source.topic: done.others for done in archived if done.others}
        held, left = found.cut.transactions(others), found.cut.left_behind(outcome.refused, others)
        base = gtid_set(run.previous.base).joined(gtid_set(found.base or "" if snapshot != run.previous.snapshot else ""))
        gone = history.gone(changes)
        tables = {name: table for name, table in run.previous.tables.items() if name not in gone}
        for change in changes:
            gtids = gtid_set(left[change.source.topic].transactions) if change.source.topic in left else held
            tables[change.source.table] = run.table(change, rewritten, str(gtids.filled().joined(base)))
        archives, arrivals = run.archives(archived, rolled, self._decoder)
        arrivals += [arrival for answer in rewritten if answer.table in {change.source.table for change in changes} for arrival in answer.arrivals]
        unreadable = Counter(run.previous.unreadable)
        for done in archived:
            if done.unreadable:
                unreadable[done.source.topic] += sum(done.unreadable.values())
        manifest = Manifest(
            version=run.version,
            previous=run.previous.version if run.previous.version >= 0 else None,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            owner=run.token,
            gtid=str(held.filled().joined(base)),
            changes=sum(done.rows for done in archived),
            offsets=plan.next_offsets(run.previous, archived),
            tables=tables,
            archives=archives,
            arrivals=tuple(arrivals),
            unreadable=dict(unreadable),
            transactions=str(held),
            left=left,
            snapshot=snapshot,
            base=str(base),
            statements=history.starts(changes),
            dropped=tuple(sorted(gone - tables.keys())),
        )
        return replace(manifest, replaced=tuple(sorted(run.previous.locations() - manifest.locations())))


def _work(task: RewriteTask | RollUpTask) -> Rewritten | RolledUp:
    return rewrite(task) if isinstance(task, RewriteTask) else roll_up(task)
