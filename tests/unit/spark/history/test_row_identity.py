"""Which changes are one row's, from its insert to its delete and over changes of its key."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from spark.history.row_changes import Change, RowQuery
from spark.history.row_identity import in_log_order, next_query, trace_row

AT = datetime(2026, 3, 29, tzinfo=UTC)
ID = ("id",)


def change(
    offset: int,
    op: str,
    before: int | None,
    after: int | None,
    place: tuple[int, int] | None = None,
    **more: Any,
) -> Change:
    """A change at a place (position, row) of the binlog, its own unless it is given."""
    position, row = place or (100 * offset, 0)
    plain_change = Change(
        topic="cdc.s.t",
        partition=0,
        offset=offset,
        logged_at=AT,
        op=op,
        gtid=f"a:{offset}",
        binlog_position=("b.000001", position, row),
        transaction_order=(f"a:{offset}", 1),
        before=None if before is None else {"id": before, "v": offset},
        after=None if after is None else {"id": after, "v": offset},
        version=1,
        raw_key=None,
        error=None,
    )
    return replace(plain_change, **more)


def moved(offset: int, old: int, new: int) -> list[Change]:
    """A changed key, as Debezium shows it: a delete and an insert at one place of the binlog."""
    gone = change(offset, "d", old, None, (offset, 3))
    come = change(offset + 1, "c", None, new, (offset, 3))
    return [gone, replace(come, transaction_order=(f"a:{offset}", 2))]


def offsets(changes: list[Change], key: str) -> list[int]:
    return [one.offset for one in trace_row(changes, ID, (key,)).changes]


def test_a_row_is_followed_over_changes_of_its_key_from_either_end() -> None:
    log = [
        change(0, "c", None, 1),
        change(1, "u", 1, 1),
        *moved(2, 1, 5),
        change(4, "u", 5, 5),
        *moved(5, 5, 9),
        change(7, "d", 9, None),
    ]
    for key in ("1", "5", "9"):
        assert offsets(log, key) == list(range(8))
    found = trace_row(log, ID, ("1",))
    assert [(one.previous_key, one.next_key) for one in found.changes[2:4]] == [
        (None, ("5",)),
        (("1",), None),
    ]
    assert (found.keys, found.current_keys) == ({("1",), ("5",), ("9",)}, [])


def test_another_row_under_the_same_key_counts_and_the_ways_of_its_namesakes_do_not() -> (
    None
):
    log = [
        change(0, "c", None, 1),
        *moved(1, 1, 5),
        change(3, "c", None, 1),
        change(4, "u", 5, 5),
        change(5, "u", 1, 1),
        change(6, "d", 5, None),
        change(7, "c", None, 5),
        change(8, "u", 5, 5),
    ]
    assert offsets(log, "1") == [0, 1, 2, 3, 4, 5, 6], (
        "the row that came to 5 later has never been 1"
    )
    assert offsets(log, "5") == [0, 1, 2, 4, 6, 7, 8], (
        "the row that came to 1 later has never been 5"
    )
    assert trace_row(log, ID, ("5",)).current_keys == [("5",)]


def test_a_delete_and_an_insert_of_two_statements_are_no_changed_key() -> None:
    log = [change(0, "c", None, 1), change(1, "d", 1, None), change(2, "c", None, 5)]
    assert offsets(log, "1") == [0, 1]


def test_keys_that_all_rows_pass_on_are_told_apart() -> None:
    log = [change(number, "c", None, number) for number in range(1, 4)]
    for number in (3, 2, 1):  # UPDATE t SET id = id + 1 ORDER BY id DESC
        log += moved(20 - 2 * number, number, number + 1)
    assert offsets(log, "2") == [1, 2, 16, 17, 18, 19], (
        "the one that was 2 and became 3, and the one that became 2"
    )


def test_what_connect_wrote_again_is_shown_as_that_and_changes_nothing() -> None:
    again = replace(change(0, "c", None, 1), offset=9)
    found = trace_row([change(0, "c", None, 1), change(1, "d", 1, None), again], ID, ("1",))
    assert [(one.offset, one.is_repeated) for one in found.changes] == [
        (0, False),
        (1, False),
        (9, True),
    ]
    assert found.current_keys == []


def test_a_truncate_ends_every_row_and_belongs_to_those_that_were_there() -> None:
    log = [change(0, "c", None, 1), change(1, "t", None, None), change(2, "c", None, 2)]
    assert (offsets(log, "1"), offsets(log, "2")) == ([0, 1], [2])
    assert trace_row(log, ID, ("1",)).current_keys == []


def test_a_record_of_the_row_that_cannot_be_read_is_in_its_history() -> None:
    unreadable = replace(
        change(1, "", None, None),
        op=None,
        raw_key=b"k1",
        error="not Avro",
        binlog_position=None,
        transaction_order=None,
    )
    log = [change(0, "c", None, 1, raw_key=b"k1"), unreadable]
    assert offsets(log, "1") == [0, 1]
    assert RowQuery(ID, frozenset(), frozenset({b"k1"})).matches(unreadable)


def test_the_order_is_that_of_the_binlog_where_a_topic_has_several_partitions() -> None:
    late = replace(change(0, "u", 1, 1), partition=1, binlog_position=("b.000010", 4, 0))
    early = replace(change(7, "c", None, 1), binlog_position=("b.000009", 900, 0))
    assert in_log_order([late, early]) == [early, late], "files order as numbers"


def test_what_has_been_searched_for_is_not_searched_for_again() -> None:
    found = trace_row([change(0, "c", None, 1), *moved(1, 1, 5)], ID, ("1",))
    more = next_query(found, {("1",)}, ID, set(), set())
    assert more is not None
    assert (more.keys, more.positions) == (
        {("5",)},
        {("b.000001", 0, 0), ("b.000001", 1, 3)},
    )
    assert next_query(found, found.keys, ID, found.positions, found.raw_keys) is None
