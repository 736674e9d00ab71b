"""MySQL's side of a proof: checksums by bucket, made by MySQL itself, and the rows of buckets that differ.

Bounded load: a table is read in ranges of its primary key, each by one statement; only so many run at once as there are connections.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from connectors.mysql import Connection
from infra.checksums import Buckets, bucket_sql, checksum_sql
from infra.table_shape import TableShape
from schemas.tables import quoted

RANGE_ROWS = 50_000
NOT_YET = object()

Row = tuple[str | None, ...]  # the texts of a row, by which it is compared; None is NULL


@dataclass(frozen=True)
class KeyRange:
    """Rows after `low` up to `high`, by the first column of the key; None is no bound."""

    column: str | None
    low: Any
    high: Any

    @property
    def condition(self) -> str:
        """The SQL of it."""
        if self.column is None:
            return "TRUE"
        name = _escaped(quoted(self.column))
        bounds = [f"{name} {sign} %s" for sign, bound in ((">", self.low), ("<=", self.high)) if bound is not None]
        return " AND ".join(bounds) or "TRUE"

    @property
    def parameters(self) -> list[Any]:
        """What its SQL binds."""
        return [bound for bound in (self.low, self.high) if bound is not None]


class KeyRanges:
    """Hands out the ranges of a table, one after another, to whoever asks."""

    def __init__(self, shape: TableShape) -> None:
        self._shape, self._lock = shape, threading.Lock()
        self._low: Any = None
        self._done = False

    def next(self, reader: Connection) -> KeyRange | None:
        """The next range; None after the last. `reader` is asked where it ends."""
        with self._lock:
            if self._done:
                return None
            column, low = self._shape.range_column, self._low
            high = self._end(reader, column) if column else None
            self._low, self._done = high, high is None
            return KeyRange(column, low, high)

    def _end(self, reader: Connection, column: str) -> Any:
        name, after = _escaped(quoted(column)), KeyRange(column, self._low, None)
        sql = f"SELECT {name} AS bound FROM {_escaped(quoted(self._shape.name))} WHERE {after.condition} ORDER BY {name} LIMIT 1 OFFSET {RANGE_ROWS}"
        found = reader.query(sql, after.parameters)
        return found[0]["bound"] if found else None


def checksums_of(readers: Sequence[Connection], shape: TableShape, buckets: int, progress: Callable[[int], None]) -> Buckets:
    """The checksums of a table; `progress` is told the rows of each range. Raises Unavailable, or SqlRefused."""
    sql = _escaped(f"SELECT {bucket_sql(shape.key_sql(), buckets)} AS bucket, {checksum_sql(shape.row_sql())} AS checksum FROM {quoted(shape.name)}")
    total, lock, ranges = Buckets(buckets), threading.Lock(), KeyRanges(shape)

    def work(reader: Connection) -> None:
        while (part := ranges.next(reader)) is not None:
            found = reader.query(
                "SELECT bucket, COUNT(*) AS number, BIT_XOR(checksum) AS xored, SUM(checksum) AS summed"
                f" FROM ({sql} WHERE {part.condition}) AS part_of_it GROUP BY bucket",
                part.parameters,
            )
            with lock:
                for row in found:
                    total.add_counted(row)
            progress(sum(int(row["number"]) for row in found))

    with ThreadPoolExecutor(len(readers)) as pool:
        for done in [pool.submit(work, reader) for reader in readers]:
            done.result()
    return total


def rows_of(reader: Connection, shape: TableShape, buckets: int, numbers: Sequence[int]) -> Iterator[tuple[str, Row]]:
    """The rows of some buckets: the text of the key, and what the columns are compared by, in their order."""
    looked_at = ", ".join(f"{shape.looked_at_sql(column.name)} AS {quoted(f'c{place}')}" for place, column in enumerate(shape.columns))
    bucket = bucket_sql(shape.key_sql(), buckets)
    sql = _escaped(f"SELECT {shape.key_sql()} AS key_text, {looked_at} FROM {quoted(shape.name)} WHERE {bucket} IN ({', '.join(map(str, numbers))})")
    ranges = KeyRanges(shape)
    while (part := ranges.next(reader)) is not None:
        for row in reader.query(f"{sql} AND {part.condition}", part.parameters):
            key, *values = (_text(value) for value in row.values())
            yield key or "", tuple(values)


def _text(value: Any) -> str | None:
    """What MySQL gives for a text: numbers come as such, and binary expressions as bytes."""
    if isinstance(value, bytes):
        return value.decode()
    return None if value is None else str(value)


def _escaped(sql: str) -> str:
    """SQL without parameters, as part of a statement with some."""
    return sql.replace("%", "%%")
