"""The whole of counting but for the servers: workers that die, wake, lose partitions and write late, against a recount of the log."""

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from connectors.cassandra import PackedRow
from processors.clicks import Clicks
from processors.memory import NOTHING_BEFORE
from processors.sketch import estimate, from_bytes
from processors.tables import Position
from processors.tally import Tally
from schemas import topics, views
from tests.unit.processors.double import FIRST, RULES, Cassandra

PARTITIONS, EVENTS, PRODUCTS, PEOPLE = 2, 300, 6, 9
Event = tuple[int, int, int]  # product, user, viewed_ms
Committed = dict[int, Position]


@dataclass
class Log:
    """The topic: each partition's events by offset."""

    partitions: list[list[Event]]

    def clicks(self, spans: dict[int, tuple[int, int]]) -> Clicks:
        rows = [(p, at, *self.partitions[p][at]) for p, (start, end) in spans.items() for at in range(start, end)]
        columns = np.array(rows, np.int64).reshape(-1, 5).T
        return Clicks(columns[0], columns[1], columns[2], columns[3], columns[4])


def random_log(chance: random.Random) -> Log:
    """Events that come mostly in order, some late by minutes, over more than an hour."""
    partitions: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for number in range(EVENTS):
        product = int(PRODUCTS * chance.random() ** 2)
        late_ms = chance.choice([0, 0, 0, 5_000, 70_000, 900_000])
        at_ms = max(0, 3_500_000 + number * 1_000 + chance.randrange(2_000) - late_ms)
        partitions[product % PARTITIONS].append((product, chance.randrange(PEOPLE), at_ms))
    return Log(partitions)


@dataclass
class Worker:
    """A worker with some partitions: what it has counted, taken and not yet written."""

    tally: Tally
    incarnation: int
    epoch: int = 0
    mine: list[int] = field(default_factory=list)
    at: dict[int, int] = field(default_factory=dict)
    in_flight: list[PackedRow] = field(default_factory=list)
    reached: Committed = field(default_factory=dict)

    def begin(self, mine: list[int], committed: Committed, noted: bool) -> None:
        before = {p: committed.get(p, Position(0, NOTHING_BEFORE)) for p in mine}
        self.at = {p: found.offset for p, found in before.items()}
        self.epoch, self.mine = self.epoch + 1, mine
        self.tally.begin(self.epoch, {p: found.latest_ms if noted or not found.offset else None for p, found in before.items()})
        self.in_flight, self.reached = [], {}

    def count(self, log: Log, chance: random.Random) -> None:
        spans = {p: (at, min(len(log.partitions[p]), at + chance.randrange(12))) for p, at in self.at.items()}
        spans = {p: span for p, span in spans.items() if span[1] > span[0]}
        if spans:
            self.tally.count(log.clicks(spans), [], {p: end for p, (_, end) in spans.items()})
            self.at |= {p: end for p, (_, end) in spans.items()}

    def take(self, rollups: bool) -> None:
        """The windows; or everything else, then the windows of now too, and the positions that are reached with both."""
        self.in_flight, self.reached = [], {}
        if rollups:
            taken = self.tally.take_rollups()
            self.in_flight, self.reached = list(taken.packed()), dict(taken.positions)
        self.in_flight += self.tally.take_windows().packed()


