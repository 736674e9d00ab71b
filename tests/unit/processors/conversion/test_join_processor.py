"""The conversion's process: what it cannot find in memory, what it says, and what it does when something is lost or away."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.kafka_log import LogBatch
from infra.errors import KappaError, Unavailable
from infra.state import read_state
from processors import in_order
from processors.conversion_records import Placed
from tests.unit.processors.shop_log import HOUR_MS, MINUTE_MS, NOON_MS, ORDERED, VIEWED, Log, Process, Record, Table, placed_by

DAY_MS = 24 * HOUR_MS
SOMEBODY_ELSE = 99


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses before another try."""
    monkeypatch.setattr(in_order, "FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(in_order, "LONGEST_PAUSE_SECONDS", 0)


class Shop:
    """A log with one product and one person; somebody else clicks all the time, so that time goes on."""

    def __init__(self, home: Path) -> None:
        self.log, self.table, self.home = Log({(VIEWED, 0): [], (ORDERED, 0): []}), Table(), home
        self.process = self.started()

    def started(self) -> Process:
        """A new process, after the one before was killed."""
        self.process = Process(self.log, self.table, self.home)
        return self.process

    def view(self, viewed_ms: int, logged_ms: int, user: int = 1) -> None:
        self._log((VIEWED, 0), logged_ms, (7, user, viewed_ms))
        self.process.handle(VIEWED)

    def order(self, ordered_ms: int, logged_ms: int, order: int = 4711) -> None:
        self._log((ORDERED, 0), logged_ms, (order, 7, 1, ordered_ms))
        self.process.handle(ORDERED)

    def _log(self, place: tuple[str, int], logged_ms: int, content: tuple[int, ...]) -> None:
        self.log.records[place].append(Record(place, len(self.log.records[place]), logged_ms, content))

    def committed_and_killed(self) -> None:
        self.log.committed = dict(self.process.handled)
        self.started()

    def pass_time(self, upto_ms: int) -> None:
        """Others click, so that memory moves on."""
        self.view(upto_ms, upto_ms, SOMEBODY_ELSE)

    @property
    def converted(self) -> dict[int, int]:
        return {order: converted for (_, _, order), (_, converted, _, _) in self.table.rows.items()}

    def figure(self, name: str) -> Any:
        self.process.state.report({}, {})
        return (read_state(self.home, "conversion") or {})[name]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_an_order_that_comes_days_late_finds_its_look_in_the_log(shop: Shop) -> None:
    shop.view(NOON_MS, NOON_MS)
    shop.pass_time(NOON_MS + 2 * DAY_MS)
    shop.pass_time(NOON_MS + 2 * DAY_MS + MINUTE_MS)
    shop.order(NOON_MS + MINUTE_MS, NOON_MS + 2 * DAY_MS)
    assert shop.converted == {4711: 1}
    assert shop.figure("orders_sought_in_the_log") == 1


def test_an_order_of_now_is_not_sought_in_the_log(shop: Shop) -> None:
    shop.pass_time(NOON_MS)
    shop.committed_and_killed()
    shop.order(NOON_MS + MINUTE_MS, NOON_MS + MINUTE_MS)
    assert shop.converted == {4711: 0}
    assert shop.figure("orders_sought_in_the_log") == 0


def test_a_look_that_comes_days_late_finds_its_order_in_cassandra(shop: Shop) -> None:
    shop.order(NOON_MS, NOON_MS)
    shop.pass_time(NOON_MS + 3 * DAY_MS)
    shop.committed_and_killed()
    shop.pass_time(NOON_MS + 3 * DAY_MS)
    assert shop.converted == {4711: 0}
    assert shop.figure("views_sought_in_cassandra") == 0
    shop.view(NOON_MS - MINUTE_MS, NOON_MS + 3 * DAY_MS)
    assert shop.converted == {4711: 1}
    assert shop.figure("views_sought_in_cassandra") == 1


def test_a_look_from_the_future_is_found_although_a_new_process_did_not_read_that_far_back(shop: Shop) -> None:
    begin_ms = NOON_MS + DAY_MS
    shop.pass_time(NOON_MS)
    fill_ms = begin_ms - 2 * HOUR_MS  # where a process that begins at `begin_ms` begins to remember
    shop.view(fill_ms + 50 * MINUTE_MS, fill_ms - 1)
    shop.pass_time(begin_ms)
    shop.committed_and_killed()
    shop.order(fill_ms + 60 * MINUTE_MS, begin_ms)
    assert shop.converted == {4711: 1}
    assert shop.figure("orders_sought_in_the_log") == 1


def test_an_order_dated_ahead_is_found_although_a_new_process_did_not_read_that_far_back(shop: Shop) -> None:
    shop.order(NOON_MS + DAY_MS, NOON_MS)
    shop.pass_time(NOON_MS + DAY_MS - HOUR_MS)
    shop.committed_and_killed()
    shop.view(NOON_MS + DAY_MS, NOON_MS + DAY_MS)
    assert shop.converted == {4711: 1}


def test_an_order_committed_without_a_note_is_found_all_the_same(shop: Shop) -> None:
    shop.order(NOON_MS + DAY_MS, NOON_MS)
    shop.pass_time(NOON_MS + DAY_MS - HOUR_MS)
    shop.log.committed = {place: (offset, "") for place, (offset, _) in shop.process.handled.items()}
    shop.started().handle(VIEWED)
    shop.view(NOON_MS + DAY_MS, NOON_MS + DAY_MS)
    assert shop.converted == {4711: 1}


def test_an_order_that_was_found_preceded_stays_so_whoever_says_otherwise(shop: Shop) -> None:
    shop.view(NOON_MS, NOON_MS)
    shop.order(NOON_MS, NOON_MS)
    shop.table.write(placed_by(shop.log.records[ORDERED, 0]).orders, np.array([False]))
    assert shop.converted == {4711: 1}


def test_two_processes_that_run_by_mistake_lose_no_look(shop: Shop) -> None:
    one, other = shop.process, Process(shop.log, shop.table, shop.home)
    shop.order(NOON_MS, NOON_MS)
    shop.process = other
    shop.view(NOON_MS, NOON_MS)
    for process in (one, other):
        shop.log.committed = dict(process.handled)
    shop.started().handle(ORDERED)
    shop.process.handle(VIEWED)
    assert shop.converted == {4711: 1}


def test_a_lost_batch_is_noticed_and_nothing_after_it_is_handled(shop: Shop) -> None:
    shop.pass_time(NOON_MS)
    shop.process.number += 1
    shop.order(NOON_MS, NOON_MS)
    assert (shop.process.rewound, shop.converted) == (1, {})
    assert shop.process.handled[ORDERED, 0][0] == 0


def test_a_batch_of_an_earlier_epoch_is_dropped(shop: Shop) -> None:
    shop.process.epoch = 2
    shop.order(NOON_MS, NOON_MS)
    assert (shop.process.rewound, shop.converted) == (0, {})


def test_while_cassandra_is_away_the_state_says_so_and_nothing_is_committed(shop: Shop) -> None:
    said: list[Any] = []

    def away() -> bool:
        said.append((read_state(shop.home, "conversion") or {}).get("state"))
        assert shop.process.handled[ORDERED, 0][0] == 0
        return len(said) < 5

    shop.table.failing = away
    shop.order(NOON_MS, NOON_MS)
    assert said[1:] == ["waiting"] * 4
    assert shop.converted == {4711: 0}
    assert shop.process.handled[ORDERED, 0] == (1, "0")
    assert shop.figure("state") == "running"


def test_a_fault_of_ours_does_not_lose_the_order(shop: Shop) -> None:
    faults = [ZeroDivisionError("a fault"), KappaError("another"), None]

    def failing() -> bool:
        if fault := faults.pop(0):
            raise fault
        return False

    shop.table.failing = failing
    shop.order(NOON_MS, NOON_MS)
    assert shop.converted == {4711: 0}


def test_changes_that_cannot_be_read_are_counted_and_named(shop: Shop) -> None:
    around = shop.process.converter._around
    object.__setattr__(around, "placed_by", lambda records: Placed(unreadable=["[0]@17: no change of a row"]))
    shop.order(NOON_MS, NOON_MS)
    assert (shop.figure("unreadable"), shop.figure("last_unreadable")) == (1, f"{ORDERED}[0]@17: no change of a row")
    assert shop.figure("state") == "running"
    assert "unreadable" in shop.figure("detail")
    assert b"kappa_conversion_unreadable 1.0" in shop.process.state.page()


def test_a_process_that_stops_leaves_its_batch_uncommitted(shop: Shop) -> None:
    stopping: threading.Event = shop.process.converter._around.stopping

    def away() -> bool:
        stopping.set()
        return True

    shop.table.failing = away
    shop.order(NOON_MS, NOON_MS)
    assert shop.process.handled[ORDERED, 0][0] == 0


def test_reading_back_ends_when_the_process_stops(shop: Shop) -> None:
    shop.view(NOON_MS, NOON_MS)
    shop.committed_and_killed()
    shop.process.converter._around.stopping.set()
    with pytest.raises(Unavailable):
        shop.process.converter._fill(shop.process.start, NOON_MS)
    batch = LogBatch(ORDERED, 1, 0, [], shop.process.start, NOON_MS)
    shop.process.converter.handle(batch)
    assert shop.converted == {}
