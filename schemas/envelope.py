"""Debezium's envelope: which columns a row has, what identifies it, and where in MySQL's commit order a change stands.

Source of the shapes: Debezium's MySQL connector documentation, "Data change events" and "Transaction metadata".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from infra.errors import ContractError
from schemas.logical import AvroType, Column, columns_of, names_in, resolve, without_null

CREATE, READ, UPDATE, DELETE, TRUNCATE = "c", "r", "u", "d", "t"
# How the rows of a snapshot are marked: the very last one, and those that are read again in chunks while changes go on.
LAST, INCREMENTAL = "last", "incremental"

# The position of a change, as columns of the archive: name -> (Arrow type, path in the envelope).
POSITION: dict[str, tuple[pa.DataType, tuple[str, ...]]] = {
    "op": (pa.string(), ("op",)),
    "snapshot": (pa.string(), ("source", "snapshot")),
    "gtid": (pa.string(), ("source", "gtid")),
    "binlog_file": (pa.string(), ("source", "file")),
    "binlog_pos": (pa.int64(), ("source", "pos")),
    "binlog_row": (pa.int32(), ("source", "row")),
    "tx_id": (pa.string(), ("transaction", "id")),
    "tx_order": (pa.int64(), ("transaction", "total_order")),
    "tx_table_order": (pa.int64(), ("transaction", "data_collection_order")),
}


def is_change(schema: AvroType) -> bool:
    """Whether a value schema is a change envelope."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        return False
    return {"before", "after", "source", "op"} <= {field["name"] for field in schema["fields"]}


def row_columns(value_schema: AvroType, where: str) -> tuple[Column, ...]:
    """The columns of the row inside a change envelope, in the table's order.

    Raises ContractError naming `where` (the table) and the column that cannot be carried.
    """
    if not is_change(value_schema):
        raise ContractError(f"{where}: schema {_name(value_schema)} is no change envelope")
    named = names_in(value_schema)
    after = next(field["type"] for field in value_schema["fields"] if field["name"] == "after")
    return columns_of(without_null(resolve(after, named), named), where, named)


def key_columns(key_schema: AvroType, where: str) -> tuple[str, ...]:
    """The names of the columns that identify a row, in key order. Raises ContractError if the key is no record of columns."""
    if not isinstance(key_schema, dict) or key_schema.get("type") != "record":
        raise ContractError(f"{where}: the key schema is no record of key columns")
    return tuple(field["name"] for field in key_schema["fields"])


def position_arrays(envelopes: Sequence[Mapping[str, Any] | None]) -> dict[str, pa.Array]:
    """The positions of some changes as Arrow columns, in the order of `POSITION`; nulls for what has none."""
    return {name: pa.array([_at(envelope, path) for envelope in envelopes], kind) for name, (kind, path) in POSITION.items()}


def is_snapshot_row(change: Mapping[str, Any]) -> bool:
    """Whether a change is a row of a full snapshot, which stands for the whole table at one point of MySQL's history."""
    return bool(change["op"] == READ and change["source"].get("snapshot") != INCREMENTAL)


def snapshot_id(source: Mapping[str, Any]) -> str:
    """Which full snapshot a row belongs to: all its rows state the place in the binary log at which it was taken."""
    return f"{source.get('file')}:{source.get('pos')}"


def binlog_number(file: str | None) -> int:
    """The number of a binlog file, so that files order as numbers (TRAPS 1); -1 for none."""
    return int(file.rpartition(".")[2]) if file else -1


def _at(record: Mapping[str, Any] | None, path: tuple[str, ...]) -> Any:
    for step in path:
        if record is None:
            return None
        record = record.get(step)
    return record


def _name(schema: AvroType) -> str:
    return str(schema.get("name", schema.get("type"))) if isinstance(schema, dict) else str(schema)
