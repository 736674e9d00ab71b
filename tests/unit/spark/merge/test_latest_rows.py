"""What a batch of changes leaves of a table."""

from datetime import UTC, datetime
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from infra.errors import ContractError
from schemas.gtid import gtid_set
from schemas.logical import INSTANT
from schemas.statements import START, Carry
from schemas.warehouse import NO_DATE, WHOLE, Partitioning
from spark.merge import (
    Latest,
    Phase,
    arrivals,
    between,
    by_hive_partition,
    carried,
    facts,
    hive_partitions,
    in_log_order,
    latest_per_key,
    over,
    project,
    without,
)

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
ROW = pa.struct(list(SCHEMA))
POSITION = [("partition", pa.int32()), ("offset", pa.int64()), ("op", pa.string()), ("snapshot", pa.string()), ("gtid", pa.string())]
PLACE = [("tx_id", pa.string()), ("tx_table_order", pa.int64()), ("binlog_file", pa.string())]
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
LOG = pa.schema([*POSITION, *PLACE, ("binlog_pos", pa.int64()), ("binlog_row", pa.int32()), ("error", pa.string()), ("before", ROW), ("after", ROW)])


def row(key: int, name: str) -> dict[str, Any]:
    return {"id": key, "name": name}


def insert(key: int, name: str) -> dict[str, Any]:
    return {"op": "c", "after": row(key, name)}


def update(key: int, name: str) -> dict[str, Any]:
    return {"op": "u", "before": row(key, "?"), "after": row(key, name)}


def delete(key: int) -> dict[str, Any]:
    return {"op": "d", "before": row(key, "?")}


