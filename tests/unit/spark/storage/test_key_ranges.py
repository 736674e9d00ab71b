"""Large partitions by ranges of their keys."""

import itertools
from random import Random

import pyarrow as pa
import pytest

from spark import ranges
from spark.ranges import KeyRange, cut, deal, to_be_cut, to_be_joined


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE_ROWS", 10)


def users(ids: list[int], kind: pa.DataType) -> pa.Table:
    return pa.table({"id": pa.array(ids, kind), "place": range(len(ids))})


@pytest.mark.parametrize("kind", [pa.int16(), pa.int64(), pa.uint64()])
def test_every_row_is_in_one_range_which_meets_no_other_and_goes_there_again(kind: pa.DataType) -> None:
    random = Random(7)
    for _ in range(100):
        rows = users([random.randrange(60) for _ in range(random.randrange(1, 100))], kind)
        parts = [part for part in cut(rows, "id") if part.num_rows]
        assert sorted(place for part in parts for place in part["place"].to_pylist()) == rows["place"].to_pylist()
        assert all(part["place"].to_pylist() == sorted(part["place"].to_pylist()) for part in parts), "rows keep their order"
        keys = [part["id"].to_pylist() for part in parts]
        assert all(max(one) < min(next_one) for one, next_one in itertools.pairwise(keys))
        held = [KeyRange("", len(one), 0, min(one), max(one)) for one in keys]
        assert deal(rows, "id", held) == parts


def test_a_key_between_ranges_goes_to_the_next_and_one_above_all_to_the_last() -> None:
    held = [KeyRange("", 1, 0, 3, 5), KeyRange("", 1, 0, 9, 10)]
    dealt = deal(users([-1, 4, 6, 9, 99], pa.int64()), "id", held)
    assert [part["id"].to_pylist() for part in dealt] == [[-1, 4], [6, 9, 99]]


def test_only_many_rows_with_numbers_for_keys_are_cut() -> None:
    assert to_be_cut(20, pa.int32()) and not to_be_cut(19, pa.int32()) and not to_be_cut(20, pa.string())
    assert to_be_joined(9) and not to_be_joined(10)
