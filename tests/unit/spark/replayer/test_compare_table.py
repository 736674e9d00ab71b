"""What a comparison says about two states of a table."""

from dataclasses import replace

import pyarrow as pa

from infra.settings import load
from spark.manifest import NOTHING, HivePartition, Table
from spark.table_compare import Compared, Comparison, _alike, _differences, brought_by, tasks_for

HDFS = load({}).hdfs
ORDERS = Table("cdc.eCommerce.orders", "changes", (("id", "bigint"), ("v", "string")), ("id",), None, 1, 3, "", {"": HivePartition("/a", 3, 1)})


def rows(*found: tuple[int, str]) -> pa.Table:
    return pa.table({"id": [key for key, _ in found], "v": [value for _, value in found]})


def differences(live: pa.Table, rebuilt: pa.Table, key: list[str]) -> tuple[int, list[str]]:
    return _differences(*_alike(live, rebuilt, key or ["id", "v"]), key)


def test_rows_that_differ_are_named_by_their_key_with_both_values() -> None:
    found = differences(rows((1, "a"), (2, "b"), (3, "c")), rows((4, "d"), (1, "a"), (2, "x")), ["id"])
    assert found == (3, ["row id 2: v live 'b', rebuilt 'x'", "row id 3: only live", "row id 4: only rebuilt"])


def test_a_row_that_is_twice_in_the_live_table_is_a_difference() -> None:
    assert differences(rows((1, "a"), (1, "a")), rows((1, "a")), ["id"]) == (1, ["has 1 rows twice in the live table"])


def test_facts_without_a_key_are_compared_as_often_as_they_are_there() -> None:
    assert differences(rows((1, "a"), (1, "a")), rows((1, "a"), (2, "b")), []) == (
        2,
        ["{'id': 1, 'v': 'a'}: only live", "{'id': 2, 'v': 'b'}: only rebuilt"],
    )


def test_the_order_of_rows_is_no_difference_nor_is_a_partition_without_rows() -> None:
    one, other = _alike(rows((2, "b"), (1, "a")), rows((1, "a"), (2, "b")), ["id"])
    assert one.equals(other)
    one, other = _alike(pa.table({}), rows(), ["id"])
    assert one.num_rows == other.num_rows == 0


def test_a_table_that_is_not_there_or_has_other_columns_is_named_before_any_row_is_read() -> None:
    wider = replace(ORDERS, columns=(*ORDERS.columns, ("w", "int")))
    live = replace(NOTHING, tables={"orders": ORDERS, "gone": ORDERS})
    tasks, comparison = tasks_for(live, replace(NOTHING, tables={"orders": wider, "new": ORDERS}), ["orders", "gone", "new"], HDFS)
    assert (tasks, comparison.differing) == ([], {"orders": 1, "gone": 1, "new": 1})
    assert comparison.named[0] == "orders has other columns: live id bigint, v string (key id), rebuilt id bigint, v string, w int (key id)"
    assert comparison.named[1:] == ["gone cannot be rebuilt", "new is not live"]


def test_a_large_partition_is_compared_in_slices_and_few_of_its_rows_are_named() -> None:
    large = replace(ORDERS, partitions={"": HivePartition("/a", 1_200_000, 1)})
    tasks, comparison = tasks_for(replace(NOTHING, tables={"orders": large}), replace(NOTHING, tables={"orders": large}), ["orders"], HDFS)
    assert [(task.number, task.slices) for task in tasks] == [(0, 3), (1, 3), (2, 3)]
    for _ in tasks:
        comparison.add("orders", Compared(400_000, 4, tuple(f"orders row {number}" for number in range(4))))
    assert (comparison.rows, comparison.differing, len(comparison.named)) == (1_200_000, {"orders": 12}, 5)
    assert not comparison.equal
    assert Comparison().equal


def test_a_file_of_facts_says_which_version_brought_it() -> None:
    assert [brought_by(name) for name in ("12-a1b2.parquet", "rows.parquet", "3-0001.parquet")] == [12, 0, 3]
