"""The conversion's process: what is not in memory, what it reports, and how it recovers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.kafka.readers.aligned_reader import AlignedBatch
from connectors.runtime.process_state import read_state
from processors.conversion.decode import PlacedOrders
from schemas.errors import KappaError, Unavailable
from tests.unit.processors.shop_log import (
    HOUR_MS,
    MINUTE_MS,
    NOON_MS,
    ORDER_TOPIC,
    VIEW_TOPIC,
    Log,
    Process,
    Record,
    Table,
    decode_orders,
)

DAY_MS = 24 * HOUR_MS
ORDER = 4711
OTHER_USER = 99
VIEWS = (VIEW_TOPIC, 0)
ORDERS = (ORDER_TOPIC, 0)


class Shop:
    """A log with one product and one user; another user's clicks let time pass."""

    def __init__(self, home: Path) -> None:
        self.log = Log({VIEWS: [], ORDERS: []})
        self.table = Table()
        self.home = home
        self.process = self.start_process()

    def start_process(self) -> Process:
        """Start a new process, after the one before was killed."""
        self.process = Process(self.log, self.table, self.home)
        return self.process

    def view(self, viewed_ms: int, logged_ms: int, user: int = 1) -> None:
        self._log(VIEWS, logged_ms, (7, user, viewed_ms))
        self.process.process(VIEW_TOPIC)

    def order(self, ordered_ms: int, logged_ms: int) -> None:
        self._log(ORDERS, logged_ms, (ORDER, 7, 1, ordered_ms))
        self.process.process(ORDER_TOPIC)

    def _log(
        self, topic_partition: tuple[str, int], logged_ms: int, content: tuple[int, ...]
    ) -> None:
        records = self.log.records[topic_partition]
        records.append(Record(topic_partition, len(records), logged_ms, content))

    def commit_and_kill(self) -> None:
        self.log.committed = dict(self.process.commits)
        self.start_process()

    def pass_time(self, until_ms: int) -> None:
        """Another user clicks, so that older views and orders leave memory."""
        self.view(until_ms, until_ms, OTHER_USER)

    @property
    def conversions(self) -> dict[int, int]:
        """Whether each order is converted, as the table says."""
        return {order: row[1] for (_, _, order), row in self.table.rows.items()}

    @property
    def committed_orders(self) -> tuple[int, str]:
        """The offset and the note that the process has committed for the orders."""
        return self.process.commits[ORDERS]

    def figure(self, name: str) -> Any:
        self.process.state.report({}, {})
        return self.reported()[name]

    def reported(self) -> dict[str, Any]:
        return read_state(self.home, "conversion") or {}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_an_order_that_comes_days_late_finds_its_view_in_the_log(shop: Shop) -> None:
    shop.view(NOON_MS, NOON_MS)
    shop.pass_time(NOON_MS + 2 * DAY_MS)
    shop.pass_time(NOON_MS + 2 * DAY_MS + MINUTE_MS)
    shop.order(NOON_MS + MINUTE_MS, NOON_MS + 2 * DAY_MS)
    assert shop.conversions == {ORDER: 1}
    assert shop.figure("orders_sought_in_the_log") == 1


def test_a_recent_order_needs_no_search_of_the_log(shop: Shop) -> None:
    shop.pass_time(NOON_MS)
    shop.commit_and_kill()
    shop.order(NOON_MS + MINUTE_MS, NOON_MS + MINUTE_MS)
    assert shop.conversions == {ORDER: 0}
    assert shop.figure("orders_sought_in_the_log") == 0


def test_a_view_that_comes_days_late_finds_its_order_in_cassandra(shop: Shop) -> None:
    shop.order(NOON_MS, NOON_MS)
    shop.pass_time(NOON_MS + 3 * DAY_MS)
    shop.commit_and_kill()
    shop.pass_time(NOON_MS + 3 * DAY_MS)
    assert shop.conversions == {ORDER: 0}
    assert shop.figure("views_sought_in_cassandra") == 0
    shop.view(NOON_MS - MINUTE_MS, NOON_MS + 3 * DAY_MS)
    assert shop.conversions == {ORDER: 1}
    assert shop.figure("views_sought_in_cassandra") == 1


def test_a_view_from_the_future_is_found_by_a_process_that_started_later(
    shop: Shop,
) -> None:
    start_ms = NOON_MS + DAY_MS
    memory_ms = start_ms - 2 * HOUR_MS  # a process that starts then reads back to here
    shop.pass_time(NOON_MS)
    shop.view(memory_ms + 50 * MINUTE_MS, memory_ms - 1)
    shop.pass_time(start_ms)
    shop.commit_and_kill()
    shop.order(memory_ms + 60 * MINUTE_MS, start_ms)
    assert shop.conversions == {ORDER: 1}
    assert shop.figure("orders_sought_in_the_log") == 1


