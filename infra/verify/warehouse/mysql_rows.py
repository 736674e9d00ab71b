"""MySQL's side of a proof: checksums by bucket, computed by MySQL, and the rows of some buckets.

The load is bounded: a table is read in ranges of its primary key, each by one statement, and only
as many statements run at a time as there are connections.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from connectors.mysql.client import Connection
from infra.verify.warehouse.bucket_checksums import (
    BucketChecksums,
    bucket_sql,
    checksum_sql,
)
from infra.verify.warehouse.table_shape import TableShape
from schemas.shop_tables import quoted

RANGE_ROWS = 50_000

Row = tuple[str | None, ...]  # the texts that a row is compared by; None is NULL


@dataclass(frozen=True)
class KeyRange:
    """Rows after `low` up to `high`, by the first column of the key; None is no bound."""

    column: str | None
    low: Any
    high: Any

    @property
    def condition(self) -> str:
        """The range in SQL."""
        if self.column is None:
            return "TRUE"
        name = _escaped(quoted(self.column))
        conditions = []
        if self.low is not None:
            conditions.append(f"{name} > %s")
        if self.high is not None:
            conditions.append(f"{name} <= %s")
        return " AND ".join(conditions) or "TRUE"

    @property
    def parameters(self) -> list[Any]:
        """The values that the SQL binds."""
        return [bound for bound in (self.low, self.high) if bound is not None]


class KeyRanges:
    """The ranges of a table, handed out one after another to several threads."""

    def __init__(self, shape: TableShape) -> None:
        self._shape = shape
        self._lock = threading.Lock()
        self._low: Any = None
        self._is_exhausted = False

    def next_range(self, reader: Connection) -> KeyRange | None:
        """Return the next range, None after the last; `reader` is asked where it ends."""
        with self._lock:
            if self._is_exhausted:
                return None
            column = self._shape.range_column
            low = self._low
            high = self._find_end(reader, column) if column else None
            self._low = high
            self._is_exhausted = high is None
            return KeyRange(column, low, high)

    def _find_end(self, reader: Connection, column: str) -> Any:
        name = _escaped(quoted(column))
        table = _escaped(quoted(self._shape.name))
        rest = KeyRange(column, self._low, None)
        sql = (
            f"SELECT {name} AS bound FROM {table} WHERE {rest.condition} "
            f"ORDER BY {name} LIMIT 1 OFFSET {RANGE_ROWS}"
        )
        rows = reader.query(sql, rest.parameters)
        return rows[0]["bound"] if rows else None


def table_checksums(
    readers: Sequence[Connection],
    shape: TableShape,
    buckets: int,
    on_rows: Callable[[int], None],
) -> BucketChecksums:
    """Return the checksums of a table; `on_rows` gets the number of rows of each range.

    Raises Unavailable, SqlRefused.
    """
    bucket = bucket_sql(shape.key_sql(), buckets)
    checksum = checksum_sql(shape.row_sql())
    table = quoted(shape.name)
    rows_sql = _escaped(
        f"SELECT {bucket} AS bucket, {checksum} AS checksum, "
        f"{shape.zero_dates_sql()} AS zero_dates FROM {table}"
    )
    total = BucketChecksums(buckets)
    lock = threading.Lock()
    ranges = KeyRanges(shape)

    def read_ranges(reader: Connection) -> None:
        while (key_range := ranges.next_range(reader)) is not None:
            sql = (
                "SELECT bucket, COUNT(*) AS number, BIT_XOR(checksum) AS xored, "
                "SUM(checksum) AS summed, SUM(zero_dates) AS zero_dates "
                f"FROM ({rows_sql} WHERE {key_range.condition}) AS key_range GROUP BY bucket"
            )
            bucket_rows = reader.query(sql, key_range.parameters)
            with lock:
                for bucket_row in bucket_rows:
                    total.add_bucket(bucket_row)
            on_rows(sum(int(bucket_row["number"]) for bucket_row in bucket_rows))

    with ThreadPoolExecutor(len(readers)) as pool:
        futures = [pool.submit(read_ranges, reader) for reader in readers]
        for future in futures:
            future.result()
    return total


def bucket_rows(
    reader: Connection, shape: TableShape, buckets: int, numbers: Sequence[int]
) -> Iterator[tuple[str, Row]]:
    """Yield the rows of some buckets: the key's text, and what the columns are compared by.

    Raises Unavailable, SqlRefused.
    """
    columns = []
    for index, name in enumerate(shape.column_names):
        alias = quoted(f"c{index}")
        columns.append(f"{shape.compared_sql(name)} AS {alias}")
    bucket = bucket_sql(shape.key_sql(), buckets)
    bucket_list = ", ".join(map(str, numbers))
    sql = _escaped(
        f"SELECT {shape.key_sql()} AS key_text, {', '.join(columns)} "
        f"FROM {quoted(shape.name)} WHERE {bucket} IN ({bucket_list})"
    )
    ranges = KeyRanges(shape)
    while (key_range := ranges.next_range(reader)) is not None:
        for row in reader.query(f"{sql} AND {key_range.condition}", key_range.parameters):
            key, *values = (_text(value) for value in row.values())
            yield key or "", tuple(values)


def _text(value: Any) -> str | None:
    """Return a value as text: numbers come as numbers, binary expressions as bytes."""
    if isinstance(value, bytes):
        return value.decode()
    return None if value is None else str(value)


def _escaped(sql: str) -> str:
    """Return SQL without parameters as part of a statement that has some."""
    return sql.replace("%", "%%")
