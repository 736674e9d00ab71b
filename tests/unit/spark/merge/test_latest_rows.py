"""The rows that a batch of changes leaves of a table."""

from random import Random
from typing import Any

import pyarrow as pa
import pytest

from schemas.gtid import gtid_set
from spark.merge.latest_rows import fact_rows, latest_per_key, without_keys
from tests.unit.spark.change_log import (
    LOG,
    SCHEMA,
    TOMBSTONE,
    TRUNCATE,
    UUID,
    delete,
    insert,
    log,
    read,
    row,
    rows,
    update,
    within,
)


def after(*changes: dict[str, Any]) -> list[tuple[int, str]]:
    """The rows that some changes leave of an empty table."""
    return rows(latest_per_key([log(*changes)], SCHEMA, ["id"]).rows)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ([insert(1, "a")], [(1, "a")]),
        ([insert(1, "a"), update(1, "b")], [(1, "b")]),
        ([insert(1, "a"), update(1, "b"), delete(1), TOMBSTONE], []),
        ([insert(1, "a"), delete(1), TOMBSTONE, insert(1, "c")], [(1, "c")]),
        ([insert(1, "a"), update(1, "b"), delete(1), insert(1, "c"), delete(1)], []),
        ([insert(1, "a"), insert(1, "a"), insert(1, "a")], [(1, "a")]),
        ([insert(1, "a"), TRUNCATE], []),
        ([insert(1, "a"), TRUNCATE, insert(2, "b")], [(2, "b")]),
        ([{"op": "r", "after": row(1, "a")}, update(1, "b")], [(1, "b")]),
        ([TOMBSTONE], []),
        (within(1, insert(1, "a"), delete(1), insert(1, "b"), update(1, "c")), [(1, "c")]),
        ([delete(1), TOMBSTONE, insert(1, "b")], [(1, "b")]),
        (
            [insert(1, "a"), delete(1), insert(7, "a"), update(7, "b"), insert(1, "c")],
            [(1, "c"), (7, "b")],
        ),
        (
            [
                *within(1, insert(1, "a")),
                *within(2, update(1, "b")),
                *within(1, insert(1, "a")),
            ],
            [(1, "b")],
        ),
        (
            [
                *within(1, insert(1, "a")),
                *within(2, delete(1)),
                *within(1, insert(1, "a")),
                *within(2, delete(1)),
            ],
            [],
        ),
        (
            [*within(1, insert(1, "a"), update(1, "b")), *within(1, insert(1, "a"))],
            [(1, "b")],
        ),
        (
            [
                *within(1, insert(1, "a")),
                TRUNCATE | {"gtid": f"{UUID}:2"},
                *within(3, insert(2, "b")),
                TRUNCATE | {"gtid": f"{UUID}:2"},
            ],
            [(2, "b")],
        ),
        (
            [read(100, 1, "a"), read(100, 2, "a"), *within(1, update(1, "b"))],
            [(1, "b"), (2, "a")],
        ),
        (
            [*within(1, insert(1, "a")), read(100, 2, "z"), read(100, 3, "z")],
            [(2, "z"), (3, "z")],
        ),
        (
            [read(100, 1, "a"), read(200, 2, "z"), *within(1, insert(3, "c"))],
            [(2, "z"), (3, "c")],
        ),
        (
            [
                *within(1, insert(1, "a"), insert(2, "a")),
                read(100, 1, "a", "incremental"),
                *within(2, update(1, "b")),
            ],
            [(1, "b"), (2, "a")],
        ),
    ],
    ids=[
        "I",
        "IU",
        "IUD",
        "ID-I",
        "IUDID",
        "thrice",
        "T",
        "ITI",
        "snapshot then U",
        "tombstone",
        "IDIU in one",
        "REPLACE",
        "key change and its old key anew",
        "repeated up to an older change",
        "repeated after a delete",
        "repeated in part",
        "repeated TRUNCATE",
        "snapshot, stream",
        "stream, snapshot",
        "snapshot begun twice",
        "read again in chunks",
    ],
)
def test_the_last_change_of_a_row_counts(
    changes: list[dict[str, Any]], left: list[tuple[int, str]]
) -> None:
    assert after(*changes) == left


def test_what_an_earlier_version_merged_is_not_merged_again() -> None:
    repeated = log(
        *within(4, insert(1, "a")),
        *within(5, update(1, "b")),
        TRUNCATE | {"gtid": f"{UUID}:3"},
        *within(6, insert(2, "c")),
    )
    latest = latest_per_key([repeated], SCHEMA, ["id"], gtid_set(f"{UUID}:1-5"))
    assert (rows(latest.rows), latest.keys.column("id").to_pylist(), latest.truncated) == (
        [(2, "c")],
        [2],
        False,
    )


