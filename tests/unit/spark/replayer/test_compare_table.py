"""What a comparison says about two states of a table."""

from dataclasses import replace

import pyarrow as pa

from connectors.runtime.settings import load
from schemas.manifest import EMPTY_MANIFEST, HivePartition, PublishedTable
from spark.replayer.compare_table import (
    Comparison,
    PartitionComparison,
    align_rows,
    find_differences,
    plan_comparison,
    version_of_file,
)

HDFS = load({}).hdfs
ORDERS = PublishedTable(
    topic="cdc.eCommerce.orders",
    kind="changes",
    columns=(("id", "bigint"), ("v", "string")),
    key=("id",),
    partition_column=None,
    schema_id=1,
    version=3,
    gtid="",
    partitions={"": HivePartition(location="/a", rows=3, size=1)},
)


def rows(*found: tuple[int, str]) -> pa.Table:
    return pa.table({"id": [key for key, _ in found], "v": [value for _, value in found]})


def differences(live: pa.Table, rebuilt: pa.Table, key: list[str]) -> tuple[int, list[str]]:
    return find_differences(*align_rows(live, rebuilt, key or ["id", "v"]), key)


def test_rows_that_differ_are_named_by_their_key_with_both_values() -> None:
    found = differences(
        rows((1, "a"), (2, "b"), (3, "c")), rows((4, "d"), (1, "a"), (2, "x")), ["id"]
    )
    assert found == (
        3,
        [
            "row id 2: v live 'b', rebuilt 'x'",
            "row id 3: only live",
            "row id 4: only rebuilt",
        ],
    )


def test_a_row_that_is_twice_in_the_live_table_is_a_difference() -> None:
    assert differences(rows((1, "a"), (1, "a")), rows((1, "a")), ["id"]) == (
        1,
        ["has 1 rows twice in the live table"],
    )


def test_facts_without_a_key_are_compared_as_often_as_they_are_there() -> None:
    assert differences(rows((1, "a"), (1, "a")), rows((1, "a"), (2, "b")), []) == (
        2,
        ["{'id': 1, 'v': 'a'}: only live", "{'id': 2, 'v': 'b'}: only rebuilt"],
    )


def test_rows_without_a_key_may_have_structs_and_lists() -> None:
    kind = pa.struct([("x", pa.float64())])
    live = pa.table(
        {"p": pa.array([{"x": 1.0}, None, {"x": 1.0}], kind), "v": [[1], [2], [1]]}
    )
    rebuilt = live.take(pa.array([1, 0, 2]))
    order = ["p", "v"]
    assert find_differences(*align_rows(live, rebuilt, order), []) == (0, [])
    assert find_differences(*align_rows(live, rebuilt.slice(1), order), []) == (
        1,
        ["{'p': 'None', 'v': '[2]'}: only live"],
    )


def test_the_order_of_rows_is_no_difference_nor_is_a_partition_without_rows() -> None:
    one, other = align_rows(rows((2, "b"), (1, "a")), rows((1, "a"), (2, "b")), ["id"])
    assert one.equals(other)
    one, other = align_rows(pa.table({}), rows(), ["id"])
    assert one.num_rows == other.num_rows == 0


def test_a_table_that_is_not_there_or_has_other_columns_is_named_before_any_row_is_read() -> (
    None
):
    wider = replace(ORDERS, columns=(*ORDERS.columns, ("w", "int")))
    live = replace(EMPTY_MANIFEST, tables={"orders": ORDERS, "gone": ORDERS})
    tasks, comparison = plan_comparison(
        live,
        replace(EMPTY_MANIFEST, tables={"orders": wider, "new": ORDERS}),
        ["orders", "gone", "new"],
        HDFS,
    )
    assert (tasks, comparison.differing) == ([], {"orders": 1, "gone": 1, "new": 1})
    assert (
        comparison.examples[0]
        == "orders has other columns: live id bigint, v string (key id), rebuilt id bigint, v "
        "string, w int (key id)"
    )
    assert comparison.examples[1:] == ["gone cannot be rebuilt", "new is not live"]


def test_a_large_partition_is_compared_in_slices_and_few_of_its_rows_are_named() -> None:
    large = replace(
        ORDERS, partitions={"": HivePartition(location="/a", rows=1_200_000, size=1)}
    )
    tasks, comparison = plan_comparison(
        replace(EMPTY_MANIFEST, tables={"orders": large}),
        replace(EMPTY_MANIFEST, tables={"orders": large}),
        ["orders"],
        HDFS,
    )
    assert [(task.number, task.slices) for task in tasks] == [(0, 3), (1, 3), (2, 3)]
    for _ in tasks:
        comparison.add_partition(
            "orders",
            PartitionComparison(
                400_000, 4, tuple(f"orders row {number}" for number in range(4))
            ),
        )
    assert (comparison.rows, comparison.differing, len(comparison.examples)) == (
        1_200_000,
        {"orders": 12},
        5,
    )
    assert not comparison.equal
    assert Comparison().equal


def test_a_file_of_facts_says_which_version_brought_it() -> None:
    assert [
        version_of_file(name)
        for name in ("12-a1b2.parquet", "rows.parquet", "3-0001.parquet")
    ] == [
        12,
        0,
        3,
    ]
