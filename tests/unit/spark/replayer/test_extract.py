"""What is taken out of the archive, and what a merge is told about it."""

from typing import Any

import pyarrow as pa

from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import RecordSummary, SnapshotRows
from spark.replayer.extract import EXTRACT_COLUMNS, filter_range, summarize_records
from tests.unit.spark.change_log import LOG, insert, read

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
KEY = b"\x00\x00\x00\x00\x09body"
SCHEMA = pa.schema(
    [
        *(field for field in LOG if field.name in EXTRACT_COLUMNS),
        ("key", pa.binary()),
        ("schema_id", pa.int32()),
    ]
)


class Keys:
    """What a decoder says of key schemas."""

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        return ("id",) if schema_id == 9 else ()


def records(*rows: dict[str, Any]) -> pa.Table:
    found = [
        {
            "partition": 0,
            "offset": number,
            "key": KEY,
            "schema_id": 3,
            "binlog_file": "binlog.000002",
            "binlog_pos": number,
            **row,
        }
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(found, SCHEMA)


def test_records_are_taken_from_one_point_up_to_another_in_each_partition() -> None:
    log = pa.table(
        {"partition": pa.array([0, 0, 1, 1, 2], pa.int32()), "offset": [4, 5, 4, 9, 0]}
    )
    assert filter_range(log, {0: 5}, {0: 9, 1: 9}).to_pylist() == [
        {"partition": 0, "offset": 5},
        {"partition": 1, "offset": 4},
    ]


def test_a_merge_is_told_the_newest_schema_key_place_and_snapshot() -> None:
    rows = [
        {**read(7, 1, "a"), "binlog_file": "binlog.000010"},
        {
            **insert(2, "b"),
            "binlog_file": "binlog.000009",
            "binlog_pos": 99,
            "schema_id": 4,
            "gtid": "g",
        },
        {"op": None, "schema_id": None},
    ]
    done = summarize_records(ORDERS, records(*rows), "/s/x", Keys())
    assert done.summary == RecordSummary(
        schema_id=4, key_schema_id=9, position=(10, 7, ""), hive_partitions={""}
    )
    assert done.snapshot == SnapshotRows("binlog.000010:7", (10, 7))


def test_records_of_which_none_could_be_read_plan_nothing() -> None:
    done = summarize_records(ORDERS, records({"op": None, "schema_id": None}), "", Keys())
    assert (done.summary.schema_id, done.files, done.records) == (None, [], 1)


def test_a_truncate_is_told_and_has_no_key() -> None:
    done = summarize_records(
        ORDERS,
        records({**insert(1, "a"), "key": KEY}, {"op": "t", "key": None}),
        "/s/x",
        Keys(),
    )
    assert (done.summary.is_truncated, done.summary.key_schema_id) == (True, 9)
