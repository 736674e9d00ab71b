"""Cassandra as the counts use it, in memory.

Rows are stored by key; the write with the highest timestamp wins, in whatever order the
writes arrive. A crash may lose each row written since the last `make_durable`.
"""

import random
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.cassandra.generations import Definition, Generation
from connectors.cassandra.row_batches import PackedRow
from schemas import count_tables

RULES = Definition(window_ms=10_000, horizon_ms=10**12, ahead_ms=10**12)
FIRST = Generation(1, "shop", "live", RULES)

LOSS_PROBABILITY = 0.7
INT_BYTES = 4
ELEMENT_BYTES = 12  # a bigint with its length before it
PAIR_BYTES = 28
PAIR_FORMAT = ">iiqiq"

KeyBytes = tuple[bytes, ...]
StoredRow = tuple[int, list[bytes]]  # write time, values
Tables = dict[str, dict[KeyBytes, StoredRow]]


@dataclass(frozen=True)
class Prepared:
    query_string: str

    @property
    def table(self) -> str:
        match = re.search(r"(?:INTO|FROM) \w+\.(\w+)", self.query_string)
        assert match
        return match[1]


@dataclass
class CassandraDouble:
    """A session. `tables` has the rows by table and key bytes."""

    tables: Tables = field(default_factory=dict)
    reads: int = 0
    crashes: int = 0
    durable: Tables = field(default_factory=dict)

    def incarnation(self) -> int:
        return self.crashes

    def make_durable(self, write_again: Callable[[], object], since: int) -> bool:
        write_again()
        self.durable = _copied(self.tables)
        return self.crashes == since

    def crash(self, chance: random.Random) -> None:
        """Lose some of the rows that are not durable."""
        self.crashes += 1
        for name, rows in self.tables.items():
            durable_rows = self.durable.get(name, {})
            for key, row in list(rows.items()):
                durable_row = durable_rows.get(key)
                if durable_row == row or chance.random() >= LOSS_PROBABILITY:
                    continue
                if durable_row is None:
                    del rows[key]
                else:
                    rows[key] = durable_row
        self.durable = _copied(self.tables)

    def prepare(self, cql: str) -> Prepared:
        return Prepared(cql)

    def read_rows(
        self, queries: Iterable[tuple[Prepared, list[bytes]]]
    ) -> list[list[tuple[Any, ...]]]:
        return [self._select(prepared.table, keys) for prepared, keys in queries]

    def write(self, rows: Iterable[PackedRow], over_seconds: float = 0.0) -> None:
        for row in rows:
            self.put(row)

    def put(self, row: PackedRow) -> None:
        view = _view(table_of(row))
        *columns, stamp = row.values
        key = tuple(columns[: len(view.key)])
        written_at = _number(stamp)
        table = self.tables.setdefault(view.name, {})
        if key not in table or table[key][0] < written_at:
            table[key] = written_at, columns[len(view.key) :]

    def rows(self, view: count_tables.View) -> dict[tuple[int, ...], tuple[Any, ...]]:
        """Return a table's rows as numbers (bytes for a sketch, pairs for a list)."""
        rows = {}
        for key, (_, values) in self.tables.get(view.name, {}).items():
            rows[tuple(map(_number, key))] = _values(view, values)
        return rows

    def _select(self, table: str, keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
        view = _view(table)
        partition_keys, *clustering = keys
        stored_rows = self.tables.get(table, {})
        answer = []
        for number in range(_number(partition_keys[:INT_BYTES])):
            self.reads += 1
            start = INT_BYTES + number * ELEMENT_BYTES + INT_BYTES
            partition_key = partition_keys[start : start + 8]
            stored_row = stored_rows.get((partition_key, *clustering))
            if stored_row is not None:
                _, values = stored_row
                answer.append((_number(partition_key), *_values(view, values)))
        return answer


def table_of(row: PackedRow) -> str:
    """Return the name of the table that a row is written to."""
    prepared: Any = row.prepared
    name: str = prepared.table
    return name


def _copied(tables: Tables) -> Tables:
    return {name: dict(rows) for name, rows in tables.items()}


def _view(table: str) -> count_tables.View:
    return next(view for view in count_tables.VIEWS if view.name == table)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _values(view: count_tables.View, values: Sequence[bytes]) -> tuple[Any, ...]:
    columns = zip(view.values, values, strict=True)
    return tuple(_value(column, data) for column, data in columns)


def _value(column: count_tables.Column, data: bytes) -> Any:
    if column.type == "blob":
        return data
    if column.type.startswith("frozen<list"):
        pairs = []
        for number in range(_number(data[:INT_BYTES])):
            offset = INT_BYTES + number * PAIR_BYTES
            pairs.append(struct.unpack_from(PAIR_FORMAT, data, offset)[2::2])
        return pairs
    return _number(data)