class World:
    """Two workers, one store and the group's committed offsets; `step` lets something happen."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log, self.store, self.committed = random_log(self.chance), Cassandra(), {}
        self.rows_kept = self.chance.choice([4, 10_000])
        self.workers = [self.new_worker(), self.new_worker()]
        self.late_writes: list[PackedRow] = []
        self.rebalance()

    def new_worker(self) -> Worker:
        tally = Tally(topics.PRODUCT_VIEW, self.store, FIRST, self.rows_kept)  # type: ignore[arg-type]
        for table in (tally._windows, *tally._rollups._tables):
            table.memory._most = min(table.memory._most, self.rows_kept)
        return Worker(tally, self.store.incarnation())

    def rebalance(self) -> None:
        owners = [self.chance.randrange(2) for _ in range(PARTITIONS)]
        for number, worker in enumerate(self.workers):
            worker.begin([p for p, owner in enumerate(owners) if owner == number], self.committed, self.chance.random() < 0.8)

    def step(self) -> None:
        worker = self.chance.choice(self.workers)
        match self.chance.choices(["count", "write", "lose", "stall", "wake", "kill", "rebalance", "die"], [50, 25, 4, 4, 4, 2, 3, 4])[0]:
            case "count":
                worker.count(self.log, self.chance)
            case "write":
                self.write(worker)
            case "lose":  # the answer got lost: written again, in another order
                self.store.write(self.chance.sample(worker.in_flight, len(worker.in_flight)))
            case "stall":  # a worker falls asleep in the middle of a write, its partitions are given away
                worker.take(rollups=True)
                self.late_writes += worker.in_flight
                self.rebalance()
            case "wake":
                self.store.write(self.late_writes)
                self.late_writes = []
            case "kill":
                self.store.write(self.chance.sample(worker.in_flight, len(worker.in_flight) // 2))
                self.workers[self.workers.index(worker)] = self.new_worker()
                self.rebalance()
            case "rebalance":
                self.rebalance()
            case "die":  # Cassandra, with what it had not flushed yet
                self.store.die(self.chance)

    def write(self, worker: Worker) -> None:
        rollups = self.chance.random() < 0.5
        worker.take(rollups)
        self.store.write(worker.in_flight)
        if not rollups:
            return
        if self.store.make_durable(lambda: None, worker.incarnation):
            worker.tally.settled()
            if self.chance.random() < 0.8:
                self.committed |= worker.reached
        else:
            worker.incarnation = self.store.incarnation()
            worker.begin(worker.mine, self.committed, self.chance.random() < 0.8)

    def finish(self) -> None:
        self.store.write(self.late_writes)
        self.rebalance()
        for worker in self.workers:
            while any(at < len(self.log.partitions[p]) for p, at in worker.at.items()):
                worker.count(self.log, self.chance)
            worker.take(rollups=True)
            self.store.write(worker.in_flight)


def length_of(view: views.CountView) -> int | None:
    return RULES.window_ms if view.window_ms == 0 else view.window_ms


def offsets_by_row(log: Log, window_ms: int | None) -> dict[tuple[int, ...], list[int]]:
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for p, events in enumerate(log.partitions):
        for at, (product, _, viewed_ms) in enumerate(events):
            found[(product, p) if window_ms is None else (product, viewed_ms // window_ms * window_ms, p)].append(at)
    return found


def wrong_counts(world: World, complete: bool) -> Iterator[str]:
    for view in views.COUNTS:
        if view.topic != topics.PRODUCT_VIEW:
            continue
        expected, found = offsets_by_row(world.log, length_of(view)), world.store.rows(view)
        for key, (count, last) in found.items():
            if count != bisect_right(expected.get(key, []), last):
                yield f"{view.name} {key}: {count} up to {last}"
        if complete:
            yield from (f"{view.name} {key} lacks events" for key, offsets in expected.items() if found.get(key, (0, -1))[1] != offsets[-1])


def wrong_tops(world: World) -> Iterator[str]:
    rows = offsets_by_row(world.log, RULES.window_ms)
    for (window_ms, p), (listed, last) in world.store.rows(views.TOP_PRODUCTS).items():
        views_of = {key[0]: bisect_right(offsets, last) for key, offsets in rows.items() if key[1:] == (window_ms, p)}
        expected = sorted(((product, n) for product, n in views_of.items() if n), key=lambda item: (-item[1], item[0]))[: views.TOP]
        if listed != expected:
            yield f"top of {window_ms} in {p} up to {last}: {listed} instead of {expected}"


def wrong_viewers(world: World) -> Iterator[str]:
    people: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for p, events in enumerate(world.log.partitions):
        for product, user, viewed_ms in events:
            people[product, viewed_ms // views.HOUR_MS * views.HOUR_MS, p].add(user)
    found = world.store.rows(views.VIEWERS)
    for key, who in people.items():
        viewers, stored, _ = found[key]
        if viewers != len(who) or estimate(from_bytes(stored)) != len(who):
            yield f"viewers of {key}: {viewers} instead of {len(who)}"


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_every_row_counts_the_log_up_to_the_offset_it_states(seed: int) -> None:
    world = World(seed)
    for number in range(150):
        world.step()
        assert number % 5 or not [*wrong_counts(world, complete=False), *wrong_tops(world)]
    world.finish()
    assert not [*wrong_counts(world, complete=True), *wrong_tops(world), *wrong_viewers(world)]


def test_a_replay_from_the_start_of_the_log_reads_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1)
    world.rows_kept, world.workers = 10_000, []
    worker = world.new_worker()
    worker.begin([0, 1], {}, noted=True)
    for _ in range(100):
        worker.count(world.log, world.chance)
    assert world.store.reads == 0
