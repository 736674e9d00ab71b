"""Full snapshots: when one is whole."""

from dataclasses import replace

from schemas.warehouse import Kind, Source
from spark.archive import Archived
from spark.manifest import NOTHING, Manifest, Snapshot, Table
from spark.scopes import Ends
from spark.snapshots import following, unconfirmed

ORDERS = Table("cdc.eCommerce.orders", "changes", (), ("order_id",), None, 7, 3, "", snapshot="binlog.000002:4")
NOBODY = Ends([], 10, 10)
END = Ends([(12, {"status": "END"})], 10, 13)


def rows(at: int = 4, ended: bool = False) -> list[Archived]:
    source = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
    return [Archived(source, (), snapshot=f"binlog.000002:{at}", snapshot_place=(2, at), snapshot_ended=ended)]


def after(snapshot: Snapshot | None) -> Manifest:
    return replace(NOTHING, version=5, gtid="a:1-5" if snapshot else "", snapshot=snapshot, tables={"orders": ORDERS})


def test_a_snapshot_is_whole_in_the_round_after_its_last_row_was_seen_if_nothing_of_it_came_since() -> None:
    begun = following(after(None), 6, rows(), NOBODY, None)
    assert begun == Snapshot("binlog.000002:4", 6, 10, ("orders",))
    ended = following(after(begun), 7, rows(ended=True), NOBODY, None)
    assert ended == replace(begun, ended=True)
    assert following(after(ended), 8, rows(), NOBODY, "a:1-5") == ended, "another topic had rows of it yet"
    assert following(after(ended), 8, [], NOBODY, None) == ended, "nobody says at which GTID set it was taken"
    whole = following(after(ended), 8, [], NOBODY, "a:1-5")
    assert whole == replace(begun, ended=True, whole=True)
    assert following(after(whole), 9, rows(), NOBODY, None) == whole


def test_a_transaction_after_it_ends_a_snapshot_and_tells_its_place() -> None:
    begun = Snapshot("binlog.000002:4", 6, 11, ())
    followed = following(after(begun), 7, [], END, None)
    assert followed == replace(begun, ended=True, followed=True)
    assert following(after(followed), 8, [], NOBODY, None) == replace(begun, ended=True, followed=True, whole=True)
    before_it = replace(begun, ends_then=13)
    assert following(after(before_it), 7, [], END, None) == before_it, "that transaction ended before the snapshot was seen"


def test_another_snapshot_begins_anew_and_shows_which_tables_have_no_rows() -> None:
    first = Snapshot("binlog.000002:4", 6, 10, (), ended=True, followed=True, whole=True)
    second = following(after(first), 9, rows(at=900), NOBODY, None)
    assert second == Snapshot("binlog.000002:900", 9, 10, ("orders",), after="a:1-5"), "after those, nobody wrote down what happened"
    third = following(replace(after(second), gtid="a:1-5,b:9"), 10, rows(at=950), NOBODY, None)
    assert third is not None and third.after == "a:1-5", "the second was never whole: the hole is as long as both"
    assert unconfirmed({"orders": ORDERS}, second) == ["orders"]
    assert unconfirmed({"orders": replace(ORDERS, snapshot="binlog.000002:900")}, second) == []
