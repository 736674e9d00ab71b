"""What is taken out of the archive, and what a merge is told about it."""

from typing import Any

import pyarrow as pa

from schemas.warehouse import Kind, Source
from spark.take import NEEDED, described, within
from tests.unit.spark.test_merge import LOG, insert, read

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
KEY = b"\x00\x00\x00\x00\x09body"
SCHEMA = pa.schema([*(field for field in LOG if field.name in NEEDED), ("key", pa.binary()), ("schema_id", pa.int32())])


class Keys:
    """What a decoder says of key schemas."""

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        return ("id",) if schema_id == 9 else ()


def records(*rows: dict[str, Any]) -> pa.Table:
    found = [
        {"partition": 0, "offset": number, "key": KEY, "schema_id": 3, "binlog_file": "binlog.000002", "binlog_pos": number, **row}
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(found, SCHEMA)


def test_records_are_taken_from_one_point_up_to_another_in_each_partition() -> None:
    log = pa.table({"partition": pa.array([0, 0, 1, 1, 2], pa.int32()), "offset": [4, 5, 4, 9, 0]})
    assert within(log, {0: 5}, {0: 9, 1: 9}).to_pylist() == [{"partition": 0, "offset": 5}, {"partition": 1, "offset": 4}]


def test_a_merge_is_told_the_newest_schema_key_place_and_snapshot() -> None:
    rows = [
        {**read(7, 1, "a"), "binlog_file": "binlog.000010"},
        {**insert(2, "b"), "binlog_file": "binlog.000009", "binlog_pos": 99, "schema_id": 4, "gtid": "g"},
        {"op": None, "schema_id": None},
    ]
    done = described(ORDERS, records(*rows), "/s/x", Keys())  # type: ignore[arg-type]
    assert (done.schema_id, done.key_schema_id, done.position, done.truncated) == (4, 9, (10, 7, ""), False)
    assert (done.snapshot, done.snapshot_place) == ("binlog.000010:7", (10, 7))
    assert done.hive_partitions == {""}


def test_records_of_which_none_could_be_read_plan_nothing() -> None:
    done = described(ORDERS, records({"op": None, "schema_id": None}), "", Keys())  # type: ignore[arg-type]
    assert (done.schema_id, done.files, done.rows) == (None, [], 1)


def test_a_truncate_is_told_and_has_no_key() -> None:
    done = described(ORDERS, records({**insert(1, "a"), "key": KEY}, {"op": "t", "key": None}), "/s/x", Keys())  # type: ignore[arg-type]
    assert (done.truncated, done.key_schema_id) == (True, 9)
