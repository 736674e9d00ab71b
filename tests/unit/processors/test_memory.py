from processors.counting import NOTHING, Key, Row
from processors.memory import NOTHING_BEFORE, UNKNOWN, Memory

TEN_SECONDS = 10_000


def memory(before_ms: int, most: int = 100, window_ms: int | None = TEN_SECONDS) -> Memory[Key, Row]:
    made = Memory(NOTHING, window_ms, most)
    made.begin({0: before_ms})
    return made


def test_a_window_after_all_that_was_counted_needs_no_reading() -> None:
    found, missing = memory(before_ms=25_000).known([Key(7, 20_000, 0), Key(7, 30_000, 0)])
    assert (found, missing) == ({Key(7, 30_000, 0): NOTHING}, [Key(7, 20_000, 0)])


def test_from_the_start_of_the_log_nothing_needs_reading() -> None:
    assert memory(NOTHING_BEFORE).known([Key(7, 0, 0)]) == ({Key(7, 0, 0): NOTHING}, [])
    assert memory(NOTHING_BEFORE, window_ms=None).known([Key(7, 0, 0)]) == ({Key(7, 0, 0): NOTHING}, [])


def test_where_nobody_noted_how_far_counting_was_every_row_is_read() -> None:
    assert memory(UNKNOWN).known([Key(7, 10**15, 0)])[1] == [Key(7, 10**15, 0)]
    assert memory(0).known([Key(7, 10**15, 5)])[1] == [Key(7, 10**15, 5)]


def test_a_total_without_windows_is_read_if_anything_was_counted_before() -> None:
    assert memory(25_000, window_ms=None).known([Key(7, 0, 0)])[1] == [Key(7, 0, 0)]


def test_a_forgotten_row_is_read_again_and_later_windows_are_not() -> None:
    kept = memory(NOTHING_BEFORE, most=4)
    for window in range(9):
        kept.change({Key(7, window * TEN_SECONDS, 0): Row(1, window)})
        if window % 3 == 2:
            kept.settled()
    found, missing = kept.known([Key(7, 0, 0), Key(7, 8 * TEN_SECONDS, 0), Key(7, 9 * TEN_SECONDS, 0)])
    assert missing == [Key(7, 0, 0)]
    assert found[Key(7, 8 * TEN_SECONDS, 0)] == Row(1, 8)
    assert len(kept) <= 4


def test_no_row_is_forgotten_before_cassandra_has_it_for_good() -> None:
    kept = memory(NOTHING_BEFORE, most=2)
    first = Key(7, 0, 0)
    kept.change({first: Row(3, 3)})
    for window in range(1, 9):
        kept.keep({Key(7, window * TEN_SECONDS, 0): Row(1, window)})
    kept.settled()  # what was counted since may have gone with it, or not
    assert kept.known([first])[0] == {first: Row(3, 3)}


def test_what_changed_is_taken_once() -> None:
    kept = memory(NOTHING_BEFORE)
    kept.change({Key(7, 0, 0): Row(1, 1)})
    kept.change({Key(7, 0, 0): Row(2, 2)})
    assert (kept.unwritten, kept.take(), kept.unwritten, kept.take()) == (1, {Key(7, 0, 0): Row(2, 2)}, 0, {})


def test_after_a_rebalance_nothing_is_known() -> None:
    kept = memory(NOTHING_BEFORE)
    kept.change({Key(7, 0, 0): Row(1, 1)})
    kept.begin({0: 5_000})
    assert kept.known([Key(7, 0, 0)])[1] == [Key(7, 0, 0)]
    assert kept.take() == {}


def test_rows_that_are_being_written_stay_whole_when_counting_begins_anew() -> None:
    kept = memory(NOTHING_BEFORE)
    kept.change({Key(7, 0, 0): Row(3, 3)})
    taken = kept.take()
    kept.begin({0: 0})
    assert taken == {Key(7, 0, 0): Row(3, 3)}
    assert kept.known([Key(7, 0, 0)])[1] == [Key(7, 0, 0)]
