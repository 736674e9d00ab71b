"""All of counting but for the servers, against a recount of the log.

Workers die, continue after a pause, lose partitions and write late.
"""

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from connectors.cassandra.row_batches import PackedRow
from processors.counts.hyperloglog import estimate, registers_from_bytes
from processors.counts.row_cache import NO_EVENTS
from processors.counts.state_tables import Checkpoint
from processors.counts.topic_state import TopicState
from processors.decoding.clicks import Clicks
from schemas import count_tables, topics
from tests.unit.processors.cassandra_double import FIRST, RULES, CassandraDouble

PARTITIONS = 2
EVENTS = 300
PRODUCTS = 6
PEOPLE = 9
STEPS = 150
MAX_BATCH = 12
BEGINNING = Checkpoint(0, NO_EVENTS)
# What happens in a step, and how often.
STEP_WEIGHTS = {
    "count": 50,
    "write": 25,
    "repeat write": 4,
    "stall": 4,
    "late write": 4,
    "kill": 2,
    "rebalance": 3,
    "cassandra crash": 4,
}

Event = tuple[int, int, int]  # product, user, viewed_ms
RowKey = tuple[int, ...]
Checkpoints = dict[int, Checkpoint]


@dataclass
class Log:
    """The topic: each partition's events by offset."""

    partitions: list[list[Event]]

    def clicks(self, spans: dict[int, range]) -> Clicks:
        rows = []
        for partition, offsets in spans.items():
            for offset in offsets:
                rows.append((partition, offset, *self.partitions[partition][offset]))
        return Clicks(*np.array(rows, np.int64).reshape(-1, 5).T)


def random_log(chance: random.Random) -> Log:
    """Return events of over an hour, mostly in order, some late by minutes."""
    partitions: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for number in range(EVENTS):
        product = int(PRODUCTS * chance.random() ** 2)
        late_ms = chance.choice([0, 0, 0, 5_000, 70_000, 900_000])
        in_order_ms = 3_500_000 + number * 1_000 + chance.randrange(2_000)
        viewed_ms = max(0, in_order_ms - late_ms)
        event = (product, chance.randrange(PEOPLE), viewed_ms)
        partitions[product % PARTITIONS].append(event)
    return Log(partitions)


@dataclass
class Worker:
    """A worker with some partitions.

    `next_offsets` are how far it has counted, `in_flight` the rows that it writes now, and
    `reached` the checkpoints that are true once those are written.
    """

    state: TopicState
    incarnation: int
    epoch: int = 0
    partitions: list[int] = field(default_factory=list)
    next_offsets: dict[int, int] = field(default_factory=dict)
    in_flight: list[PackedRow] = field(default_factory=list)
    reached: Checkpoints = field(default_factory=dict)

    def begin(self, partitions: list[int], committed: Checkpoints, has_notes: bool) -> None:
        self.epoch += 1
        self.partitions = partitions
        self.next_offsets = {}
        event_times: dict[int, int | None] = {}
        for partition in partitions:
            checkpoint = committed.get(partition, BEGINNING)
            is_known = has_notes or checkpoint.next_offset == 0
            self.next_offsets[partition] = checkpoint.next_offset
            event_times[partition] = checkpoint.max_event_ms if is_known else None
        self.state.begin_epoch(self.epoch, event_times)
        self.in_flight = []
        self.reached = {}

    def count(self, log: Log, chance: random.Random) -> None:
        spans = {}
        for partition, start in self.next_offsets.items():
            log_end = len(log.partitions[partition])
            end = min(log_end, start + chance.randrange(MAX_BATCH))
            if end > start:
                spans[partition] = range(start, end)
        if spans:
            ends = {partition: offsets.stop for partition, offsets in spans.items()}
            self.state.count_clicks(log.clicks(spans), [], ends)
            self.next_offsets |= ends

    def take_changes(self, rollups: bool) -> None:
        """Take the changed windows; with roll-ups, first everything else."""
        self.in_flight = []
        self.reached = {}
        if rollups:
            pending_write = self.state.take_rollups()
            self.in_flight = list(pending_write.encode_rows())
            self.reached = dict(pending_write.checkpoints)
        self.in_flight += self.state.take_windows().encode_rows()


