"""Changes that the log lacks are waited for, and not read again before something has come."""

from connectors.kafka.client import Watermarks
from spark.compactor.missing_changes import ABSENT_SECONDS, MissingChangesTracker
from spark.log.consistent_cut import Gap

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS = "cdc.eCommerce.orders"
GAP = Gap(f"{UUID}:2", ORDERS, 1, 0, is_permanent=False)
LOG = {(ORDERS, 0): Watermarks(0, 5, 5), ("cdc.eCommerce.user", 0): Watermarks(0, 7, 7)}
MORE_ORDERS = {**LOG, (ORDERS, 0): Watermarks(0, 6, 6)}
MORE_USERS = {**LOG, ("cdc.eCommerce.user", 0): Watermarks(0, 9, 9)}


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_gap_is_skipped_until_its_topic_has_new_records() -> None:
    tracker = MissingChangesTracker()
    assert tracker.gap_to_skip(LOG) is None
    tracker.note_gap(GAP, LOG)
    assert tracker.gap_to_skip(LOG) == GAP
    assert tracker.gap_to_skip(MORE_USERS) == GAP
    assert tracker.gap_to_skip(MORE_ORDERS) is None
    tracker.note_gap(None, LOG)
    assert (tracker.gap_to_skip(LOG), tracker.missing) == (None, None)


def test_the_time_of_waiting_is_that_of_the_transaction_whatever_comes_of_it_meanwhile() -> (
    None
):
    clock = Clock()
    tracker = MissingChangesTracker(clock)
    other_gap = Gap(f"{UUID}:3", ORDERS, 1, 0, is_permanent=False)
    cases = [(GAP, LOG, 100.0), (GAP, MORE_ORDERS, 100.0), (other_gap, MORE_ORDERS, 120.0)]
    for seconds, (gap, log, since) in enumerate(cases):
        clock.seconds = 100.0 + 10 * seconds
        tracker.note_gap(gap, log)
        assert tracker.missing is not None
        assert (tracker.missing.gap, tracker.missing.since) == (gap, since)


def test_a_topic_that_does_not_exist_is_given_up_after_a_while() -> None:
    clock = Clock()
    tracker = MissingChangesTracker(clock)
    assert tracker.absent_topics() == {}
    tracker.note_gap(GAP, {})
    clock.seconds += ABSENT_SECONDS - 1
    assert tracker.absent_topics() == {}
    clock.seconds += 1
    assert list(tracker.absent_topics()) == [ORDERS]
    assert "the topic does not exist" in tracker.absent_topics()[ORDERS]


def test_a_topic_that_exists_is_waited_for_however_long() -> None:
    clock = Clock()
    tracker = MissingChangesTracker(clock)
    tracker.note_gap(GAP, LOG)
    clock.seconds += 100 * ABSENT_SECONDS
    assert tracker.absent_topics() == {}
