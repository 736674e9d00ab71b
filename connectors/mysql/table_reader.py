"""Reads a whole table from a consistent snapshot, in columns.

A chunk of rows is one query by the table's key. After it, MySQL releases the lock on the table's
definition, so a statement that changes the table waits for one chunk at most; the next chunk then
raises TableChanged.
"""

from collections import Counter
from collections.abc import Generator, Iterator

import pyarrow as pa

from connectors.mysql.client import Connection
from connectors.mysql.column_types import ReadColumn
from connectors.mysql.key_ranges import KeyValue, key_ranges
from connectors.mysql.row_packets import RowBatch
from connectors.mysql.table_description import MysqlTable, noticed_change, released_locks
from schemas.errors import ContractError

# Rows are converted when so many bytes have come, also in the middle of a chunk.
BATCH_BYTES = 32 << 20
# The first chunk tells how large rows are.
FIRST_CHUNK_ROWS = 1000
# So long MySQL waits for a reader that writes what it has read.
WAIT_SECONDS = 600
# Zero dates in keys are compared as any others, and nothing but the reader ends a query.
SESSION_SQL = (
    "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', "
    f"net_write_timeout = {WAIT_SECONDS}, max_execution_time = 0"
)


class TableChunks(Iterator[pa.Table]):
    """The rows of a table, in chunks with the names and types of the log.

    `zero_dates` counts, by column (in MySQL), the dates read so far that became null: zero dates,
    the year 0000, and days that no calendar has. `rows` and `received_bytes` count what was read.
    """

    def __init__(
        self, connection: Connection, table: MysqlTable, rows_per_chunk: int
    ) -> None:
        self.zero_dates: Counter[str] = Counter()
        self.rows = 0
        self.received_bytes = 0
        self._connection = connection
        self._table = table
        self._ranges = key_ranges(table)
        self._rows_per_chunk = rows_per_chunk
        self._last_key: tuple[KeyValue, ...] = ()
        self._chunks = self._read_partitions()

    def __next__(self) -> pa.Table:
        with noticed_change(self._table.name):
            return next(self._chunks)

    def close(self) -> None:
        """Stop reading. In the middle of a query's rows, this closes the connection."""
        self._chunks.close()

    def _read_partitions(self) -> Generator[pa.Table]:
        """Read one partition at a time: of several, MySQL looks only at one's definition, and does
        not notice that another was emptied since the snapshot began.
        """
        self._connection.execute(SESSION_SQL)
        for partition in self._table.partitions or ("",):
            if self._ranges.key:
                yield from self._read_ranges(partition)
            else:
                yield from self._read_whole(partition)

    def _read_whole(self, partition: str) -> Iterator[pa.Table]:
        """Read all rows by one query."""
        with released_locks(self._connection):
            for table in self._tables(self._ranges.sql(partition=partition)):
                for start in range(0, table.num_rows, self._rows_per_chunk):
                    yield table.slice(start, self._rows_per_chunk)

    def _read_ranges(self, partition: str) -> Iterator[pa.Table]:
        """Read a query per chunk: all depths of the ranges after a key, until none has rows."""
        depth = 0
        while depth >= 0:
            rows = self._next_rows()
            sql = self._ranges.sql(
                partition=partition, last_key=self._last_key, depth=depth, rows=rows
            )
            rows_before = self.rows
            last_table = None
            with released_locks(self._connection):
                for table in self._tables(sql):
                    if last_table is not None:
                        yield last_table
                    last_table = table
            if last_table is not None:
                yield last_table
            if self.rows == rows_before + rows:
                depth = len(self._ranges.key)
            else:
                depth = depth - 1 if depth > 1 else -1

    def _next_rows(self) -> int:
        """Return how many rows the next chunk has, so that it has at most BATCH_BYTES if rows are
        as large as before.
        """
        if not self.rows:
            return min(FIRST_CHUNK_ROWS, self._rows_per_chunk)
        fitting_rows = BATCH_BYTES * self.rows // self.received_bytes
        return max(1, min(fitting_rows, self._rows_per_chunk))

    def _tables(self, sql: str) -> Iterator[pa.Table]:
        for batch in self._connection.stream_rows(sql, BATCH_BYTES):
            yield self._convert(batch)

    def _convert(self, batch: RowBatch) -> pa.Table:
        fields = batch.fields(len(self._ranges.selected))
        self._last_key = self._ranges.last_key(fields)
        self.rows += len(batch.starts)
        self.received_bytes += len(batch.data)
        arrays = []
        for read_column, values in zip(self._table.columns, fields, strict=False):
            arrays.append(self._array(read_column, values))
        return pa.Table.from_arrays(arrays, schema=self._table.schema)

    def _array(self, read_column: ReadColumn, values: pa.BinaryArray) -> pa.Array:
        try:
            array = read_column.convert(values)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise ContractError(
                f"table {self._table.name}: column {read_column.name}: {error} "
                f"(for type {read_column.facts.full_type})"
            ) from error
        zero_dates = array.null_count - values.null_count
        if zero_dates:
            self.zero_dates[read_column.name] += zero_dates
        return array


def read_chunks(
    connection: Connection, table: MysqlTable, rows_per_chunk: int = 50_000
) -> TableChunks:
    """Read the rows of a table that was described in the same consistent snapshot.

    The connection is in the transaction of that snapshot, and in UTC; its session's settings are
    changed. Rows come in the order of the key, partition by partition, at most `rows_per_chunk` at
    a time, fewer if they are large. A table without a key that can be read by ranges is read by one
    query: until its end, the table's definition is locked, and only the reader can use the
    connection.

    Iterating raises TableChanged if MySQL notices that a statement changed the table since the
    snapshot began, ContractError for values that are none of their type's, Unavailable, SqlRefused.
    MySQL does not notice that another, older table has taken the name or a partition's place
    (RENAME, EXCHANGE PARTITION): the caller looks for statements about the table in the log,
    between the snapshot and the end of the read.
    """
    return TableChunks(connection, table, rows_per_chunk)