def within(number: int, *changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Changes of one transaction, as Debezium numbers them."""
    return [change | {"gtid": f"{UUID}:{number}", "tx_id": f"{UUID}:{number}", "tx_table_order": order} for order, change in enumerate(changes, 1)]


def read(at: int, key: int, name: str, marked: str = "true") -> dict[str, Any]:
    """A row of the snapshot taken at a place of the binary log."""
    return {"op": "r", "snapshot": marked, "binlog_file": "binlog.000002", "binlog_pos": at, "after": row(key, name)}


TOMBSTONE: dict[str, Any] = {}
TRUNCATE = {"op": "t"}


def log(*changes: dict[str, Any], partition: int = 0) -> pa.Table:
    """Changes as archived, in this order."""
    return pa.Table.from_pylist([{"partition": partition, "offset": number, **change} for number, change in enumerate(changes)], LOG)


def after(*changes: dict[str, Any]) -> list[tuple[int, str]]:
    """The rows that some changes leave of an empty table."""
    return rows(latest_per_key([log(*changes)], SCHEMA, ["id"]).rows)


def rows(table: pa.Table) -> list[tuple[int, str]]:
    return sorted((found["id"], found["name"]) for found in table.to_pylist())


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
        ([insert(1, "a"), delete(1), insert(7, "a"), update(7, "b"), insert(1, "c")], [(1, "c"), (7, "b")]),
        ([*within(1, insert(1, "a")), *within(2, update(1, "b")), *within(1, insert(1, "a"))], [(1, "b")]),
        ([*within(1, insert(1, "a")), *within(2, delete(1)), *within(1, insert(1, "a")), *within(2, delete(1))], []),
        ([*within(1, insert(1, "a"), update(1, "b")), *within(1, insert(1, "a"))], [(1, "b")]),
        ([*within(1, insert(1, "a")), TRUNCATE | {"gtid": f"{UUID}:2"}, *within(3, insert(2, "b")), TRUNCATE | {"gtid": f"{UUID}:2"}], [(2, "b")]),
        ([read(100, 1, "a"), read(100, 2, "a"), *within(1, update(1, "b"))], [(1, "b"), (2, "a")]),
        ([*within(1, insert(1, "a")), read(100, 2, "z"), read(100, 3, "z")], [(2, "z"), (3, "z")]),
        ([read(100, 1, "a"), read(200, 2, "z"), *within(1, insert(3, "c"))], [(2, "z"), (3, "c")]),
        ([*within(1, insert(1, "a"), insert(2, "a")), read(100, 1, "a", "incremental"), *within(2, update(1, "b"))], [(1, "b"), (2, "a")]),
    ],
    ids=["I", "IU", "IUD", "ID-I", "IUDID", "thrice", "T", "ITI", "snapshot then U", "tombstone", "IDIU in one", "REPLACE",
         "key change and its old key anew", "repeated up to an older change", "repeated after a delete", "repeated in part",
         "repeated TRUNCATE", "snapshot, stream", "stream, snapshot", "snapshot begun twice", "read again in chunks"],
)  # fmt: skip
def test_the_last_change_of_a_row_counts(changes: list[dict[str, Any]], left: list[tuple[int, str]]) -> None:
    assert after(*changes) == left


def test_what_an_earlier_version_merged_is_not_merged_again() -> None:
    repeated = log(*within(4, insert(1, "a")), *within(5, update(1, "b")), TRUNCATE | {"gtid": f"{UUID}:3"}, *within(6, insert(2, "c")))
    latest = latest_per_key([repeated], SCHEMA, ["id"], gtid_set(f"{UUID}:1-5"))
    assert (rows(latest.rows), latest.keys.column("id").to_pylist(), latest.truncated) == ([(2, "c")], [2], False)


def test_a_snapshot_that_a_table_began_with_goes_on_and_another_one_begins_it_anew() -> None:
    part = log(read(100, 3, "c"))
    assert not latest_per_key([part], SCHEMA, ["id"], snapshot="binlog.000002:100").truncated
    assert latest_per_key([part], SCHEMA, ["id"], snapshot="binlog.000002:4").truncated


def test_a_changed_key_leaves_no_ghost_as_debezium_says_it() -> None:
    latest = latest_per_key([log(insert(1, "a"), delete(1), TOMBSTONE, insert(7, "a"))], SCHEMA, ["id"])
    assert rows(latest.rows) == [(7, "a")]
    assert sorted(latest.keys.column("id").to_pylist()) == [1, 7]


def test_a_changed_key_leaves_no_ghost_when_said_as_an_update() -> None:
    moved = {"op": "u", "before": row(1, "a"), "after": row(7, "a")}
    latest = latest_per_key([log(moved)], SCHEMA, ["id"])
    assert rows(latest.rows) == [(7, "a")]
    assert sorted(latest.keys.column("id").to_pylist()) == [1, 7]


def test_two_rows_that_swap_their_keys_are_both_there() -> None:
    swap = [delete(1), insert(99, "a"), delete(2), insert(1, "b"), delete(99), insert(2, "a")]
    assert after(*swap) == [(1, "b"), (2, "a")]


def test_the_whole_of_a_composite_key_identifies_a_row() -> None:
    latest = latest_per_key([log(insert(1, "a"), insert(1, "b"), delete(1) | {"before": row(1, "a")})], SCHEMA, ["id", "name"])
    assert rows(latest.rows) == [(1, "b")]


def test_across_partitions_the_binlog_says_the_order_in_numbers() -> None:
    def at(file: str, pos: int, name: str) -> dict[str, Any]:
        return update(1, name) | {"binlog_file": file, "binlog_pos": pos, "binlog_row": 0}

    one = log(at("binlog.999999", 123, "second"), at("binlog.1000000", 4, "last"), partition=0)
    other = log(at("binlog.999999", 23, "first"), at("binlog.999999", 1000, "third"), partition=1)
    assert [name["name"] for name in in_log_order([one, other]).column("after").to_pylist()] == ["first", "second", "third", "last"]


def test_unchanged_rows_stay_and_changed_ones_go() -> None:
    old = pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"]}, SCHEMA)
    assert rows(without(old, pa.table({"id": [2, 9]}))) == [(1, "a"), (3, "c")]
    assert rows(without(old, pa.table({"id": [2, 3], "name": ["b", "?"]}))) == [(1, "a"), (3, "c")]
    assert rows(without(old, pa.table({"id": pa.array([], pa.int64())}))) == rows(old)


def test_columns_are_matched_by_name_and_a_missing_one_is_null() -> None:
    old = pa.table({"gone": [1], "name": ["a"], "id": pa.array([1], pa.int32())})
    assert project(old, pa.schema([("id", pa.int64()), ("new", pa.string()), ("name", pa.string())])).to_pylist() == [
        {"id": 1, "new": None, "name": "a"}
    ]


def test_older_values_that_do_not_fit_a_new_type_are_refused_by_column() -> None:
    with pytest.raises(ContractError, match="column id changed from string to int64"):
        project(pa.table({"id": ["x"]}), SCHEMA)


def test_changes_of_an_older_schema_merge_with_those_of_a_newer_one() -> None:
    older = pa.struct([("id", pa.int32())])
    fields = [field if field.name not in ("before", "after") else pa.field(field.name, older) for field in LOG]
    first = pa.Table.from_pylist([{"partition": 0, "offset": 0, "op": "c", "after": {"id": 1}}], pa.schema(fields))
    second = log(TOMBSTONE, insert(2, "b"))
    assert rows_or_none(latest_per_key([first, second], SCHEMA, ["id"]).rows) == [(1, None), (2, "b")]


def rows_or_none(table: pa.Table) -> list[tuple[int, str | None]]:
    return sorted((found["id"], found["name"]) for found in table.to_pylist())


def test_facts_are_all_kept_and_unreadable_ones_are_not_among_them() -> None:
    clicks = pa.Table.from_pylist(
        [{"after": row(1, "a")}, {"after": None, "error": "not Avro"}, {"after": row(1, "a")}], pa.schema([LOG.field("error"), LOG.field("after")])
    )
    assert rows(facts([clicks, clicks.select(["error"])], SCHEMA).rows) == [(1, "a"), (1, "a")]


def test_a_table_that_is_not_cut_has_one_partition() -> None:
    assert hive_partitions(pa.table({"id": [1, 2]}), None).to_pylist() == [WHOLE, WHOLE]


def test_old_rows_go_through_the_statements_that_came_between_the_changes() -> None:
    nothing = Latest(pa.table({}), pa.table({}), False)
    old = pa.table({"id": pa.array([1, 2], pa.int32()), "a": ["x", "y"]})
    gone = Latest(old.slice(0, 0), pa.table({"id": pa.array([2], pa.int64())}), False)
    phases = [Phase(nothing, Carry((("a", "b"),), (("c", "5"),))), Phase(gone, Carry())]
    now = pa.schema([("c", pa.int64()), ("id", pa.int64()), ("b", pa.string())])
    assert project(over(old, phases), now).to_pylist() == [{"c": 5, "id": 1, "b": "x"}]


def test_rows_that_arrived_before_a_statement_go_through_it_too_and_later_ones_do_not() -> None:
    key = pa.table({"id": pa.array([], pa.int64())})
    first = Latest(pa.table({"id": pa.array([1], pa.int64()), "a": ["x"]}), key, False)
    then = Latest(pa.table({"id": pa.array([2], pa.int64()), "b": ["y"], "c": pa.array([6], pa.int64())}), key, False)
    now = pa.schema([("id", pa.int64()), ("b", pa.string()), ("c", pa.int64())])
    found = arrivals([Phase(first, Carry((("a", "b"),), (("c", "5"),))), Phase(then, Carry())], now)
    assert found.to_pylist() == [{"id": 1, "b": "x", "c": 5}, {"id": 2, "b": "y", "c": 6}]


def test_a_column_dropped_and_added_by_the_same_name_begins_anew() -> None:
    rows = carried(pa.table({"id": [1], "a": [7]}), Carry(added=(("a", None),)))
    assert project(rows, pa.schema([("id", pa.int64()), ("a", pa.int64())])).to_pylist() == [{"id": 1, "a": None}]


def test_what_no_row_gets_over_stops_only_a_table_that_has_rows() -> None:
    stopped = Carry(problem="MySQL works out the values")
    assert carried(pa.table({"id": pa.array([], pa.int64())}), stopped).num_rows == 0
    with pytest.raises(ContractError, match="MySQL works out"):
        carried(pa.table({"id": [1]}), stopped)


def test_changes_are_cut_between_positions_as_numbers() -> None:
    changes = pa.table({"binlog_file": ["binlog.9", "binlog.10", "binlog.10", None], "binlog_pos": pa.array([999, 5, 50, None], pa.int64())})
    assert between(changes, (10, 0), (10, 50)).column("binlog_pos").to_pylist() == [5]
    assert between(changes, START, None).num_rows == 4


def test_orders_are_dealt_to_their_days_in_their_order() -> None:
    days = [datetime(2026, 7, day, 23, 59, tzinfo=UTC) for day in (2, 1, 2, 3, 1, 2)]
    rows = pa.table({"order_id": range(7), "orderedAt": pa.array([*days, None], INSTANT)})
    found = by_hive_partition(rows, Partitioning("orderedAt", "order_date"))
    assert {day: part.column("order_id").to_pylist() for day, part in found.items()} == {
        "2026-07-02": [0, 2, 5], "2026-07-01": [1, 4], "2026-07-03": [3], NO_DATE: [6],
    }  # fmt: skip
    assert by_hive_partition(rows, None) == {WHOLE: rows}
    assert by_hive_partition(rows.slice(0, 0), None) == {}


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.string()])
def test_the_rows_that_stay_are_the_same_however_keys_lie(kind: pa.DataType) -> None:
    random = Random(kind.id)
    for _ in range(200):
        held = random.sample(range(-50, 50), random.randrange(60))
        changed = random.sample(range(-90, 90), random.randrange(60))
        old = pa.table({"id": pa.array(held, pa.int64()).cast(kind)})
        keys = pa.table({"id": pa.array(changed, pa.int64()).cast(kind)})
        stay = pa.array([key for key in held if key not in changed], pa.int64()).cast(kind)
        assert without(old, keys).column("id").to_pylist() == stay.to_pylist()
