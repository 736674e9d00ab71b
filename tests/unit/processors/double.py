"""Cassandra as the counts see it, in memory: rows by key, the write with the highest timestamp wins, whatever the order of arrival.

When it dies, what was written since the last `make_durable` may be lost, row by row.
"""

import random
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.cassandra import PackedRow
from connectors.generations import Definition, Generation
from schemas import views

RULES = Definition(window_ms=10_000, horizon_ms=10**12, ahead_ms=10**12)
FIRST = Generation(1, "shop", "live", RULES)

Stored = tuple[int, list[bytes]]


@dataclass(frozen=True)
class Prepared:
    query_string: str

    @property
    def table(self) -> str:
        found = re.search(r"(?:INTO|FROM) \w+\.(\w+)", self.query_string)
        assert found
        return found[1]


@dataclass
class Cassandra:
    """A session. `tables` are rows by table and key bytes: write time and value bytes."""

    tables: dict[str, dict[tuple[bytes, ...], Stored]] = field(default_factory=dict)
    reads: int = 0
    deaths: int = 0
    durable: dict[str, dict[tuple[bytes, ...], Stored]] = field(default_factory=dict)

    def incarnation(self) -> int:
        return self.deaths

    def make_durable(self, write_again: Callable[[], object], since: int) -> bool:
        write_again()
        self.durable = {name: dict(rows) for name, rows in self.tables.items()}
        return self.deaths == since

    def die(self, chance: random.Random) -> None:
        self.deaths += 1
        for name, rows in self.tables.items():
            kept = self.durable.get(name, {})
            lost = [key for key, row in rows.items() if kept.get(key) != row and chance.random() < 0.7]
            for key in lost:
                del rows[key]
            rows |= {key: kept[key] for key in lost if key in kept}
        self.durable = {name: dict(rows) for name, rows in self.tables.items()}

    def prepare(self, cql: str) -> Prepared:
        return Prepared(cql)

    def ask(self, questions: Iterable[tuple[Prepared, list[bytes]]]) -> list[list[tuple[Any, ...]]]:
        return [self._select(prepared.table, wanted) for prepared, wanted in questions]

    def write(self, rows: Iterable[PackedRow], over_seconds: float = 0.0) -> None:
        for row in rows:
            self.put(row)

    def put(self, row: PackedRow) -> None:
        view = _view(row.prepared.table)  # type: ignore[attr-defined]
        *columns, stamp = row.values
        key, written_at = tuple(columns[: len(view.key)]), _number(stamp)
        table = self.tables.setdefault(view.name, {})
        if key not in table or table[key][0] < written_at:
            table[key] = written_at, columns[len(view.key) :]

    def rows(self, view: views.View) -> dict[tuple[int, ...], tuple[Any, ...]]:
        """The rows of a table as numbers (bytes for a sketch, pairs for a list of products)."""
        return {
            tuple(map(_number, key)): tuple(_value(column, data) for column, data in zip(view.values, data, strict=True))
            for key, (_, data) in self.tables.get(view.name, {}).items()
        }

    def _select(self, table: str, wanted: Sequence[bytes]) -> list[tuple[Any, ...]]:
        view, (listed, *rest) = _view(table), wanted
        count = _number(listed[:4])
        keys = [listed[4 + at * 12 + 4 : 4 + at * 12 + 12] for at in range(count)]
        self.reads += count
        stored: Mapping[tuple[bytes, ...], Stored] = self.tables.get(table, {})
        found = [(key, stored[key, *rest][1]) for key in keys if (key, *rest) in stored]
        return [(_number(key), *(_value(column, data) for column, data in zip(view.values, values, strict=True))) for key, values in found]


def _view(table: str) -> views.View:
    return next(view for view in views.VIEWS if view.name == table)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _value(column: views.Column, data: bytes) -> Any:
    if column.type == "blob":
        return data
    if column.type.startswith("frozen<list"):
        return [struct.unpack_from(">iiqiq", data, 4 + at * 28)[2::2] for at in range(_number(data[:4]))]
    return _number(data)
