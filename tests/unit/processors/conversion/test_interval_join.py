"""An order is converted if the log holds a view before it.

In whatever order the two arrive, however often, and whichever process is killed when.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from processors.conversion.interval_join import (
    MULTIPLIER,
    OpenOrders,
    Orders,
    RecentViews,
    ViewIndex,
    Views,
    pair_hashes,
)
from schemas.topics import TopicPartition
from tests.unit.processors.shop_log import (
    HOUR_MS,
    MINUTE_MS,
    NOON_MS,
    ORDER_TOPIC,
    VIEW_TOPIC,
    Killed,
    Log,
    Process,
    Record,
    RowKey,
    Table,
)

SECOND_MS = 1000
PRODUCTS = 3
USERS = 4
PERIOD_MS = 6 * HOUR_MS
# How long after its event time a record is logged.
VIEW_DELAYS_MS = [5] * 4 + [20 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, -50 * MINUTE_MS]
ORDER_DELAYS_MS = [20] * 4 + [40 * MINUTE_MS, 3 * HOUR_MS, -2 * HOUR_MS]
ORDERS = (ORDER_TOPIC, 0)
TimedContent = tuple[int, tuple[int, ...]]


def random_log(chance: random.Random) -> dict[TopicPartition, list[Record]]:
    """Return some hours of views and orders: late ones, early ones, repeated ones."""
    contents: dict[TopicPartition, list[TimedContent]] = {
        (VIEW_TOPIC, 0): [],
        (VIEW_TOPIC, 1): [],
        ORDERS: [],
    }
    for _ in range(chance.randint(50, 150)):
        contents[VIEW_TOPIC, chance.randrange(2)].append(random_view(chance))
    for order in range(chance.randint(20, 60)):
        contents[ORDERS] += random_order(chance, order)
    return {
        topic_partition: records_of(topic_partition, timed_contents)
        for topic_partition, timed_contents in contents.items()
    }


def random_view(chance: random.Random) -> TimedContent:
    viewed_ms = NOON_MS + chance.randrange(PERIOD_MS)
    logged_ms = viewed_ms + chance.choice(VIEW_DELAYS_MS)
    return logged_ms, (chance.randrange(PRODUCTS), chance.randrange(USERS), viewed_ms)


def random_order(chance: random.Random, order: int) -> list[TimedContent]:
    """Return the records of an order: sometimes it is logged twice."""
    ordered_ms = NOON_MS + chance.randrange(PERIOD_MS) // SECOND_MS * SECOND_MS
    logged_ms = ordered_ms + chance.choice(ORDER_DELAYS_MS)
    content = (order, chance.randrange(PRODUCTS), chance.randrange(USERS), ordered_ms)
    timed_contents = [(logged_ms, content)]
    if chance.random() < 0.2:
        timed_contents.append((logged_ms + chance.randrange(HOUR_MS), content))
    return timed_contents


def records_of(
    topic_partition: TopicPartition, timed_contents: Sequence[TimedContent]
) -> list[Record]:
    records = []
    for offset, (logged_ms, content) in enumerate(sorted(timed_contents)):
        records.append(Record(topic_partition, offset, logged_ms, content))
    return records


def expected_rows(
    records: Mapping[TopicPartition, Sequence[Record]],
) -> dict[RowKey, tuple[int, int, int]]:
    """Compare every order with every view."""
    views = [record.content for record in records[VIEW_TOPIC, 0]]
    views += [record.content for record in records[VIEW_TOPIC, 1]]
    rows = {}
    for record in records[ORDERS]:
        order, product, user, ordered_ms = record.content
        first_ms = ordered_ms - 30 * MINUTE_MS
        converted = any(
            view[:2] == (product, user) and first_ms <= view[2] < ordered_ms + SECOND_MS
            for view in views
        )
        key = (product, ordered_ms // MINUTE_MS, order)
        rows[key] = (int(converted), user, ordered_ms)
    return rows


def run_processes(
    chance: random.Random, log: Log, table: Table, home: Path, kills: float
) -> None:
    """Run processes, killed and restarted, until both topics are processed to their ends.

    Some continue although another has taken over.
    """
    processes: list[Process] = []
    while not processes or processes[-1].is_behind:
        max_views = chance.choice([8, 40, 10_000])
        max_orders = chance.choice([4, 20, 10_000])
        processes.append(Process(log, table, home, max_views, max_orders))
        while processes[-1].is_behind and chance.random() >= kills:
            process = processes[-1]
            if chance.random() < 0.1:
                process = chance.choice(processes[-3:])
            topic = chance.choice([VIEW_TOPIC, ORDER_TOPIC])
            try:
                process.process(topic, chance.randint(0, 12), lambda: chance.random() < 0.7)
            except Killed:
                processes.remove(process)
                if not processes:
                    processes.append(Process(log, table, home))
                continue
            if chance.random() < 0.3:
                log.committed = dict(process.commits)


@pytest.mark.parametrize("seed", range(150))
def test_an_order_is_converted_if_a_view_precedes_it_however_the_two_arrive(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    log = Log(random_log(chance))
    kills = chance.choice([0, 0.02, 0.1])
    table = Table(
        is_failing=lambda: chance.random() < 0.02,
        is_killing=lambda: chance.random() < kills / 5,
    )
    run_processes(chance, log, table, tmp_path, kills)
    rows = {key: row[1:] for key, row in table.rows.items()}
    assert rows == expected_rows(log.records)


def order(ordered_ms: int, product: int = 7, user: int = 1) -> Orders:
    return Orders(*np.array([[4711], [product], [user], [ordered_ms]], np.int64))


def views(*viewed_ms: int, product: int = 7, user: int = 1) -> Views:
    count = len(viewed_ms)
    return Views(
        np.full(count, product, np.int64),
        np.full(count, user, np.int64),
        np.array(viewed_ms, np.int64),
    )


def index(*viewed_ms: int, product: int = 7, user: int = 1) -> ViewIndex:
    return ViewIndex.from_views(views(*viewed_ms, product=product, user=user))


@pytest.mark.parametrize(
    ("before_ms", "converted"),
    [
        (0, True),
        (30 * MINUTE_MS, True),
        (30 * MINUTE_MS + 1, False),
        (-999, True),
        (-1000, False),
        (24 * HOUR_MS, False),
    ],
)
def test_a_view_counts_from_30_minutes_before_the_order_to_the_end_of_its_second(
    before_ms: int, converted: bool
) -> None:
    viewed_ms = NOON_MS - before_ms
    assert index(viewed_ms).preceded_orders(order(NOON_MS)).tolist() == [converted]
    several_views = index(NOON_MS + HOUR_MS, viewed_ms, NOON_MS - HOUR_MS)
    assert several_views.preceded_orders(order(NOON_MS)).tolist() == [converted]


@pytest.mark.parametrize(("product", "user"), [(8, 1), (7, 2), (1, 7)])
def test_a_view_of_another_user_or_another_product_converts_nothing(
    product: int, user: int
) -> None:
    other_view = index(NOON_MS, product=product, user=user)
    assert not other_view.preceded_orders(order(NOON_MS)).any()


def test_two_users_whose_pairs_share_a_hash_are_told_apart() -> None:
    multiplier = int(MULTIPLIER)
    other_user = int(np.int64(np.uint64((7 * multiplier + 1 - 8 * multiplier) % 2**64)))
    other_view = index(NOON_MS, product=8, user=other_user)
    assert other_view.pair_hash == pair_hashes(*np.array([[7], [1]]))
    assert not other_view.preceded_orders(order(NOON_MS)).any()
    both = other_view.merge(index(NOON_MS - MINUTE_MS))
    other_order = order(NOON_MS, product=8, user=other_user)
    assert both.preceded_orders(order(NOON_MS)).tolist() == [True]
    assert both.preceded_orders(other_order).tolist() == [True]


def test_views_in_memory_stay_within_their_bound_and_say_what_was_forgotten() -> None:
    memory = RecentViews(max_views=1000)
    for minute in range(5000):
        memory.add_views(index(NOON_MS + minute * MINUTE_MS))
        assert len(memory) <= 1000
    old_order = order(NOON_MS + 60 * MINUTE_MS)
    recent_order = order(NOON_MS + 4800 * MINUTE_MS)
    assert not memory.covered_orders(old_order).any()
    assert memory.covered_orders(recent_order).all()
    assert memory.preceded_orders(recent_order).all()


def test_views_of_a_single_moment_stay_within_the_bound_too() -> None:
    memory = RecentViews(max_views=1000)
    for _ in range(30):
        memory.add_views(index(*[NOON_MS] * 100))
        assert len(memory) <= 1000


def test_orders_in_memory_stay_within_their_bound_and_say_what_was_forgotten() -> None:
    memory = OpenOrders(max_orders=100)
    for minute in range(500):
        memory.add_orders(order(NOON_MS + minute * MINUTE_MS))
    assert len(memory) <= 100
    assert memory.uncovered_views(views(NOON_MS)).all()
    assert not memory.uncovered_views(views(NOON_MS + 499 * MINUTE_MS)).any()
    assert len(memory.preceded_by(index(NOON_MS + 490 * MINUTE_MS))) == 10
