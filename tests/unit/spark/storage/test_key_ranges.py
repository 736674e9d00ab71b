"""Large partitions by ranges of their keys."""

import itertools
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from schemas.manifest import PartitionFile
from spark.storage import key_ranges
from spark.storage.key_ranges import assign_to_ranges, needs_join, needs_split, split_by_key


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "RANGE_ROWS", 10)


def users(ids: list[int], kind: pa.DataType) -> pa.Table:
    return pa.table({"id": pa.array(ids, kind), "place": range(len(ids))})


@pytest.mark.parametrize("kind", [pa.int16(), pa.int64(), pa.uint64()])
def test_every_row_is_in_one_range_which_meets_no_other_and_goes_there_again(
    kind: pa.DataType,
) -> None:
    random = Random(7)
    for _ in range(100):
        rows = users([random.randrange(60) for _ in range(random.randrange(1, 100))], kind)
        parts = [part for part in split_by_key(rows, "id") if part.num_rows]
        assert (
            sorted(place for part in parts for place in part["place"].to_pylist())
            == rows["place"].to_pylist()
        )
        assert all(
            part["place"].to_pylist() == sorted(part["place"].to_pylist()) for part in parts
        ), "rows keep their order"
        keys = [part["id"].to_pylist() for part in parts]
        assert all(max(one) < min(next_one) for one, next_one in itertools.pairwise(keys))
        held = [PartitionFile("", len(one), 0, min(one), max(one)) for one in keys]
        assert assign_to_ranges(rows, "id", held) == parts


def test_a_key_between_ranges_goes_to_the_next_and_one_above_all_to_the_last() -> None:
    held = [PartitionFile("", 1, 0, 3, 5), PartitionFile("", 1, 0, 9, 10)]
    dealt = assign_to_ranges(users([-1, 4, 6, 9, 99], pa.int64()), "id", held)
    assert [part["id"].to_pylist() for part in dealt] == [[-1, 4], [6, 9, 99]]


def test_only_many_rows_with_numbers_for_keys_are_cut() -> None:
    assert (
        needs_split(20, pa.int32())
        and not needs_split(19, pa.int32())
        and not needs_split(20, pa.string())
    )
    assert needs_join(9) and not needs_join(10)


def filtered(rows: pa.Table, numbers: np.ndarray, parts: int) -> list[pa.Table]:
    """The parts as one filter per part gives them."""
    return [rows.filter(pa.array(numbers == number)) for number in range(parts)]


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_rows_are_split_into_the_same_parts_as_by_one_filter_per_part(
    batch_rows: int,
) -> None:
    random = np.random.default_rng(11)
    for parts in (1, 2, 3, 20, 300):
        count = int(random.integers(0, 500))
        ids = random.integers(-(2**40), 2**40, count)
        texts = pa.array(
            [None if number % 5 == 0 else f"row {number}" for number in range(count)]
        )
        rows = pa.table({"id": ids, "text": texts})
        batches = rows.to_batches(max_chunksize=batch_rows)
        rows = pa.Table.from_batches(batches, rows.schema)
        numbers = random.integers(0, parts, count)
        assert key_ranges._split(rows, numbers, parts) == filtered(rows, numbers, parts)
