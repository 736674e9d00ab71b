"""The hive partitions of a table that was built in slices."""

from schemas.manifest import HivePartition
from spark.replayer.build_task import merge_partitions


def test_the_parts_of_a_hive_partition_are_one_with_the_span_of_all_their_keys() -> None:
    parts = {
        0: {
            "d": HivePartition(location="/d", rows=2, size=10, lowest_key=5, highest_key=9)
        },
        1: {
            "d": HivePartition(location="/d", rows=1, size=7, lowest_key=2, highest_key=2),
            "e": HivePartition(location="/e", rows=1, size=1, lowest_key=1, highest_key=1),
        },
    }
    assert merge_partitions(parts) == {
        "d": HivePartition(
            location="/d", rows=3, size=17, lowest_key=2, highest_key=9, files=2
        ),
        "e": HivePartition(location="/e", rows=1, size=1, lowest_key=1, highest_key=1),
    }


def partition(rows: int, low: int | None = None, high: int | None = None) -> HivePartition:
    return HivePartition(location="/d", rows=rows, size=1, lowest_key=low, highest_key=high)


def test_a_slice_without_rows_does_not_widen_the_keys_of_its_partition() -> None:
    merged = merge_partitions({0: {"d": partition(0)}, 1: {"d": partition(3, 5, 9)}})["d"]
    assert (merged.rows, merged.lowest_key, merged.highest_key) == (3, 5, 9)
    merged = merge_partitions({0: {"d": partition(3)}, 1: {"d": partition(3, 5, 9)}})["d"]
    assert (merged.lowest_key, merged.highest_key) == (None, None), "any key"
    merged = merge_partitions({0: {"d": partition(0)}, 1: {"d": partition(0)}})["d"]
    assert (merged.rows, merged.lowest_key, merged.files) == (0, None, 2)
