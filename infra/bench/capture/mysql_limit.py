"""The limit of a snapshot: MySQL's rows read in the same chunks, and dropped."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from connectors.mysql.client import Connection
from connectors.mysql.consistent_snapshot import snapshot
from connectors.mysql.key_ranges import KeyRanges, KeyValue, key_ranges
from connectors.mysql.table_description import describe_table
from connectors.mysql.table_reader import BATCH_BYTES, FIRST_CHUNK_ROWS, SESSION_SQL
from connectors.runtime.settings import Settings
from schemas.errors import StackError
from spark.reread.table_reading import READERS

# The default of connectors.mysql.table_reader.read_chunks.
CHUNK_ROWS = 50_000


def seconds_of_reading(settings: Settings, names: Sequence[str], rows: int) -> float:
    """Return how long it takes to receive all rows of some tables, which are `rows` in total.

    Ids must be the numbers from 1 on: so nothing of a row has to be looked at. Raises StackError
    if other rows come; Unavailable, SqlRefused.
    """
    readers = min(READERS, len(names))
    login = settings.login("mysql.verifier")
    with (
        snapshot(settings.mysql, login, readers) as view,
        ThreadPoolExecutor(readers) as pool,
    ):
        database = settings.mysql.database
        ranges = [_ranges(view.readers[0], database, name) for name in names]
        connections: SimpleQueue[Connection] = SimpleQueue()
        for connection in view.readers:
            connection.execute(SESSION_SQL)
            connections.put(connection)

        def read(table: KeyRanges) -> int:
            connection = connections.get()
            try:
                return _read_table(connection, table)
            finally:
                connections.put(connection)

        begin = time.monotonic()
        count = sum(pool.map(read, ranges))
        seconds = time.monotonic() - begin
    if count != rows:
        raise StackError(f"MySQL sent {count:,} of {rows:,} rows", "run the command again")
    return seconds


def _ranges(connection: Connection, database: str, name: str) -> KeyRanges:
    table = describe_table(connection, database, name)
    if table is None:
        raise StackError(f"MySQL has no table {database}.{name}", "run the command again")
    return key_ranges(table)


def _read_table(connection: Connection, ranges: KeyRanges) -> int:
    rows = 0
    while True:
        wanted_rows = CHUNK_ROWS if rows else FIRST_CHUNK_ROWS
        sql = chunk_sql(ranges, rows, wanted_rows)
        new_rows = 0
        for batch in connection.stream_rows(sql, BATCH_BYTES):
            new_rows += len(batch.starts)
        rows += new_rows
        if new_rows < wanted_rows:
            return rows


def chunk_sql(ranges: KeyRanges, last_id: int, rows: int) -> str:
    """Return the statement of the rows after an id, 0 for the first ones."""
    if not last_id:
        return ranges.sql(rows=rows)
    text = str(last_id).encode()
    return ranges.sql(last_key=[KeyValue(text, text)], depth=1, rows=rows)
