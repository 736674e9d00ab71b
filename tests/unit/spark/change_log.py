"""Archived changes of a table `id, name` for tests, as Debezium numbers and marks them."""

from typing import Any

import pyarrow as pa

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
ROW = pa.struct(list(SCHEMA))
POSITION = [
    ("partition", pa.int32()),
    ("offset", pa.int64()),
    ("op", pa.string()),
    ("snapshot", pa.string()),
    ("gtid", pa.string()),
]
PLACE = [
    ("tx_id", pa.string()),
    ("tx_table_order", pa.int64()),
    ("binlog_file", pa.string()),
]
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
LOG = pa.schema(
    [
        *POSITION,
        *PLACE,
        ("binlog_pos", pa.int64()),
        ("binlog_row", pa.int32()),
        ("error", pa.string()),
        ("before", ROW),
        ("after", ROW),
    ]
)


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
    return [
        change
        | {"gtid": f"{UUID}:{number}", "tx_id": f"{UUID}:{number}", "tx_table_order": order}
        for order, change in enumerate(changes, 1)
    ]


def read(at: int, key: int, name: str, marked: str = "true") -> dict[str, Any]:
    """A row of the snapshot taken at a place of the binary log."""
    return {
        "op": "r",
        "snapshot": marked,
        "binlog_file": "binlog.000002",
        "binlog_pos": at,
        "after": row(key, name),
    }


TOMBSTONE: dict[str, Any] = {}
TRUNCATE = {"op": "t"}


def log(*changes: dict[str, Any], partition: int = 0) -> pa.Table:
    """Changes as archived, in this order."""
    return pa.Table.from_pylist(
        [
            {"partition": partition, "offset": number, **change}
            for number, change in enumerate(changes)
        ],
        LOG,
    )


def rows(table: pa.Table) -> list[tuple[int, str]]:
    return sorted((found["id"], found["name"]) for found in table.to_pylist())
