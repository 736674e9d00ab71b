"""The shape of the archive: one row per Kafka record, with its position, its raw bytes, and what they say as typed columns.

`version` is the version of the warehouse that took the record in; files of older releases do not say it, and read as NULL.
"""

from collections.abc import Sequence

import pyarrow as pa

from schemas.envelope import POSITION
from schemas.logical import INSTANT, Column, struct_type
from schemas.warehouse import Kind

# What every row of the archive has: name -> (Arrow type, Hive type).
RECORD: dict[str, tuple[pa.DataType, str]] = {
    "topic": (pa.string(), "string"),
    "partition": (pa.int32(), "int"),
    "offset": (pa.int64(), "bigint"),
    "logged_at": (INSTANT, "timestamp"),
    "key": (pa.binary(), "binary"),
    "value": (pa.binary(), "binary"),
    "schema_id": (pa.int32(), "int"),
    "error": (pa.string(), "string"),
    "version": (pa.int64(), "bigint"),
}

HIVE_OF = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint"}


def images(kind: Kind) -> tuple[str, ...]:
    """The struct columns that hold what a record says: the row before and after a change, or just the record."""
    return ("before", "after") if kind is Kind.CHANGES else ("after",)


def arrow_schema(kind: Kind, columns: Sequence[Column] | None) -> pa.Schema:
    """The Arrow schema of an archive file; without columns (nothing in it could be read) it has no images."""
    fields = [pa.field(name, arrow) for name, (arrow, _) in RECORD.items()]
    fields += [pa.field(name, arrow) for name, (arrow, _) in POSITION.items()]
    if columns is not None:
        fields += [pa.field(name, struct_type(columns)) for name in images(kind)]
    return pa.schema(fields)


def hive_columns(kind: Kind, columns: Sequence[Column] | None) -> tuple[tuple[str, str], ...]:
    """The columns (name, Hive type) of a lake table."""
    found = [(name, hive) for name, (_, hive) in RECORD.items()] + [(name, HIVE_OF[arrow]) for name, (arrow, _) in POSITION.items()]
    if columns is not None:
        row = ",".join(f"{column.name.lower()}:{column.type.hive}" for column in columns)
        found += [(name, f"struct<{row}>") for name in images(kind)]
    return tuple(found)
