"""The changes of a large table in slices: together they leave what all changes at once leave."""

import random
from typing import Any

import pyarrow as pa
import pytest

from spark.merge.latest_rows import latest_per_key
from spark.storage.key_buckets import rows_of_slice, split_into_slices
from tests.unit.spark.change_log import (
    SCHEMA,
    TRUNCATE,
    delete,
    insert,
    log,
    read,
    row,
    rows,
    within,
)

Change = dict[str, Any]


def moved(old: int, new: int) -> Change:
    return {"op": "u", "before": row(old, "?"), "after": row(new, "moved")}


def a_history(seed: int) -> pa.Table:
    """Inserts, deletes, keys that move, TRUNCATEs and snapshots, as they come."""
    chance = random.Random(seed)
    changes = list[Change]()
    number = 0
    for turn in range(60):
        keys = chance.sample(range(12), 2)
        kind = chance.choices(
            ["insert", "delete", "moved", "truncate", "snapshot"], [8, 4, 6, 1, 1]
        )[0]
        if kind == "truncate":
            changes.append(
                {**TRUNCATE, "gtid": f"3e11fa47-71ca-11e1-9e33-c80aa9429562:{turn + 1}"}
            )
        elif kind == "snapshot":
            changes += [
                read(1000 + turn, key, f"read {turn}")
                for key in chance.sample(range(12), 3)
            ]
        else:
            number += 1
            made = {
                "insert": insert(keys[0], f"v{turn}"),
                "delete": delete(keys[0]),
                "moved": moved(*keys),
            }[kind]
            changes += [
                {**change, "binlog_file": "binlog.000002", "binlog_pos": 1000 + turn}
                for change in within(100 + turn, made)
            ]
    return log(*changes)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("slices", [2, 5])
def test_slices_together_leave_what_the_whole_history_leaves(
    seed: int, slices: int
) -> None:
    history = a_history(seed)
    whole = rows(latest_per_key([history], SCHEMA, ["id"]).rows)
    parts = [
        latest_per_key([part], SCHEMA, ["id"]).rows
        for part in split_into_slices(history, ["id"], slices)
    ]
    kept = [
        rows(rows_of_slice(part, ["id"], number, slices))
        for number, part in enumerate(parts)
    ]
    assert sorted(found for part in kept for found in part) == whole
    assert sum(part.num_rows for part in parts) >= len(whole)


def test_a_key_of_text_or_of_several_columns_has_one_slice_too() -> None:
    named = pa.table({"id": [1, 2, 3, 4], "name": ["a", "b", "a", "b"]})
    for key in (["name"], ["id", "name"]):
        parts = [rows_of_slice(named, key, number, 3).num_rows for number in range(3)]
        assert sum(parts) == named.num_rows


def test_a_key_keeps_its_slice_when_its_column_becomes_wider() -> None:
    narrow, wide = (
        pa.table({"id": pa.array(range(50), kind)}) for kind in (pa.int32(), pa.int64())
    )
    for number in range(4):
        assert (
            rows_of_slice(narrow, ["id"], number, 4)["id"].to_pylist()
            == rows_of_slice(wide, ["id"], number, 4)["id"].to_pylist()
        )
