"""Rows that cross the statements about their table."""

import pyarrow as pa
import pytest

from schemas.ddl.certain_effects import RowConversion
from schemas.errors import ContractError
from spark.merge.latest_rows import LatestRows
from spark.merge.projection import project
from spark.merge.schema_periods import (
    PeriodChanges,
    apply_periods,
    convert_rows,
    inserted_rows,
)


def test_old_rows_go_through_the_statements_that_came_between_the_changes() -> None:
    nothing = LatestRows(pa.table({}), pa.table({}), False)
    old = pa.table({"id": pa.array([1, 2], pa.int32()), "a": ["x", "y"]})
    gone = LatestRows(old.slice(0, 0), pa.table({"id": pa.array([2], pa.int64())}), False)
    phases = [
        PeriodChanges(nothing, RowConversion((("a", "b"),), (("c", "5"),))),
        PeriodChanges(gone, RowConversion()),
    ]
    now = pa.schema([("c", pa.int64()), ("id", pa.int64()), ("b", pa.string())])
    assert project(apply_periods(old, phases), now).to_pylist() == [
        {"c": 5, "id": 1, "b": "x"}
    ]


def test_rows_that_arrived_before_a_statement_go_through_it_too_and_later_ones_do_not() -> (
    None
):
    key = pa.table({"id": pa.array([], pa.int64())})
    first = LatestRows(pa.table({"id": pa.array([1], pa.int64()), "a": ["x"]}), key, False)
    then = LatestRows(
        pa.table(
            {"id": pa.array([2], pa.int64()), "b": ["y"], "c": pa.array([6], pa.int64())}
        ),
        key,
        False,
    )
    now = pa.schema([("id", pa.int64()), ("b", pa.string()), ("c", pa.int64())])
    found = inserted_rows(
        [
            PeriodChanges(first, RowConversion((("a", "b"),), (("c", "5"),))),
            PeriodChanges(then, RowConversion()),
        ],
        now,
    )
    assert found.to_pylist() == [{"id": 1, "b": "x", "c": 5}, {"id": 2, "b": "y", "c": 6}]


def test_a_column_dropped_and_added_by_the_same_name_begins_anew() -> None:
    rows = convert_rows(
        pa.table({"id": [1], "a": [7]}), RowConversion(added=(("a", None),))
    )
    assert project(
        rows, pa.schema([("id", pa.int64()), ("a", pa.int64())])
    ).to_pylist() == [{"id": 1, "a": None}]


def test_columns_swap_their_names() -> None:
    rows = pa.table({"id": [1], "a": [7], "b": [8]})
    swapped = convert_rows(rows, RowConversion((("a", "b"), ("b", "a"))))
    assert swapped.to_pylist() == [{"id": 1, "a": 8, "b": 7}]


def test_a_column_takes_the_name_of_one_that_is_dropped() -> None:
    rows = pa.table({"id": [1], "a": [7], "n": [8]})
    renamed = convert_rows(rows, RowConversion((("n", "a"),), dropped=("a",)))
    assert renamed.to_pylist() == [{"id": 1, "a": 8}]


@pytest.mark.parametrize(
    "conversion",
    [
        RowConversion((("a", "b"), ("c", "b")), (("b", None), ("a", "1")), ("x",)),
        RowConversion((("a", "b"),)),
        RowConversion(dropped=("a", "b", "c")),
    ],
)
def test_a_name_that_is_there_twice_or_not_at_all_never_fails(
    conversion: RowConversion,
) -> None:
    rows = convert_rows(pa.table({"id": [1], "a": [7], "b": [8]}), conversion)
    assert len(set(rows.column_names)) == len(rows.column_names)


def test_what_no_row_gets_over_stops_only_a_table_that_has_rows() -> None:
    stopped = RowConversion(problem="MySQL computes the values")
    assert convert_rows(pa.table({"id": pa.array([], pa.int64())}), stopped).num_rows == 0
    with pytest.raises(ContractError, match="MySQL computes"):
        convert_rows(pa.table({"id": [1]}), stopped)
