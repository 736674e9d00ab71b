"""Whatever the order of arrival, however often, and whoever is killed when: an order is converted if the log holds a look before it."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from processors import in_order, join
from processors.join import Looks, OpenOrders, Orders, RecentViews, Views
from tests.unit.processors.shop_log import HOUR_MS, MINUTE_MS, NOON_MS, ORDERED, VIEWED, Killed, Log, Place, Process, Record, Table

SECOND_MS = 1000


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses before another try."""
    monkeypatch.setattr(in_order, "FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(in_order, "LONGEST_PAUSE_SECONDS", 0)


def shop(chance: random.Random) -> dict[Place, list[Record]]:
    """Some hours of looks and orders of a few people and products: late ones, early ones, repeated ones."""
    records: dict[Place, list[tuple[int, tuple[int, ...]]]] = {(VIEWED, 0): [], (VIEWED, 1): [], (ORDERED, 0): []}
    for _ in range(chance.randint(50, 150)):
        at_ms = NOON_MS + chance.randrange(6 * HOUR_MS)
        late_ms = chance.choice([5, 5, 5, 5, 20 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, -50 * MINUTE_MS])
        records[VIEWED, chance.randrange(2)].append((at_ms + late_ms, (chance.randrange(3), chance.randrange(4), at_ms)))
    for order in range(chance.randint(20, 60)):
        at_ms = NOON_MS + chance.randrange(6 * HOUR_MS) // 1000 * 1000
        late_ms = chance.choice([20, 20, 20, 20, 40 * MINUTE_MS, 3 * HOUR_MS, -2 * HOUR_MS])
        for repetition in range(chance.choice([1, 1, 1, 1, 2])):
            content = order, chance_product(order), chance_user(order), at_ms
            records[ORDERED, 0].append((at_ms + late_ms + repetition * chance.randrange(HOUR_MS), content))
    return {place: [Record(place, at, logged_ms, content) for at, (logged_ms, content) in enumerate(sorted(some))] for place, some in records.items()}


def chance_product(order: int) -> int:
    return random.Random(order).randrange(3)


def chance_user(order: int) -> int:
    return random.Random(-order).randrange(4)


def oracle(records: Mapping[Place, Sequence[Record]]) -> dict[tuple[int, int, int], tuple[int, int, int]]:
    """What the rows must be, by comparing every order with every view."""
    looks = [record.content for (topic, _), some in records.items() if topic == VIEWED for record in some]
    rows = {}
    for order, product, user, ordered_ms in (record.content for record in records[ORDERED, 0]):
        before = [at for p, u, at in looks if (p, u) == (product, user) and ordered_ms - 30 * MINUTE_MS <= at < ordered_ms + 1000]
        rows[product, ordered_ms // MINUTE_MS, order] = int(bool(before)), user, ordered_ms
    return rows


def run(chance: random.Random, log: Log, table: Table, home: Path, kills: float) -> list[Process]:
    """Processes, killed and started again, until both topics are handled to their ends; some go on although another has taken over."""
    processes: list[Process] = []
    while not processes or processes[-1].behind:
        processes.append(Process(log, table, home, chance.choice([8, 40, 10_000]), chance.choice([4, 20, 10_000])))
        while processes[-1].behind and chance.random() >= kills:
            process = processes[-1] if chance.random() < 0.9 else chance.choice(processes[-3:])
            try:
                process.handle(chance.choice([VIEWED, ORDERED]), chance.randint(0, 12), lambda: chance.random() < 0.7)
            except Killed:
                processes = [other for other in processes if other is not process] or [Process(log, table, home)]
                continue
            if chance.random() < 0.3:
                log.committed = dict(process.handled)
    return processes


@pytest.mark.parametrize("seed", range(150))
def test_an_order_is_converted_if_there_was_a_look_however_the_two_arrive(seed: int, tmp_path: Path, impatient: None) -> None:
    chance = random.Random(seed)
    log = Log(shop(chance))
    kills = chance.choice([0, 0.02, 0.1])
    table = Table(lambda: chance.random() < 0.02, lambda: chance.random() < kills / 5)
    run(chance, log, table, tmp_path, kills)
    assert {key: row[1:] for key, row in table.rows.items()} == oracle(log.records)


def order(ordered_ms: int, product: int = 7, user: int = 1) -> Orders:
    return Orders(*np.array([[4711], [product], [user], [ordered_ms]], np.int64))


def look(*viewed_ms: int, product: int = 7, user: int = 1) -> Looks:
    return Looks.of(Views(*(np.array([value] * len(viewed_ms), np.int64) for value in (product, user)), np.array(viewed_ms, np.int64)))


@pytest.mark.parametrize(
    ("before_ms", "converted"),
    [(0, True), (30 * MINUTE_MS, True), (30 * MINUTE_MS + 1, False), (-999, True), (-1000, False), (24 * HOUR_MS, False)],
)
def test_a_look_counts_from_thirty_minutes_before_the_order_to_the_end_of_its_second(before_ms: int, converted: bool) -> None:
    assert look(NOON_MS - before_ms).precede(order(NOON_MS)).tolist() == [converted]
    later, earlier = NOON_MS + HOUR_MS, NOON_MS - HOUR_MS
    assert look(later, NOON_MS - before_ms, earlier).precede(order(NOON_MS)).tolist() == [converted]


@pytest.mark.parametrize(("product", "user"), [(8, 1), (7, 2), (1, 7)])
def test_the_look_of_somebody_else_or_at_something_else_converts_nothing(product: int, user: int) -> None:
    assert not look(NOON_MS, product=product, user=user).precede(order(NOON_MS)).any()


def test_two_people_who_share_a_mix_are_told_apart() -> None:
    twin = int(np.int64(np.uint64((7 * int(join.ODD) + 1 - 8 * int(join.ODD)) % 2**64)))
    looks = look(NOON_MS, product=8, user=twin)
    assert looks.mix == join.mixed(*np.array([[7], [1]]))
    assert not looks.precede(order(NOON_MS)).any()
    both = looks.and_(look(NOON_MS - MINUTE_MS))
    assert both.precede(order(NOON_MS)).tolist() == [True]
    assert both.precede(order(NOON_MS, product=8, user=twin)).tolist() == [True]


def test_memory_of_views_stays_within_its_bound_and_says_what_it_gave_up() -> None:
    memory = RecentViews(most=1000)
    for minute in range(5000):
        memory.add(look(NOON_MS + minute * MINUTE_MS))
        assert len(memory) <= 1000
    assert not memory.cover(order(NOON_MS + 60 * MINUTE_MS)).any()
    assert memory.cover(order(NOON_MS + 4800 * MINUTE_MS)).all()
    assert memory.precede(order(NOON_MS + 4800 * MINUTE_MS)).all()


def test_memory_of_views_that_are_all_of_one_moment_stays_within_its_bound() -> None:
    memory = RecentViews(most=1000)
    for _ in range(30):
        memory.add(look(*[NOON_MS] * 100))
        assert len(memory) <= 1000


def test_memory_of_orders_stays_within_its_bound_and_says_what_it_gave_up() -> None:
    memory = OpenOrders(most=100)
    for minute in range(500):
        memory.add(order(NOON_MS + minute * MINUTE_MS))
    assert len(memory) <= 100
    assert memory.missed_by(Views(*np.array([[7], [1], [NOON_MS]]))).all()
    assert not memory.missed_by(Views(*np.array([[7], [1], [NOON_MS + 499 * MINUTE_MS]]))).any()
    assert len(memory.preceded_by(look(NOON_MS + 490 * MINUTE_MS))) == 10
