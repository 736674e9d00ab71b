"""The time in which all workers of a group count: only that is in the figures."""

from infra.bench.counts.scaling import SETTLE_SECONDS, WorkerStates

MIDNIGHT = 1_767_225_600.0


def state(
    second: int, events: int, lag: int, repeated: int = 0, first: float = MIDNIGHT
) -> dict[str, object]:
    return {
        "updated_at": f"2026-01-01T00:00:{second:02d}.000+00:00",
        "events": events,
        "repeated": repeated,
        "lag": lag,
        "first_event_at": first,
    }


def test_only_what_is_counted_while_all_have_something_to_count_is_in_the_figures() -> None:
    states = WorkerStates(["a", "b"])
    states.add_state("b", state(0, 0, 9, first=0))  # it has not begun
    states.add_state("a", state(0, 100, 9))
    assert states.common_span() == (0.0, 0.0)
    states.add_state("b", state(5, 70, 9, repeated=20, first=MIDNIGHT + 5))
    states.add_state("a", state(20, 2_100, 0))
    states.add_state("a", state(40, 2_100, 0))
    states.add_state("b", state(25, 2_050, 9, repeated=20, first=MIDNIGHT + 5))
    assert states.common_span() == (MIDNIGHT + 5 + SETTLE_SECONDS, MIDNIGHT + 20)
    # b counted 1,980 events in the twenty seconds between its states.
    assert states.count_events(MIDNIGHT + 10, MIDNIGHT + 20) == 1_000 + 990


def test_a_load_that_the_first_has_counted_before_the_second_began_measures_nothing() -> (
    None
):
    states = WorkerStates(["a", "b"])
    states.add_state("a", state(2, 100, 0))
    states.add_state("b", state(9, 0, 0, first=MIDNIGHT + 9))
    begin, end = states.common_span()
    assert begin == end


def test_a_state_that_is_read_twice_counts_once() -> None:
    states = WorkerStates(["a"])
    for _ in range(2):
        states.add_state("a", state(2, 100, 9))
    states.add_state("a", state(4, 200, 0))
    assert states.count_events(MIDNIGHT + 2, MIDNIGHT + 4) == 100


def test_a_worker_that_never_ran_has_no_state() -> None:
    states = WorkerStates(["a"])
    states.add_state("a", None)
    assert states.common_span() == (0.0, 0.0)
