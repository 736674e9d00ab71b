"""The ENDs of transactions among archived records."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from schemas.logical_types import INSTANT
from spark.archive.archived_transactions import SCHEMA, end_records, in_commit_order

START = datetime(2026, 11, 26, 12, tzinfo=UTC)
COLLECTION = pa.struct([("data_collection", pa.string()), ("event_count", pa.int64())])
IMAGE = pa.struct(
    [
        ("status", pa.string()),
        ("id", pa.string()),
        ("data_collections", pa.list_(COLLECTION)),
    ]
)
ARCHIVE = pa.schema([("offset", pa.int64()), ("logged_at", INSTANT), ("after", IMAGE)])


def end(offset: int, gtid: str, **counts: int) -> dict[str, Any]:
    collections = [
        {"data_collection": f"eCommerce.{table}", "event_count": count}
        for table, count in counts.items()
    ]
    image = {"status": "END", "id": gtid, "data_collections": collections}
    return {
        "offset": offset,
        "logged_at": START + timedelta(seconds=offset),
        "after": image,
    }


def begin(offset: int, gtid: str) -> dict[str, Any]:
    image = {"status": "BEGIN", "id": gtid, "data_collections": None}
    return {"offset": offset, "logged_at": START, "after": image}


def row(offset: int, gtid: str, table: str, changes: int) -> dict[str, Any]:
    return {
        "offset": offset,
        "ended_at": START + timedelta(seconds=offset),
        "gtid": gtid,
        "topic": f"cdc.eCommerce.{table}",
        "changes": changes,
    }


@pytest.mark.parametrize(
    ("records", "rows"),
    [
        ([begin(0, "a:1"), end(1, "a:1", orders=2)], [row(1, "a:1", "orders", 2)]),
        (
            [end(1, "a:1", orders=2, user=1), end(3, "a:2", user=4)],
            [
                row(1, "a:1", "orders", 2),
                row(1, "a:1", "user", 1),
                row(3, "a:2", "user", 4),
            ],
        ),
        ([end(1, "a:1")], []),
        ([end(1, "a:1", orders=1), end(9, "a:2", orders=1)], [row(1, "a:1", "orders", 1)]),
        ([{"offset": 1, "logged_at": START, "after": None}], []),
        ([], []),
    ],
    ids=["one", "several topics", "without changes", "beyond the end", "tombstone", "none"],
)
def test_each_topic_of_a_transaction_has_a_row_with_its_changes(
    records: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    ends = end_records(pa.Table.from_pylist(records, ARCHIVE), end=9)
    assert ends.schema == SCHEMA
    assert ends.to_pylist() == rows


def test_a_file_of_undecoded_records_has_no_ends() -> None:
    undecoded = pa.table({"offset": [1], "logged_at": [START]})
    assert end_records(undecoded, end=9).num_rows == 0


def test_an_end_that_connect_repeated_counts_where_it_was_first() -> None:
    repeated = pa.Table.from_pylist([row(7, "a:1", "orders", 1)], SCHEMA)
    first = pa.Table.from_pylist(
        [row(4, "a:2", "orders", 1), row(2, "a:1", "orders", 1), row(2, "a:1", "user", 1)],
        SCHEMA,
    )
    ends = in_commit_order([repeated, first])
    assert ends.select(["offset", "gtid", "topic"]).to_pylist() == [
        {"offset": 2, "gtid": "a:1", "topic": "cdc.eCommerce.orders"},
        {"offset": 2, "gtid": "a:1", "topic": "cdc.eCommerce.user"},
        {"offset": 4, "gtid": "a:2", "topic": "cdc.eCommerce.orders"},
    ]
    assert in_commit_order([]) == SCHEMA.empty_table()
