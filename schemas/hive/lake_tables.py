"""The columns of the archive: one row per Kafka record, with its position, its raw bytes, and their
content as typed columns.

`version` is the version of the warehouse that added the record; files of older releases do not have
it, and give NULL.

Files have all columns of a table. Hive has the first ones of a very wide table: its metastore holds
a type of TYPE_LENGTH characters.
"""

from collections.abc import Sequence
from itertools import accumulate

import pyarrow as pa

from schemas.envelope import POSITION
from schemas.hive.names import column_names
from schemas.logical_types import INSTANT, Column, struct_type
from schemas.warehouse_layout import Kind

# Columns of every row of the archive: name -> (Arrow type, Hive type).
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

# Of a column's type in the metastore (TYPE_NAME in the package.jdo of Hive 4).
TYPE_LENGTH = 32_672

HIVE_OF = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint"}


def images(kind: Kind) -> tuple[str, ...]:
    """Return the struct columns of a record's content: the row before and after a change, or just
    the record.
    """
    return ("before", "after") if kind is Kind.CHANGES else ("after",)


def arrow_schema(kind: Kind, columns: Sequence[Column] | None) -> pa.Schema:
    """Return the Arrow schema of an archive file; None for `columns` if nothing in it could be
    decoded.
    """
    fields = [pa.field(name, arrow) for name, (arrow, _) in RECORD.items()]
    fields += [pa.field(name, arrow) for name, (arrow, _) in POSITION.items()]
    if columns is not None:
        fields += [pa.field(name, struct_type(columns)) for name in images(kind)]
    return pa.schema(fields)


def hive_columns(
    kind: Kind, columns: Sequence[Column] | None
) -> tuple[tuple[str, str], ...]:
    """Return the columns (name, Hive type) of a lake table.

    Fields are found by name, so a struct can lack the table's last columns.
    """
    hive_types = {name: hive for name, (_, hive) in RECORD.items()}
    for name, (arrow, _) in POSITION.items():
        hive_types[name] = HIVE_OF[arrow]
    if columns is not None:
        names = column_names([column.name for column in columns])
        fields = [
            f"{name.lower()}:{column.type.hive}"
            for name, column in zip(names, columns, strict=True)
        ]
        hive_types |= dict.fromkeys(images(kind), _struct_of_first(fields))
    return tuple(hive_types.items())


def _struct_of_first(fields: Sequence[str]) -> str:
    """Return the struct type with as many of the first fields as the metastore holds."""
    ends = accumulate(len(field) + 1 for field in fields)
    room = TYPE_LENGTH - len("struct<")
    count = sum(end <= room for end in ends)
    return f"struct<{','.join(fields[:count])}>"
