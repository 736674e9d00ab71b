"""What a merge plans with, of some records."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from schemas.errors import ContractError
from schemas.logical_types import INSTANT
from schemas.warehouse_layout import NO_DATE, WHOLE, Kind, Source
from spark.archive.archived_ranges import NO_SNAPSHOT, ArchivedRanges, SnapshotRows
from spark.archive.record_summary import note_change, note_partitions, touched_partitions
from spark.storage.key_bounds import ANY_KEY, KeySpan
from tests.unit.connectors.kafka.readers.assigned_consumer import LogMessage

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)
KEY = b"\x00\x00\x00\x00\x09key"
SNAPSHOT_ID = "binlog.000002:100"
READ_AT_100 = SnapshotRows(SNAPSHOT_ID, (2, 100))
READ_AT_100_AND_50 = SnapshotRows(
    SNAPSHOT_ID, (2, 100), earlier_ids=frozenset({"binlog.000002:50"})
)


def change(
    op: str, position: int = 10, snapshot: str = "false", file: int = 2, **more: Any
) -> dict[str, Any]:
    source = {
        "file": f"binlog.{file:06}",
        "pos": position,
        "gtid": None if op == "r" else f"a:{position}",
        "snapshot": snapshot,
    }
    transaction = None if op in "rt" else {"id": source["gtid"]}
    before = {"id": 1} if op in "ud" else None
    return {
        "op": op,
        "source": source,
        "transaction": transaction,
        "before": before,
        **more,
    }


def summarize(*changes: dict[str, Any], key: bytes | None = KEY) -> ArchivedRanges:
    archived = ArchivedRanges(source=ORDERS)
    for offset, record in enumerate(changes):
        note_change(archived, LogMessage(ORDERS.topic, 0, offset, key=key), record)
    return archived


@pytest.mark.parametrize(
    ("changes", "position"),
    [
        ([change("c", 10), change("u", 30), change("d", 20)], (2, 30, "a:30")),
        ([change("c", 99, file=9), change("c", 5, file=10)], (10, 5, "a:5")),
        ([change("r", 100, "true")], (2, 100, "")),
    ],
    ids=["the highest of several", "files as numbers", "a row of a snapshot has no GTID"],
)
def test_the_position_is_that_of_the_furthest_change(
    changes: list[dict[str, Any]], position: tuple[int, int, str]
) -> None:
    summary = summarize(*changes).summary
    assert (summary.position, summary.key_schema_id, summary.is_truncated) == (
        position,
        9,
        False,
    )


@pytest.mark.parametrize(
    ("changes", "snapshot"),
    [
        ([change("c")], NO_SNAPSHOT),
        ([change("r", 100, "true"), change("r", 100, "true")], READ_AT_100),
        (
            [change("r", 100, "true"), change("r", 100, "last")],
            SnapshotRows(SNAPSHOT_ID, (2, 100), True),
        ),
        (
            [change("r", 100, "true"), change("c", 110)],
            SnapshotRows(SNAPSHOT_ID, (2, 100), True),
        ),
        ([change("r", 100, "incremental")], NO_SNAPSHOT),
        ([change("r", 50, "last"), change("r", 100, "true")], READ_AT_100_AND_50),
        ([change("r", 100, "true"), change("r", 50, "true")], READ_AT_100_AND_50),
        (
            [change("r", 50, "true"), change("r", 100, "true"), change("c", 110)],
            replace(READ_AT_100_AND_50, has_ended=True),
        ),
        ([change("r", 100, "true"), change("t", 110)], READ_AT_100),
    ],
    ids=[
        "none",
        "its rows",
        "its last row",
        "a change after it",
        "a chunk of an incremental one",
        "another one begins",
        "rows of an older one",
        "a change after two",
        "a TRUNCATE, which is in no transaction",
    ],
)
def test_a_snapshot_ends_with_its_last_row_or_a_change_after_it(
    changes: list[dict[str, Any]], snapshot: SnapshotRows
) -> None:
    assert summarize(*changes).snapshot == snapshot


def test_a_truncate_needs_no_key() -> None:
    summary = summarize(change("t"), key=None).summary
    assert (summary.is_truncated, summary.key_schema_id) == (True, None)


def test_the_last_change_of_a_row_tells_whether_the_table_has_a_key() -> None:
    assert summarize(change("c"), key=None).summary.is_keyless
    assert not summarize(change("c")).summary.is_keyless
    assert not summarize(change("t"), key=None).summary.is_keyless


def test_without_a_key_an_update_needs_its_old_row() -> None:
    assert not summarize(change("u", before=None)).summary.is_keyless
    with pytest.raises(ContractError, match="no key: an update without the row") as stopped:
        summarize(change("u", before=None), key=None)
    assert stopped.value.hint == "set MySQL's binlog_row_image=FULL"


def test_a_delete_without_its_old_row_is_refused_with_the_setting_to_change() -> None:
    with pytest.raises(ContractError, match="a delete without the row") as stopped:
        summarize(change("d", before=None))
    assert stopped.value.hint == "set MySQL's binlog_row_image=FULL"


ROW = pa.struct([("id", pa.int64()), ("orderedAt", INSTANT)])


def image(*rows: tuple[int, int | None] | None) -> pa.Array:
    """Rows by their id and their day of July 2026."""
    structs = []
    for row in rows:
        if row is None:
            structs.append(None)
        else:
            key, day = row
            ordered_at = day and datetime(2026, 7, day, 23, tzinfo=UTC)
            structs.append({"id": key, "orderedAt": ordered_at})
    return pa.array(structs, ROW)


@pytest.mark.parametrize(
    ("before", "after", "values", "unplaced_keys"),
    [
        ([None], [(5, 1)], {"2026-07-01"}, KeySpan(5, 5)),
        ([(5, 1)], [(5, 2)], {"2026-07-01", "2026-07-02"}, None),
        ([(5, 1)], [None], {"2026-07-01"}, None),
        (
            [None, None, (7, 3)],
            [(5, 1), (9, 1), (7, 3)],
            {"2026-07-01", "2026-07-03"},
            KeySpan(5, 9),
        ),
        ([None], [(5, None)], {NO_DATE}, KeySpan(5, 5)),
        ([None], [None], set(), None),
    ],
    ids=["insert", "move", "delete", "inserts and an update", "no date", "tombstone"],
)
def test_changes_touch_the_days_of_their_old_and_new_rows(
    before: list[Any], after: list[Any], values: set[str], unplaced_keys: KeySpan | None
) -> None:
    table = pa.table({"before": image(*before), "after": image(*after)})
    assert touched_partitions(ORDERS, table, ("id",)) == (values, unplaced_keys)


def test_a_row_whose_date_debezium_cannot_show_was_maybe_without_a_date() -> None:
    epoch = pa.array([{"id": 1, "orderedAt": 0}], ROW)
    present = image((1, 1))
    table = pa.table({"before": epoch, "after": present})
    assert touched_partitions(ORDERS, table, ("id",)) == (
        {"1970-01-01", "2026-07-01", NO_DATE},
        None,
    )


def test_a_table_that_is_not_partitioned_is_touched_whole() -> None:
    table = pa.table({"before": image(None), "after": image((1, 1))})
    assert touched_partitions(USERS, table, ("id",)) == ({WHOLE}, None)


def test_facts_and_an_unknown_key_say_nothing_about_older_rows() -> None:
    viewed = pa.struct([("product", pa.int64()), ("viewed_at", INSTANT)])
    click = {"product": 1, "viewed_at": datetime(2026, 7, 1, tzinfo=UTC)}
    clicks = pa.table({"after": pa.array([click], viewed)})
    assert touched_partitions(CLICKS, clicks, ()) == ({"2026-07-01"}, None)
    changes = pa.table({"before": image(None), "after": image((1, 1))})
    assert touched_partitions(ORDERS, changes, ()) == ({"2026-07-01"}, None)


def test_the_partitions_of_several_batches_add_up() -> None:
    archived = ArchivedRanges(source=ORDERS)
    for key, day in ((9, 1), (2, 3)):
        table = pa.table({"before": image(None), "after": image((key, day))})
        note_partitions(archived, table, ("id",))
    moved = pa.table({"before": image((1, 4)), "after": image((1, 4))})
    note_partitions(archived, moved, ("id",))
    assert archived.summary.hive_partitions == {"2026-07-01", "2026-07-03", "2026-07-04"}
    assert archived.summary.unplaced_keys == KeySpan(2, 9)


def test_keys_that_are_no_integers_may_be_anywhere() -> None:
    names = pa.struct([("id", pa.string()), ("orderedAt", INSTANT)])
    rows = pa.array([{"id": "x", "orderedAt": datetime(2026, 7, 1, tzinfo=UTC)}], names)
    table = pa.table({"before": pa.nulls(1, names), "after": rows})
    assert touched_partitions(ORDERS, table, ("id",))[1] == ANY_KEY