class World:
    """Two workers, one store and the group's committed offsets."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log = random_log(self.chance)
        self.store: Any = CassandraDouble()
        self.committed: Checkpoints = {}
        self.max_rows = self.chance.choice([4, 10_000])
        self.workers = [self.new_worker(), self.new_worker()]
        self.late_writes: list[PackedRow] = []
        self.rebalance()

    def new_worker(self) -> Worker:
        state = TopicState(topics.PRODUCT_VIEW, self.store, FIRST, self.max_rows)
        for table in (state._windows, *state._rollups.tables):
            cache = table.cache
            cache._max_rows = min(cache._max_rows, self.max_rows)
        return Worker(state, self.store.incarnation())

    def has_notes(self) -> bool:
        """Return whether the offsets were committed with event times; mostly they were."""
        return self.chance.random() < 0.8

    def rebalance(self) -> None:
        owners = [self.chance.randrange(2) for _ in range(PARTITIONS)]
        for number, worker in enumerate(self.workers):
            partitions = [p for p, owner in enumerate(owners) if owner == number]
            worker.begin(partitions, self.committed, self.has_notes())

    def step(self) -> None:
        worker = self.chance.choice(self.workers)
        weights = list(STEP_WEIGHTS.values())
        match self.chance.choices(list(STEP_WEIGHTS), weights)[0]:
            case "count":
                worker.count(self.log, self.chance)
            case "write":
                self.write(worker)
            case "repeat write":  # an answer got lost: written again, in another order
                rows = self.chance.sample(worker.in_flight, len(worker.in_flight))
                self.store.write(rows)
            case "stall":  # a worker pauses in the middle of a write and is given up
                worker.take_changes(rollups=True)
                self.late_writes += worker.in_flight
                self.rebalance()
            case "late write":
                self.store.write(self.late_writes)
                self.late_writes = []
            case "kill":
                half = len(worker.in_flight) // 2
                self.store.write(self.chance.sample(worker.in_flight, half))
                self.workers[self.workers.index(worker)] = self.new_worker()
                self.rebalance()
            case "rebalance":
                self.rebalance()
            case "cassandra crash":  # loses rows that are not durable
                self.store.crash(self.chance)

    def write(self, worker: Worker) -> None:
        rollups = self.chance.random() < 0.5
        worker.take_changes(rollups)
        self.store.write(worker.in_flight)
        if not rollups:
            return
        if self.store.make_durable(lambda: None, worker.incarnation):
            worker.state.mark_durable()
            if self.chance.random() < 0.8:
                self.committed |= worker.reached
        else:
            worker.incarnation = self.store.incarnation()
            worker.begin(worker.partitions, self.committed, self.has_notes())

    def finish(self) -> None:
        """Count and write everything that remains."""
        self.store.write(self.late_writes)
        self.rebalance()
        for worker in self.workers:
            while self.is_behind(worker):
                worker.count(self.log, self.chance)
            worker.take_changes(rollups=True)
            self.store.write(worker.in_flight)

    def is_behind(self, worker: Worker) -> bool:
        return any(
            offset < len(self.log.partitions[partition])
            for partition, offset in worker.next_offsets.items()
        )


def window_length(view: count_tables.CountView) -> int | None:
    return RULES.window_ms if view.window_ms == 0 else view.window_ms


def offsets_by_row(log: Log, window_ms: int | None) -> dict[RowKey, list[int]]:
    """Return the offsets of the events of each row, from the log alone."""
    offsets_by_key: dict[RowKey, list[int]] = defaultdict(list)
    for partition, events in enumerate(log.partitions):
        for offset, (product, _, viewed_ms) in enumerate(events):
            key: RowKey = (product, partition)
            if window_ms is not None:
                key = (product, viewed_ms // window_ms * window_ms, partition)
            offsets_by_key[key].append(offset)
    return offsets_by_key


def wrong_counts(world: World, complete: bool) -> Iterator[str]:
    """Yield the counts that differ from the log up to the offset that they state."""
    for view in count_tables.COUNTS:
        if view.topic != topics.PRODUCT_VIEW:
            continue
        expected_offsets = offsets_by_row(world.log, window_length(view))
        rows = world.store.rows(view)
        for key, (count, last_offset) in rows.items():
            if count != bisect_right(expected_offsets.get(key, []), last_offset):
                yield f"{view.name} {key}: {count} up to {last_offset}"
        if not complete:
            continue
        for key, offsets in expected_offsets.items():
            _, last_offset = rows.get(key, (0, -1))
            if last_offset != offsets[-1]:
                yield f"{view.name} {key} lacks events"


def wrong_tops(world: World) -> Iterator[str]:
    """Yield the lists that differ from the log up to the offset that they state."""
    offsets_by_key = offsets_by_row(world.log, RULES.window_ms)
    rows = world.store.rows(count_tables.TOP_PRODUCTS)
    for (window_ms, partition), (products, last_offset) in rows.items():
        views = []
        for (product, *window), offsets in offsets_by_key.items():
            count = bisect_right(offsets, last_offset)
            if window == [window_ms, partition] and count:
                views.append((product, count))
        views.sort(key=lambda item: (-item[1], item[0]))
        expected = views[: count_tables.TOP]
        if products != expected:
            yield (
                f"top of {window_ms} in {partition} up to {last_offset}: "
                f"{products} instead of {expected}"
            )


def wrong_viewers(world: World) -> Iterator[str]:
    """Yield the numbers of viewers per hour that differ from the whole log."""
    users_by_key: dict[RowKey, set[int]] = defaultdict(set)
    for partition, events in enumerate(world.log.partitions):
        for product, user, viewed_ms in events:
            hour_ms = viewed_ms // count_tables.HOUR_MS * count_tables.HOUR_MS
            users_by_key[product, hour_ms, partition].add(user)
    rows = world.store.rows(count_tables.VIEWERS)
    for key, users in users_by_key.items():
        viewers, stored_sketch, _ = rows[key]
        sketch_estimate = estimate(registers_from_bytes(stored_sketch))
        if viewers != len(users) or sketch_estimate != len(users):
            yield f"viewers of {key}: {viewers} instead of {len(users)}"


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_a_row_counts_the_log_up_to_the_offset_it_states(
    seed: int,
) -> None:
    world = World(seed)
    for number in range(STEPS):
        world.step()
        if number % 5 == 0:
            assert [*wrong_counts(world, complete=False), *wrong_tops(world)] == []
    world.finish()
    assert [*wrong_counts(world, complete=True)] == []
    assert [*wrong_tops(world), *wrong_viewers(world)] == []


def test_a_replay_from_the_start_of_the_log_reads_no_row() -> None:
    world = World(1)
    world.max_rows = 10_000
    world.workers = []
    worker = world.new_worker()
    worker.begin([0, 1], {}, has_notes=True)
    for _ in range(100):
        worker.count(world.log, world.chance)
    assert not world.is_behind(worker)
    assert world.store.reads == 0


def test_the_backlog_shrinks_when_windows_and_rollups_are_taken() -> None:
    world = World(1)
    worker = world.new_worker()
    worker.begin([0, 1], {}, has_notes=True)
    events = {0: range(2), 1: range(2)}
    worker.state.count_clicks(world.log.clicks(events), [], {0: 2, 1: 2})
    assert worker.state.backlog.events == 4
    assert worker.state.backlog.window_rows > 0
    worker.take_changes(rollups=True)
    assert worker.state.backlog == (0, 0)
