"""Debezium's envelope: the columns of a row, its key, and a change's position in MySQL's commit
order.

Source of the shapes: Debezium's MySQL connector documentation, "Data change events" and
"Transaction metadata".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from schemas.avro_schema import AvroType, named_types, resolve, without_null
from schemas.errors import ContractError
from schemas.logical_types import Column, columns_of

CREATE = "c"
READ = "r"
UPDATE = "u"
DELETE = "d"
TRUNCATE = "t"
# The marks of a snapshot's rows: the last one, and those of an incremental snapshot, which reads a
# table in chunks beside the changes.
LAST = "last"
INCREMENTAL = "incremental"

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
    return {"before", "after", "source", "op"} <= {
        field["name"] for field in schema["fields"]
    }


def row_columns(value_schema: AvroType, where: str) -> tuple[Column, ...]:
    """Return the columns of the row inside a change envelope, in the table's order.

    Raises ContractError naming `where` (the table) and the column that cannot be replicated.
    """
    return columns_of(row_avro(value_schema, where), where, named_types(value_schema))


def row_avro(value_schema: AvroType, where: str) -> dict[str, Any]:
    """Return the Avro record of the row inside a change envelope.

    Raises ContractError naming `where` for another schema.
    """
    if not is_change(value_schema):
        raise ContractError(f"{where}: schema {_name(value_schema)} is no change envelope")
    types = named_types(value_schema)
    after = next(
        field["type"] for field in value_schema["fields"] if field["name"] == "after"
    )
    return without_null(resolve(after, types), types)


def key_columns(key_schema: AvroType, where: str) -> tuple[str, ...]:
    """Return the names of the key's columns in Avro, in key order: see columns_of_fields.

    Raises ContractError if the key is no record of columns.
    """
    if not isinstance(key_schema, dict) or key_schema.get("type") != "record":
        raise ContractError(f"{where}: the key schema is no record of key columns")
    return tuple(field["name"] for field in key_schema["fields"])


def position_arrays(envelopes: Sequence[Mapping[str, Any] | None]) -> dict[str, pa.Array]:
    """Return the positions of changes as Arrow columns, in the order of `POSITION`.

    A position that an envelope does not have is null.
    """
    arrays = {}
    for name, (kind, path) in POSITION.items():
        values = [_value_at(envelope, path) for envelope in envelopes]
        arrays[name] = pa.array(values, kind)
    return arrays


def is_snapshot_row(change: Mapping[str, Any]) -> bool:
    """Whether a change is a row of a full snapshot, which has every table at one point of MySQL's
    history.
    """
    return bool(change["op"] == READ and change["source"].get("snapshot") != INCREMENTAL)


def is_of_table(change: Mapping[str, Any], table: str) -> bool:
    """Whether a change is one of a table of MySQL, and not of another in the same Kafka topic."""
    name = change["source"].get("table")
    return name is None or name == table


def snapshot_id(source: Mapping[str, Any]) -> str:
    """Return the id of a row's full snapshot: the position in the binary log at which it was taken,
    which all its rows state.
    """
    return f"{source.get('file')}:{source.get('pos')}"


def binlog_number(file: str | None) -> int:
    """Return the number of a binlog file, -1 for none: files sort by number (TRAPS 1)."""
    return int(file.rpartition(".")[2]) if file else -1


def _value_at(record: Mapping[str, Any] | None, path: tuple[str, ...]) -> Any:
    for step in path:
        if record is None:
            return None
        record = record.get(step)
    return record


def _name(schema: AvroType) -> str:
    if not isinstance(schema, dict):
        return str(schema)
    return str(schema.get("name", schema.get("type")))
