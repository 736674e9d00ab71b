"""Copies of equal rows are counted."""

from collections import Counter
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from spark.merge.row_copies import subtract_rows

KINDS = {
    "int": pa.int64(),
    "text": pa.string(),
    "bytes": pa.binary(),
    "float": pa.float32(),
    "double": pa.float64(),
    "decimal": pa.decimal128(10, 2),
    "list": pa.list_(pa.float32()),
    "struct": pa.struct([("x", pa.float64()), ("wkb", pa.binary())]),
    "bool": pa.bool_(),
    "instant": pa.timestamp("us", tz="UTC"),
}


def table(kind: str, values: list[Any]) -> pa.Table:
    return pa.table({"n": [1] * len(values), "v": pa.array(values, KINDS[kind])})


@pytest.mark.parametrize(
    ("kind", "rows", "removed", "remaining", "missing"),
    [
        ("int", [1, 1, 2], [1], [1, 2], []),
        ("int", [1, 1, 2], [1, 1, 1], [2], [1]),
        ("int", [1, 2], [], [1, 2], []),
        ("int", [], [1], [], [1]),
        ("int", [None, None, 0], [None], [None, 0], []),
        ("int", [1], [None], [1], [None]),
        ("text", ["a", "A", "a "], ["a"], ["A", "a "], []),
        ("bytes", [b"\0", b""], [b"\0"], [b""], []),
        ("float", [0.1, -0.0, 0.0], [0.1, 0.0], [-0.0], []),
        ("double", [0.1, 0.1 + 2**-56], [0.1], [0.1 + 2**-56], []),
        ("list", [[1.0], [1.0, 2.0], None], [[1.0], None], [[1.0, 2.0]], []),
        (
            "struct",
            [{"x": 1.0, "wkb": b"a"}, {"x": 1.0, "wkb": b"b"}, None],
            [{"x": 1.0, "wkb": b"b"}],
            [{"x": 1.0, "wkb": b"a"}, None],
            [],
        ),
        ("bool", [True, False, True], [True], [False, True], []),
        ("instant", [0, 1], [1], [0], []),
    ],
)
def test_one_copy_goes_for_each_removed_row(
    kind: str, rows: list[Any], removed: list[Any], remaining: list[Any], missing: list[Any]
) -> None:
    left, absent = subtract_rows(table(kind, rows), table(kind, removed))
    assert repr(left.column("v").to_pylist()) == repr(
        table(kind, remaining)["v"].to_pylist()
    )
    assert absent.column("v").equals(table(kind, missing).column("v"))


@pytest.mark.parametrize("seed", range(20))
def test_random_rows_are_subtracted_as_counters_are(seed: int) -> None:
    random = Random(seed)

    def random_rows() -> list[tuple[int | None, str | None]]:
        count = random.randrange(40)
        return [
            (random.choice([None, 1, 2]), random.choice([None, "", "a"]))
            for _ in range(count)
        ]

    def as_table(rows: list[tuple[int | None, str | None]]) -> pa.Table:
        schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
        return pa.Table.from_pylist([{"a": a, "b": b} for a, b in rows], schema)

    rows = random_rows()
    removed = random_rows()
    left, absent = subtract_rows(as_table(rows), as_table(removed))
    assert Counter(tuple(row.values()) for row in left.to_pylist()) == Counter(
        rows
    ) - Counter(removed)
    assert Counter(tuple(row.values()) for row in absent.to_pylist()) == Counter(
        removed
    ) - Counter(rows)
