"""What the archive lacks is named; what only looks like a hole is not taken for one."""

import pyarrow as pa

from schemas.gtid import gtid_set
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_transactions import SCHEMA
from spark.replayer.extract import ExtractResult, offset_runs
from spark.replayer.gaps import (
    IncompleteTransaction,
    OffsetGap,
    find_gaps,
    incomplete_transactions,
)

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)


def test_a_mark_of_kafka_between_changes_is_no_hole_and_a_missing_click_is() -> None:
    assert (
        find_gaps(
            [ExtractResult(ORDERS, offset_runs=[(0, 1, 5), (0, 6, 9)])],
            {ORDERS.topic: {0: 10}},
        )
        == []
    )
    assert find_gaps(
        [ExtractResult(CLICKS, offset_runs=[(0, 0, 5), (0, 6, 9)])], {CLICKS.topic: {0: 9}}
    ) == [OffsetGap(CLICKS.topic, 0, 5, 6)]


def test_a_hole_is_named_at_the_beginning_between_files_and_at_the_end() -> None:
    taken = [
        ExtractResult(ORDERS, offset_runs=[(0, 10, 20)]),
        ExtractResult(ORDERS, offset_runs=[(0, 15, 30), (0, 40, 50), (1, 0, 9)]),
    ]
    found = find_gaps(taken, {ORDERS.topic: {0: 60, 1: 9}})
    assert [str(hole) for hole in found] == [
        f"{ORDERS.topic}[0]@0-9",
        f"{ORDERS.topic}[0]@30-39",
        f"{ORDERS.topic}[0]@50-59",
    ]


def test_the_runs_of_a_file_stand_for_its_offsets_in_whatever_order() -> None:
    records = pa.table(
        {"partition": pa.array([0, 1, 0, 0, 0], pa.int32()), "offset": [8, 3, 1, 2, 4]}
    )
    assert offset_runs(records, 0) == [(0, 1, 3), (0, 4, 5), (0, 8, 9), (1, 3, 4)]
    assert offset_runs(records, 1) == [(0, 1, 5), (0, 8, 9), (1, 3, 4)]


def test_a_transaction_of_which_changes_are_lost_is_named_with_both_numbers() -> None:
    ends = pa.Table.from_pylist(
        [
            {"offset": n, "gtid": f"{UUID}:{n}", "topic": ORDERS.topic, "changes": 3}
            for n in (1, 2, 3)
        ],
        SCHEMA,
    )
    found = [
        pa.table({"tx_id": [f"{UUID}:1", f"{UUID}:2"], "tx_table_order_count": [3, 1]}),
        pa.table({"tx_id": [f"{UUID}:2"], "tx_table_order_count": [1]}),
    ]
    taken = [ExtractResult(ORDERS, changes_by_transaction=counts) for counts in found]
    assert incomplete_transactions(taken, ends, ORDERS.topic, gtid_set(f"{UUID}:1-2")) == [
        IncompleteTransaction(f"{UUID}:2", 3, 2)
    ]
    assert (
        incomplete_transactions(taken, ends, "cdc.eCommerce.user", gtid_set(f"{UUID}:1-3"))
        == []
    )
