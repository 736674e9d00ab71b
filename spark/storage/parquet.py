"""Parquet files in memory: written in row groups of a useful size, read one row group at a time.

The encoding of a column depends on its values, since encoding is most of a merge's cost: numbers
and instants by their differences (a third of the time of a dictionary and half of its size, on
orders), texts through a dictionary only where they repeat.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import WarehouseError
from schemas.manifest import REBUILD_FROM_LOG
from spark.storage.stored_names import StoredNames, stored_schema, with_schema

ROW_GROUP_ROWS = 131_072
COMPRESSION = "zstd"
BY_DIFFERENCES = "DELTA_BINARY_PACKED"
# Whether texts repeat is judged by so many rows.
SAMPLE_ROWS = 1000
RESTORE_HINT = f"restore the file; or {REBUILD_FROM_LOG}"
# Without this, Hive reads dates before 1582 as those of the Julian calendar.
GREGORIAN_DATES = {"writer.date.proleptic": "true"}


class ParquetWriter:
    """Writes a file in memory. Many small tables still make few row groups.

    Columns have their names of MySQL here, and those of Hive in the file.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema, self._names = stored_schema(schema)
        self._buffer = pa.BufferOutputStream()
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []
        self._pending_rows = 0

    def write_rows(self, table: pa.Table) -> None:
        """Append rows; the table has the file's schema."""
        if table.num_rows:
            self._pending.append(table)
            self._pending_rows += table.num_rows
            self.rows += table.num_rows
        if self._pending_rows >= ROW_GROUP_ROWS:
            self._flush()

    @property
    def size(self) -> int:
        """The bytes written so far, without the rows that wait for their row group."""
        return int(self._buffer.tell())

    def finish(self) -> bytes:
        """Return the complete file."""
        self._flush()
        writer = self._writer or self._open(self._schema.empty_table())
        writer.close()
        return bytes(self._buffer.getvalue())

    def _flush(self) -> None:
        if self._pending:
            rows = with_schema(pa.concat_tables(self._pending), self._schema)
            self._writer = self._writer or self._open(rows)
            self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._pending = []
        self._pending_rows = 0

    def _open(self, first: pa.Table) -> pq.ParquetWriter:
        # Timestamps keep their microseconds; Hive truncates milliseconds and loses nanoseconds
        # (TRAPS 29).
        writer = pq.ParquetWriter(
            self._buffer,
            self._schema,
            coerce_timestamps="us",
            version="2.6",
            store_schema=False,
            **encodings(first.slice(0, SAMPLE_ROWS)),
        )
        writer.add_key_value_metadata(GREGORIAN_DATES | self._names.metadata())
        return writer


def encodings(sample: pa.Table) -> dict[str, Any]:
    """Return the encoding and compression of each column, as arguments of pyarrow's writer.

    Columns are named by their path within structs.
    """
    leaves: dict[str, list[pa.ChunkedArray]] = {}
    for name, column in zip(sample.column_names, sample.columns, strict=True):
        for path, leaf in _leaves(name, column):
            leaves.setdefault(path, []).append(leaf)
    numbers = []
    repeating = []
    # Two columns can have one path (a column `a.b`, and `b` in the struct `a`): pyarrow cannot
    # distinguish them.
    for path, columns in leaves.items():
        if all(_is_whole_number(column.type) for column in columns):
            numbers.append(path)
        elif all(_repeats(column) for column in columns):
            repeating.append(path)
    compression = dict.fromkeys(leaves, COMPRESSION)
    compression |= dict.fromkeys(numbers, "none")
    return {
        "column_encoding": dict.fromkeys(numbers, BY_DIFFERENCES),
        "use_dictionary": repeating,
        "compression": compression,
    }


def _leaves(path: str, column: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray]]:
    if not pa.types.is_struct(column.type):
        yield path, column
        return
    for field, inner in zip(column.type, column.flatten(), strict=True):
        yield from _leaves(f"{path}.{field.name}", inner)


def _is_whole_number(kind: pa.DataType) -> bool:
    """Whether Parquet stores values of a type as INT32 or INT64."""
    return pa.types.is_integer(kind) or (
        pa.types.is_temporal(kind) and not pa.types.is_interval(kind)
    )


def _repeats(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
        return not pa.types.is_boolean(column.type)
    return len(column.unique()) * 2 <= len(column)


def read_schema(data: bytes, path: str) -> pa.Schema:
    """Return the Arrow schema of a file. Raises WarehouseError naming `path` for a damaged file."""
    schema = _open_file(data, path).schema_arrow
    return StoredNames.of_file(schema.metadata).original_schema(schema)


def read_table(data: bytes, path: str, columns: list[str] | None = None) -> pa.Table:
    """Return the rows of a file, with those of `columns` that it has (None: all).

    Raises WarehouseError naming `path` for a damaged file.
    """
    file = _open_file(data, path)
    if columns is not None:
        columns = [name for name in columns if name in file.schema_arrow.names]
    names = StoredNames.of_file(file.schema_arrow.metadata)
    with damage_as_error(path):
        return names.with_original_names(file.read(columns=columns))


def read_row_groups(data: bytes, path: str) -> Iterator[pa.Table]:
    """Yield the rows of a file, a row group at a time.

    Raises WarehouseError naming `path` for a damaged file.
    """
    file = _open_file(data, path)
    names = StoredNames.of_file(file.schema_arrow.metadata)
    for number in range(file.num_row_groups):
        with damage_as_error(path):
            # Threads are for files side by side.
            rows = file.read_row_group(number, use_threads=False)
        yield names.with_original_names(rows)


def _open_file(data: bytes, path: str) -> pq.ParquetFile:
    with damage_as_error(path):
        return pq.ParquetFile(pa.BufferReader(data))


@contextmanager
def damage_as_error(path: str) -> Iterator[None]:
    """Convert errors of reading a file into WarehouseError naming `path`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise WarehouseError(
            f"{path} is no whole Parquet file: {reason}", RESTORE_HINT
        ) from error