def test_a_snapshot_that_a_table_began_with_goes_on_and_another_one_begins_it_anew() -> (
    None
):
    part = log(read(100, 3, "c"))
    assert not latest_per_key(
        [part], SCHEMA, ["id"], snapshot="binlog.000002:100"
    ).truncated
    assert latest_per_key([part], SCHEMA, ["id"], snapshot="binlog.000002:4").truncated


def test_a_changed_key_leaves_no_ghost_as_debezium_says_it() -> None:
    latest = latest_per_key(
        [log(insert(1, "a"), delete(1), TOMBSTONE, insert(7, "a"))], SCHEMA, ["id"]
    )
    assert rows(latest.rows) == [(7, "a")]
    assert sorted(latest.keys.column("id").to_pylist()) == [1, 7]


def test_a_changed_key_leaves_no_ghost_when_said_as_an_update() -> None:
    moved = {"op": "u", "before": row(1, "a"), "after": row(7, "a")}
    latest = latest_per_key([log(moved)], SCHEMA, ["id"])
    assert rows(latest.rows) == [(7, "a")]
    assert sorted(latest.keys.column("id").to_pylist()) == [1, 7]


def test_two_rows_that_swap_their_keys_are_both_there() -> None:
    swap = [
        delete(1),
        insert(99, "a"),
        delete(2),
        insert(1, "b"),
        delete(99),
        insert(2, "a"),
    ]
    assert after(*swap) == [(1, "b"), (2, "a")]


def test_the_whole_of_a_composite_key_identifies_a_row() -> None:
    latest = latest_per_key(
        [log(insert(1, "a"), insert(1, "b"), delete(1) | {"before": row(1, "a")})],
        SCHEMA,
        ["id", "name"],
    )
    assert rows(latest.rows) == [(1, "b")]


def test_unchanged_rows_stay_and_changed_ones_go() -> None:
    old = pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"]}, SCHEMA)
    assert rows(without_keys(old, pa.table({"id": [2, 9]}))) == [(1, "a"), (3, "c")]
    assert rows(without_keys(old, pa.table({"id": [2, 3], "name": ["b", "?"]}))) == [
        (1, "a"),
        (3, "c"),
    ]
    assert rows(without_keys(old, pa.table({"id": pa.array([], pa.int64())}))) == rows(old)


def test_changes_of_an_older_schema_merge_with_those_of_a_newer_one() -> None:
    older = pa.struct([("id", pa.int32())])
    fields = [
        field if field.name not in ("before", "after") else pa.field(field.name, older)
        for field in LOG
    ]
    first = pa.Table.from_pylist(
        [{"partition": 0, "offset": 0, "op": "c", "after": {"id": 1}}], pa.schema(fields)
    )
    second = log(TOMBSTONE, insert(2, "b"))
    assert rows_or_none(latest_per_key([first, second], SCHEMA, ["id"]).rows) == [
        (1, None),
        (2, "b"),
    ]


def rows_or_none(table: pa.Table) -> list[tuple[int, str | None]]:
    return sorted((found["id"], found["name"]) for found in table.to_pylist())


def test_facts_are_all_kept_and_unreadable_ones_are_not_among_them() -> None:
    clicks = pa.Table.from_pylist(
        [
            {"after": row(1, "a")},
            {"after": None, "error": "not Avro"},
            {"after": row(1, "a")},
        ],
        pa.schema([LOG.field("error"), LOG.field("after")]),
    )
    assert rows(fact_rows([clicks, clicks.select(["error"])], SCHEMA).rows) == [
        (1, "a"),
        (1, "a"),
    ]


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.string()])
def test_the_rows_that_stay_are_the_same_however_keys_lie(kind: pa.DataType) -> None:
    random = Random(kind.id)
    for _ in range(200):
        held = random.sample(range(-50, 50), random.randrange(60))
        changed = random.sample(range(-90, 90), random.randrange(60))
        old = pa.table({"id": pa.array(held, pa.int64()).cast(kind)})
        keys = pa.table({"id": pa.array(changed, pa.int64()).cast(kind)})
        stay = pa.array([key for key in held if key not in changed], pa.int64()).cast(kind)
        assert without_keys(old, keys).column("id").to_pylist() == stay.to_pylist()
