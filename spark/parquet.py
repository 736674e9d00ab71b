"""Parquet files in memory: written in row groups of a useful size, read a row group at a time."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import WarehouseError
from spark.manifest import FROM_THE_LOG

ROW_GROUP_ROWS = 131_072
COMPRESSION = "zstd"
ANEW = f"restore the file; or {FROM_THE_LOG}"
# Hive takes dates for those of the Julian calendar before 1582 unless the file says that they are not.
OUR_CALENDAR = {"writer.date.proleptic": "true"}


class ParquetWriter:
    """A file being written. Small tables are gathered, so that many small writes still make few row groups."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._buffer = io.BytesIO()
        # Timestamps keep their microseconds; Hive truncates milliseconds and loses nanoseconds (TRAPS 29).
        self._writer = pq.ParquetWriter(self._buffer, schema, compression=COMPRESSION, coerce_timestamps="us", version="2.6", store_schema=False)
        self._writer.add_key_value_metadata(OUR_CALENDAR)
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
        return self._buffer.tell()

    def finish(self) -> bytes:
        """The whole file."""
        self._flush()
        self._writer.close()
        return self._buffer.getvalue()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=ROW_GROUP_ROWS)
        self._waiting, self._waiting_rows = [], 0


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
            rows = file.read_row_group(number)
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
