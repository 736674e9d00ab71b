"""Archived changes in the order of the log, each once."""

from typing import Any

import pyarrow as pa
import pytest

from schemas.ddl.statements import START
from schemas.gtid import GtidSet, gtid_set
from spark.merge.change_order import (
    changes_between,
    in_log_order,
    row_numbers,
    since_restart,
    without_repetitions,
)
from tests.unit.spark.change_log import (
    TRUNCATE,
    UUID,
    delete,
    insert,
    log,
    read,
    update,
    within,
)


def test_across_partitions_the_binlog_says_the_order_in_numbers() -> None:
    def at(file: str, pos: int, name: str) -> dict[str, Any]:
        return update(1, name) | {"binlog_file": file, "binlog_pos": pos, "binlog_row": 0}

    one = log(
        at("binlog.999999", 123, "second"), at("binlog.1000000", 4, "last"), partition=0
    )
    other = log(
        at("binlog.999999", 23, "first"), at("binlog.999999", 1000, "third"), partition=1
    )
    assert [
        name["name"] for name in in_log_order([one, other]).column("after").to_pylist()
    ] == [
        "first",
        "second",
        "third",
        "last",
    ]


def test_changes_are_cut_between_positions_as_numbers() -> None:
    changes = pa.table(
        {
            "binlog_file": ["binlog.9", "binlog.10", "binlog.10", None],
            "binlog_pos": pa.array([999, 5, 50, None], pa.int64()),
        }
    )
    assert changes_between(changes, (10, 0), (10, 50)).column("binlog_pos").to_pylist() == [
        5
    ]
    assert changes_between(changes, START, None).num_rows == 4


def test_rows_are_numbered_from_zero() -> None:
    assert row_numbers(3) == pa.array([0, 1, 2], pa.int64())
    assert len(row_numbers(0)) == 0


def test_within_one_partition_the_offset_says_the_order() -> None:
    first = log(insert(1, "a"), insert(2, "b"))
    later = log(insert(3, "c")).set_column(1, "offset", pa.array([9], pa.int64()))
    keys = [row["id"] for row in in_log_order([later, first]).column("after").to_pylist()]
    assert keys == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "merged", "kept"),
    [
        (within(1, insert(1, "a"), update(1, "b")), "", [0, 1]),
        ([*within(1, insert(1, "a")), *within(1, insert(1, "a"))], "", [0]),
        (
            [*within(1, insert(1, "a")), *within(2, delete(1)), *within(1, insert(1, "a"))],
            "",
            [0, 1],
        ),
        ([*within(1, insert(1, "a")), *within(2, insert(2, "b"))], "1", [1]),
        ([TRUNCATE | {"gtid": f"{UUID}:3"}, TRUNCATE | {"gtid": f"{UUID}:3"}], "", [0]),
        ([TRUNCATE | {"gtid": f"{UUID}:3"}], "1-3", []),
        ([read(100, 1, "a"), read(100, 1, "a")], "1-9", [0, 1]),
    ],
    ids=[
        "one transaction",
        "repeated at once",
        "repeated behind a newer one",
        "merged before",
        "repeated TRUNCATE",
        "merged TRUNCATE",
        "rows of a snapshot",
    ],
)
def test_each_change_of_a_transaction_counts_once(
    changes: list[dict[str, Any]], merged: str, kept: list[int]
) -> None:
    merged_gtids = gtid_set(f"{UUID}:{merged}") if merged else GtidSet()
    remaining = without_repetitions(log(*changes), merged_gtids)
    assert remaining.column("offset").to_pylist() == kept


@pytest.mark.parametrize(
    ("changes", "snapshot", "first", "restarted"),
    [
        ([insert(1, "a")], "", 0, False),
        ([insert(1, "a"), TRUNCATE, insert(2, "b")], "", 2, True),
        ([TRUNCATE, insert(1, "a"), TRUNCATE], "", 3, True),
        ([insert(1, "a"), read(100, 2, "b")], "", 1, True),
        ([insert(1, "a"), read(100, 2, "b")], "binlog.000002:100", 0, False),
        ([read(100, 1, "a"), read(200, 2, "b")], "binlog.000002:100", 1, True),
        ([read(100, 1, "a", "incremental")], "", 0, False),
        ([read(100, 1, "a"), TRUNCATE], "", 2, True),
    ],
    ids=[
        "changes only",
        "truncate",
        "the last of two truncates",
        "first snapshot",
        "the table's own snapshot",
        "another snapshot",
        "chunk of an incremental snapshot",
        "truncate after a snapshot",
    ],
)
def test_a_table_begins_anew_with_a_truncate_and_with_another_snapshot(
    changes: list[dict[str, Any]], snapshot: str, first: int, restarted: bool
) -> None:
    remaining, is_restart = since_restart(log(*changes), snapshot)
    assert remaining.column("offset").to_pylist() == list(range(first, len(changes)))
    assert is_restart is restarted
