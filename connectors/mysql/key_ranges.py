"""The SQL of a table's rows after a key, in the order of an index. Pure.

MySQL compares a column with a literal as the index does for every type, if the literal has the
column's own type: bytes with the column's character set, numbers for ENUM and SET (whose order is
that of their numbers), and the exact double for a FLOAT (whose text has six digits only).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from connectors.mysql.column_types import BYTES, ReadColumn
from connectors.mysql.table_description import MysqlTable, table_sql
from schemas.shop_tables import quoted

# Character sets whose texts in UTF-8 are the bytes in the column.
UTF8_CHARSETS = ("utf8mb4", "utf8mb3", "utf8", "ascii")
LABELS = ("enum", "set")
TYPED_LITERALS = {
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "timestamp": "TIMESTAMP",
    "time": "TIME",
}


@dataclass(frozen=True)
class KeyValue:
    """A value of a key's column: `exact` is that of `KeyColumn.expression`, `text` is the column's
    own, in UTF-8.
    """

    exact: bytes
    text: bytes


@dataclass(frozen=True)
class KeyColumn:
    """A column of a key, and the direction of the index."""

    read_column: ReadColumn
    is_descending: bool = False

    @property
    def expression(self) -> str:
        """The SQL of the exact value."""
        facts = self.read_column.facts
        name = quoted(facts.name)
        if facts.type == "float":
            return f"CAST({name} AS DOUBLE)"
        if facts.type in LABELS:
            return f"{name} + 0"
        if facts.charset and facts.charset not in UTF8_CHARSETS:
            return f"CAST({name} AS BINARY)"
        return self.read_column.select_sql

    @property
    def is_selected(self) -> bool:
        """Whether the table's rows have the exact value anyway."""
        return self.expression == self.read_column.select_sql

    def is_behind(self, value: KeyValue) -> str:
        """Return the condition of a row being after a value in the index."""
        sign = "<" if self.is_descending else ">"
        return f"{quoted(self.read_column.name)} {sign} {self._literal(value)}"

    def equals(self, value: KeyValue) -> str:
        """Return the condition of a row having a value.

        MySQL uses the order of the index after a label, and not after its number. The empty label
        is also how MySQL shows a value that is no label.
        """
        literal = self._literal(value)
        if self.read_column.facts.type in LABELS and value.text:
            literal = f"_utf8mb4 x'{value.text.hex()}'"
        return f"{quoted(self.read_column.name)} = {literal}"

    def _literal(self, value: KeyValue) -> str:
        facts = self.read_column.facts
        if facts.type in BYTES:
            return f"x'{value.exact.hex()}'"
        if facts.charset and facts.type not in LABELS:
            return f"_{facts.charset} x'{value.exact.hex()}'"
        text = value.exact.decode("ascii")
        if facts.type in TYPED_LITERALS:
            return f"{TYPED_LITERALS[facts.type]}'{text}'"
        if facts.type in ("float", "double") and "e" not in text:
            return f"{text}e0"
        return text


@dataclass(frozen=True)
class KeyRanges:
    """The rows of a table by ranges of its index, or all of them if no index allows that."""

    table: MysqlTable
    key: tuple[KeyColumn, ...]

    @property
    def selected(self) -> tuple[str, ...]:
        """The SQL expressions: the table's columns, then further expressions of the key."""
        own_columns = [column.select_sql for column in self.table.columns]
        further = [column.expression for column in self.key if not column.is_selected]
        return (*own_columns, *further)

    def last_key(self, fields: Sequence[pa.BinaryArray]) -> tuple[KeyValue, ...]:
        """Return the key of the last row of these fields of `selected`."""
        values = []
        next_further = len(self.table.columns)
        for column in self.key:
            place = self.table.columns.index(column.read_column)
            exact_place = place
            if not column.is_selected:
                exact_place = next_further
                next_further += 1
            exact = fields[exact_place][-1].as_py()
            values.append(KeyValue(exact, fields[place][-1].as_py()))
        return tuple(values)

    def sql(
        self,
        *,
        partition: str = "",
        last_key: Sequence[KeyValue] = (),
        depth: int = 0,
        rows: int = 0,
    ) -> str:
        """Return the SELECT of the first `rows` rows after a key, of a partition if one is named.

        Without a depth, of the first of all rows; otherwise of those that have the key's first
        `depth - 1` values and a later one in the next column. The rows after a key are those of
        all depths, the greatest first: each is one range of the index, which MySQL does not always
        make of `(a, b) > (1, 2)`, nor of `a > 1 OR (a = 1 AND b > 2)`. Source: MySQL Reference
        Manual, "Range Optimization of Row Constructor Expressions". The SELECT is of all rows if
        the table has no index for ranges.
        """
        table = self.table
        sql = f"SELECT {', '.join(self.selected)} FROM {table_sql(table.database, table.name)}"
        if partition:
            sql += f" PARTITION ({quoted(partition)})"
        if not self.key:
            return sql
        sql += f" FORCE INDEX ({quoted(table.key_index)})"
        if depth:
            pairs = list(zip(self.key, last_key, strict=True))
            conditions = [column.equals(value) for column, value in pairs[: depth - 1]]
            column, value = pairs[depth - 1]
            conditions.append(column.is_behind(value))
            sql += f" WHERE {' AND '.join(conditions)}"
        return f"{sql} ORDER BY {', '.join(map(_order, self.key))} LIMIT {rows}"


def key_ranges(table: MysqlTable) -> KeyRanges:
    """Return the ranges of a table's index."""
    by_name = {column.name: column for column in table.columns}
    parts = [
        KeyColumn(by_name[part.column], part.is_descending) for part in table.key_parts
    ]
    return KeyRanges(table, tuple(parts))


def _order(column: KeyColumn) -> str:
    direction = " DESC" if column.is_descending else ""
    return quoted(column.read_column.name) + direction
