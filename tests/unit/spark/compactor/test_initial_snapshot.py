"""Full snapshots: when one is whole."""

from dataclasses import replace

from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, Manifest, PublishedTable
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedRanges, SnapshotRows
from spark.compactor.cut_builder import TransactionLogRange
from spark.compactor.initial_snapshot import (
    NO_SNAPSHOT_ROWS,
    next_snapshot,
    unread_tables,
    unread_topics,
)

ORDERS = PublishedTable(
    topic="cdc.eCommerce.orders",
    kind="changes",
    columns=(),
    key=("order_id",),
    partition_column=None,
    schema_id=7,
    version=3,
    gtid="",
    snapshot="binlog.000002:4",
)
NOBODY = TransactionLogRange([], 10, 10)
END = TransactionLogRange([(12, {"status": "END"})], 10, 13)


def rows(at: int = 4, ended: bool = False, earlier: str = "") -> list[ArchivedRanges]:
    source = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
    return [
        ArchivedRanges(
            source=source,
            snapshot=SnapshotRows(
                f"binlog.000002:{at}",
                (2, at),
                has_ended=ended,
                earlier_ids=frozenset({earlier} - {""}),
            ),
        )
    ]


def after(snapshot: DebeziumSnapshot | None) -> Manifest:
    return replace(
        EMPTY_MANIFEST,
        version=5,
        gtid="a:1-5" if snapshot else "",
        snapshot=snapshot,
        tables={"orders": ORDERS},
    )


def test_a_snapshot_is_whole_one_round_after_its_last_row_if_no_more_rows_came() -> None:
    begun = next_snapshot(after(None), 6, rows(), NOBODY, None)
    assert begun == DebeziumSnapshot(
        id="binlog.000002:4", version=6, transactions_end=10, tables=("orders",)
    )
    ended = next_snapshot(after(begun), 7, rows(ended=True), NOBODY, None)
    assert ended == replace(begun, has_ended=True)
    assert next_snapshot(after(ended), 8, rows(), NOBODY, "a:1-5") == ended, (
        "another topic had rows of it yet"
    )
    assert next_snapshot(after(ended), 8, [], NOBODY, None) == ended, (
        "nobody says at which GTID set it was taken"
    )
    whole = next_snapshot(after(ended), 8, [], NOBODY, "a:1-5")
    assert whole == replace(begun, has_ended=True, whole=True)
    assert next_snapshot(after(whole), 9, rows(), NOBODY, None) == whole


def test_a_transaction_after_it_ends_a_snapshot_and_tells_its_place() -> None:
    begun = DebeziumSnapshot(
        id="binlog.000002:4", version=6, transactions_end=11, tables=()
    )
    followed = next_snapshot(after(begun), 7, [], END, None)
    assert followed == replace(begun, has_ended=True, is_superseded=True)
    assert next_snapshot(after(followed), 8, [], NOBODY, None) == replace(
        begun, has_ended=True, is_superseded=True, whole=True
    )
    before_it = replace(begun, transactions_end=13)
    assert next_snapshot(after(before_it), 7, [], END, None) == before_it, (
        "that transaction ended before the snapshot was seen"
    )


def test_another_snapshot_begins_anew_and_shows_which_tables_have_no_rows() -> None:
    first = DebeziumSnapshot(
        id="binlog.000002:4",
        version=6,
        transactions_end=10,
        tables=(),
        has_ended=True,
        is_superseded=True,
        whole=True,
    )
    second = next_snapshot(after(first), 9, rows(at=900), NOBODY, None)
    assert second == DebeziumSnapshot(
        id="binlog.000002:900",
        version=9,
        transactions_end=10,
        tables=("orders",),
        previous_transactions="a:1-5",
        earlier_ids=("binlog.000002:4",),
    ), "after those, nobody wrote down what happened"
    third = next_snapshot(
        replace(after(second), gtid="a:1-5,b:9"), 10, rows(at=950), NOBODY, None
    )
    assert third is not None and third.previous_transactions == "a:1-5", (
        "the second was never whole: the hole is as long as both"
    )


def test_rows_of_an_earlier_snapshot_do_not_begin_it_again() -> None:
    first = next_snapshot(after(None), 6, rows(at=900), NOBODY, None)
    # As after a reset of the binary log.
    second = next_snapshot(after(first), 7, rows(at=4, ended=True), NOBODY, None)
    assert second is not None
    assert (second.id, second.earlier_ids) == ("binlog.000002:4", ("binlog.000002:900",))
    # Of a table that was refused until now, and that the second snapshot has no more.
    whole = next_snapshot(after(second), 8, rows(at=900), NOBODY, "a:1-5")
    assert whole == replace(second, whole=True)


def test_snapshots_of_which_rows_come_at_once_are_earlier_ones_too() -> None:
    ranges = rows(at=4) + rows(at=900, earlier="binlog.000002:1") + rows(at=7)
    snapshot = next_snapshot(after(None), 6, ranges, NOBODY, None)
    assert snapshot is not None
    assert snapshot.id == "binlog.000002:900"
    assert snapshot.earlier_ids == (
        "binlog.000002:1",
        "binlog.000002:4",
        "binlog.000002:7",
    )
    assert next_snapshot(after(snapshot), 7, rows(at=4), NOBODY, None) == snapshot


def test_tables_without_rows_in_a_whole_snapshot_are_to_be_read() -> None:
    snapshot = DebeziumSnapshot(
        id="binlog.000002:900",
        version=9,
        transactions_end=10,
        tables=("orders", "dropped since"),
        whole=True,
    )
    assert unread_tables({"orders": ORDERS}, snapshot) == ["orders"]
    assert unread_topics({"orders": ORDERS}, snapshot) == {ORDERS.topic: NO_SNAPSHOT_ROWS}
    with_rows = {"orders": replace(ORDERS, snapshot=snapshot.id)}
    assert unread_tables(with_rows, snapshot) == []
    assert unread_tables({"orders": ORDERS}, replace(snapshot, whole=False)) == []
    assert unread_tables({"orders": ORDERS}, None) == []
