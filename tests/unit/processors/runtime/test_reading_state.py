"""How far a process has read, and what cannot continue."""

from processors.runtime.reading_state import ReadingState
from schemas.errors import Refused, Unavailable


def test_the_lag_counts_from_the_last_batch_or_from_where_reading_began() -> None:
    state = ReadingState()
    state.note_offsets("views", {0: 5, 1: 20})
    state.note_offsets("views", {0: 7})
    starts = {("views", 1): 30, ("views", 2): 4}
    ends = {("views", partition): 40 for partition in range(4)} | {("orders", 0): 3}
    assert state.lag(starts, ends) == {
        ("views", 0): 33,
        ("views", 1): 10,
        ("views", 2): 36,
        ("views", 3): 40,
        ("orders", 0): 3,
    }


def test_a_topic_that_was_recreated_has_no_lag() -> None:
    state = ReadingState()
    state.note_offsets("views", {0: 5})
    assert state.lag({}, {("views", 0): 2}) == {("views", 0): 0}


def test_the_first_problem_is_the_state_until_all_are_gone() -> None:
    state = ReadingState()
    assert state.problem() is None
    state.note_problem("views", Refused("no such table"))
    state.note_problem("log", Unavailable("Kafka does not answer"))
    assert state.problem() == ("waiting", "log: Kafka does not answer")
    state.clear_problem("log")
    assert state.problem() == ("failed", "views: no such table")
    state.clear_problem("views")
    state.clear_problem("views")
    assert state.problem() is None
