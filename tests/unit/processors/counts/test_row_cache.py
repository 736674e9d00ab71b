from processors.counts.aggregate import EMPTY_ROW, CountKey, CountRow
from processors.counts.row_cache import NO_EVENTS, UNKNOWN_TIME, RowCache

TEN_SECONDS = 10_000
KEY = CountKey(7, 0, 0)


def row_cache(
    max_event_ms: int, max_rows: int = 100, window_ms: int | None = TEN_SECONDS
) -> RowCache[CountKey, CountRow]:
    cache = RowCache[CountKey, CountRow](EMPTY_ROW, window_ms, max_rows)
    cache.begin_epoch({0: max_event_ms})
    return cache


def window_key(number: int) -> CountKey:
    return CountKey(7, number * TEN_SECONDS, 0)


def test_a_window_after_every_counted_event_needs_no_read() -> None:
    rows, missing_keys = row_cache(max_event_ms=25_000).lookup(
        [window_key(2), window_key(3)]
    )
    assert rows == {window_key(3): EMPTY_ROW}
    assert missing_keys == [window_key(2)]


def test_from_the_start_of_the_log_no_row_needs_a_read() -> None:
    assert row_cache(NO_EVENTS).lookup([KEY]) == ({KEY: EMPTY_ROW}, [])
    totals = row_cache(NO_EVENTS, window_ms=None)
    assert totals.lookup([KEY]) == ({KEY: EMPTY_ROW}, [])


def test_without_a_known_event_time_every_row_is_read() -> None:
    far_future = CountKey(7, 10**15, 0)
    assert row_cache(UNKNOWN_TIME).lookup([far_future]) == ({}, [far_future])
    other_partition = CountKey(7, 10**15, 5)
    assert row_cache(0).lookup([other_partition]) == ({}, [other_partition])


def test_a_total_without_windows_is_read_if_anything_was_counted_before() -> None:
    assert row_cache(25_000, window_ms=None).lookup([KEY]) == ({}, [KEY])


def test_a_forgotten_row_is_read_again_and_later_windows_are_not() -> None:
    cache = row_cache(NO_EVENTS, max_rows=4)
    for number in range(9):
        cache.put_dirty({window_key(number): CountRow(1, number)})
        if number % 3 == 2:
            cache.mark_durable()
    rows, missing_keys = cache.lookup([window_key(0), window_key(8), window_key(9)])
    assert missing_keys == [window_key(0)]
    assert rows == {window_key(8): CountRow(1, 8), window_key(9): EMPTY_ROW}
    assert len(cache) <= 4


def test_no_row_is_forgotten_before_cassandra_is_certain_to_keep_it() -> None:
    cache = row_cache(NO_EVENTS, max_rows=2)
    cache.put_dirty({KEY: CountRow(3, 3)})
    for number in range(1, 9):
        cache.put_clean({window_key(number): CountRow(1, number)})
    cache.mark_durable()  # rows changed since the last call may be durable, or not
    assert cache.lookup([KEY]) == ({KEY: CountRow(3, 3)}, [])


def test_changed_rows_are_taken_once() -> None:
    cache = row_cache(NO_EVENTS)
    cache.put_dirty({KEY: CountRow(1, 1)})
    cache.put_dirty({KEY: CountRow(2, 2)})
    assert cache.dirty_count == 1
    assert cache.take_dirty() == {KEY: CountRow(2, 2)}
    assert cache.dirty_count == 0
    assert cache.take_dirty() == {}


def test_after_a_rebalance_no_row_is_known() -> None:
    cache = row_cache(NO_EVENTS)
    cache.put_dirty({KEY: CountRow(1, 1)})
    cache.begin_epoch({0: 5_000})
    assert cache.lookup([KEY]) == ({}, [KEY])
    assert cache.take_dirty() == {}


def test_rows_that_are_being_written_stay_complete_when_an_epoch_begins() -> None:
    cache = row_cache(NO_EVENTS)
    cache.put_dirty({KEY: CountRow(3, 3)})
    rows = cache.take_dirty()
    cache.begin_epoch({0: 0})
    assert rows == {KEY: CountRow(3, 3)}
    assert cache.lookup([KEY]) == ({}, [KEY])
