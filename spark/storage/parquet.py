"""Parquet files in memory: written in row groups of a useful size, read a row group at a time.

How a column is encoded follows its values, since encoding is most of what a merge costs: numbers and instants by their differences (a third of
the time of a dictionary and a half of its size, on orders), texts through a dictionary only where they repeat.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import WarehouseError
from spark.manifest import FROM_THE_LOG

ROW_GROUP_ROWS = 131_072
COMPRESSION = "zstd"
BY_DIFFERENCES = "DELTA_BINARY_PACKED"
# So many rows tell whether texts repeat.
SAMPLE_ROWS = 1000
ANEW = f"restore the file; or {FROM_THE_LOG}"
# Hive takes dates for those of the Julian calendar before 1582 unless the file says that they are not.
OUR_CALENDAR = {"writer.date.proleptic": "true"}


class ParquetWriter:
    """A file being written. Small tables are gathered, so that many small writes still make few row groups."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._buffer = pa.BufferOutputStream()
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0

    def write(self, table: pa.Table) -> None:
        """Add rows; the table has the file's schema."""
        if table.num_rows:
            self._waiting.append(table)
            self._waiting_rows += table.num_rows
            self.rows += table.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._flush()

    @property
    def size(self) -> int:
        """Bytes written so far, without the rows that wait for their row group."""
        return int(self._buffer.tell())

    def finish(self) -> bytes:
        """The whole file."""
        self._flush()
        writer = self._writer or self._opened(self._schema.empty_table())
        writer.close()
        return bytes(self._buffer.getvalue())

    def _flush(self) -> None:
        if self._waiting:
            rows = pa.concat_tables(self._waiting)
            self._writer = self._writer or self._opened(rows)
            self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._waiting, self._waiting_rows = [], 0

    def _opened(self, first: pa.Table) -> pq.ParquetWriter:
        # Timestamps keep their microseconds; Hive truncates milliseconds and loses nanoseconds (TRAPS 29).
        writer = pq.ParquetWriter(
            self._buffer, self._schema, coerce_timestamps="us", version="2.6", store_schema=False, **encodings(first.slice(0, SAMPLE_ROWS))
        )
        writer.add_key_value_metadata(OUR_CALENDAR)
        return writer


def encodings(sample: pa.Table) -> dict[str, Any]:
    """How pyarrow's writer is to encode and compress each column, as its arguments; columns are named by their path within structs."""
    leaves: dict[str, list[pa.ChunkedArray]] = {}
    for name, column in zip(sample.column_names, sample.columns, strict=True):
        for path, leaf in _leaves(name, column):
            leaves.setdefault(path, []).append(leaf)
    # Of two columns that have one path (a column `a.b`, and `b` in the struct `a`) pyarrow cannot tell one from the other.
    numbers = [path for path, found in leaves.items() if all(_is_whole_number(leaf.type) for leaf in found)]
    return {
        "column_encoding": dict.fromkeys(numbers, BY_DIFFERENCES),
        "use_dictionary": [path for path, found in leaves.items() if path not in numbers and all(map(_repeats, found))],
        "compression": {path: "none" if path in numbers else COMPRESSION for path in leaves},
    }


def _leaves(path: str, column: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray]]:
    if not pa.types.is_struct(column.type):
        yield path, column
        return
    for field, inner in zip(column.type, column.flatten(), strict=True):
        yield from _leaves(f"{path}.{field.name}", inner)


def _is_whole_number(kind: pa.DataType) -> bool:
    """Whether Parquet keeps values of a type as INT32 or INT64."""
    return pa.types.is_integer(kind) or (pa.types.is_temporal(kind) and not pa.types.is_interval(kind))


def _repeats(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
        return not pa.types.is_boolean(column.type)
    return len(column.unique()) * 2 <= len(column)


def schema_of(data: bytes, path: str) -> pa.Schema:
    """The Arrow schema of a file. Raises WarehouseError if it is not whole, as all of these do; `path` is for that."""
    return _opened(data, path).schema_arrow.remove_metadata()


def read_table(data: bytes, path: str, columns: list[str] | None = None) -> pa.Table:
    """The rows of a file; of `columns` those that it has."""
    file = _opened(data, path)
    wanted = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
    with whole(path):
        return file.read(columns=wanted)


def row_groups(data: bytes, path: str) -> Iterator[pa.Table]:
    """The rows of a file, a row group at a time."""
    file = _opened(data, path)
    for number in range(file.num_row_groups):
        with whole(path):
            rows = file.read_row_group(number, use_threads=False)  # threads are for files side by side
        yield rows


def _opened(data: bytes, path: str) -> pq.ParquetFile:
    with whole(path):
        return pq.ParquetFile(pa.BufferReader(data))


@contextmanager
def whole(path: str) -> Iterator[None]:
    """Around reading a file: raises WarehouseError naming it if it is not whole."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise WarehouseError(f"{path} is no whole Parquet file: {str(error).splitlines()[0]}", ANEW) from error