def test_an_order_dated_ahead_is_found_by_a_process_that_started_later(
    shop: Shop,
) -> None:
    shop.order(NOON_MS + DAY_MS, NOON_MS)
    shop.pass_time(NOON_MS + DAY_MS - HOUR_MS)
    shop.commit_and_kill()
    shop.view(NOON_MS + DAY_MS, NOON_MS + DAY_MS)
    assert shop.conversions == {ORDER: 1}


def test_an_order_committed_without_a_note_is_found_all_the_same(shop: Shop) -> None:
    shop.order(NOON_MS + DAY_MS, NOON_MS)
    shop.pass_time(NOON_MS + DAY_MS - HOUR_MS)
    shop.log.committed = {
        topic_partition: (offset, "")
        for topic_partition, (offset, _) in shop.process.commits.items()
    }
    shop.start_process().process(VIEW_TOPIC)
    shop.view(NOON_MS + DAY_MS, NOON_MS + DAY_MS)
    assert shop.conversions == {ORDER: 1}


def test_a_conversion_once_found_stays_whichever_process_writes_otherwise(
    shop: Shop,
) -> None:
    shop.view(NOON_MS, NOON_MS)
    shop.order(NOON_MS, NOON_MS)
    orders = decode_orders(shop.log.records[ORDERS]).orders
    shop.table.write_orders(orders, np.array([False]))
    assert shop.conversions == {ORDER: 1}


def test_two_processes_that_run_by_mistake_lose_no_view(shop: Shop) -> None:
    first_process = shop.process
    second_process = Process(shop.log, shop.table, shop.home)
    shop.order(NOON_MS, NOON_MS)
    shop.process = second_process
    shop.view(NOON_MS, NOON_MS)
    for process in (first_process, second_process):
        shop.log.committed = dict(process.commits)
    shop.start_process().process(ORDER_TOPIC)
    shop.process.process(VIEW_TOPIC)
    assert shop.conversions == {ORDER: 1}


def test_nothing_is_processed_after_a_batch_that_got_lost(shop: Shop) -> None:
    shop.pass_time(NOON_MS)
    shop.process.next_batch_number += 1
    shop.order(NOON_MS, NOON_MS)
    assert shop.process.rewinds == 1
    assert shop.conversions == {}
    assert shop.committed_orders[0] == 0


def test_a_batch_of_an_earlier_epoch_is_dropped(shop: Shop) -> None:
    shop.process.epoch = 2
    shop.order(NOON_MS, NOON_MS)
    assert shop.process.rewinds == 0
    assert shop.conversions == {}


def test_while_cassandra_does_not_answer_the_state_says_so_and_nothing_is_committed(
    shop: Shop,
) -> None:
    reported_states: list[Any] = []

    def is_failing() -> bool:
        reported_states.append(shop.reported().get("state"))
        assert shop.committed_orders[0] == 0
        return len(reported_states) < 5

    shop.table.is_failing = is_failing
    shop.order(NOON_MS, NOON_MS)
    assert reported_states[1:] == ["waiting"] * 4
    assert shop.conversions == {ORDER: 0}
    assert shop.committed_orders == (1, "0")
    assert shop.figure("state") == "running"


def test_a_bug_of_ours_does_not_lose_the_order(shop: Shop) -> None:
    errors = [ZeroDivisionError("a bug"), KappaError("another"), None]
    reported_states: list[Any] = []

    def is_failing() -> bool:
        reported_states.append(shop.reported().get("state"))
        error = errors.pop(0)
        if error:
            raise error
        return False

    shop.table.is_failing = is_failing
    shop.order(NOON_MS, NOON_MS)
    assert reported_states[1:] == ["failed", "failed"]
    assert shop.conversions == {ORDER: 0}


def test_changes_that_cannot_be_read_are_counted_and_named(shop: Shop) -> None:
    problem = "[0]@17: not a change of a row"
    shop.process.order_decoder = lambda records: PlacedOrders(unreadable=[problem])
    shop.order(NOON_MS, NOON_MS)
    assert shop.figure("unreadable") == 1
    assert shop.figure("last_unreadable") == f"{ORDER_TOPIC}{problem}"
    assert shop.figure("state") == "running"
    assert "unreadable" in shop.figure("detail")
    assert b"kappa_conversion_unreadable 1.0" in shop.process.state.page()


def test_a_process_that_stops_leaves_its_batch_uncommitted(shop: Shop) -> None:
    def is_failing() -> bool:
        shop.process.stopping.set()
        return True

    shop.table.is_failing = is_failing
    shop.order(NOON_MS, NOON_MS)
    assert shop.committed_orders[0] == 0


def test_reading_back_ends_when_the_process_stops(shop: Shop) -> None:
    shop.view(NOON_MS, NOON_MS)
    shop.commit_and_kill()
    shop.process.stopping.set()
    with pytest.raises(Unavailable):
        shop.process.processor._load_memory(shop.process.start, NOON_MS)
    batch = AlignedBatch(
        topic=ORDER_TOPIC,
        epoch=1,
        number=0,
        messages=[],
        start=shop.process.start,
        reached_ms=NOON_MS,
    )
    shop.process.processor.process_batch(batch)
    assert shop.conversions == {}
