"""The tables of MySQL as the proof of the warehouse sees them: columns, key, and the canonical form of each column."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from connectors.mysql import Connection
from infra.canonical import Form, MysqlColumn, form, row_sql
from infra.checksums import key_text_sql
from infra.errors import ContractError
from schemas.tables import quoted

# First key columns of which MySQL's order and its comparisons with literals agree, so that ranges of them share out the rows.
ORDERED = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "date", "datetime", "timestamp", "char", "varchar", "binary", "varbinary"}
)


@dataclass(frozen=True)
class TableShape:
    """A table: its name, its columns in their order, and its primary key (empty for none)."""

    name: str
    columns: tuple[MysqlColumn, ...]
    key: tuple[str, ...]

    @cached_property
    def forms(self) -> dict[str, Form]:
        """The canonical form of each column. Raises ContractError for a type that has none."""
        try:
            return {column.name: form(column) for column in self.columns}
        except ContractError as error:
            raise ContractError(f"table {self.name}: {error}", error.hint) from error

    @property
    def range_column(self) -> str | None:
        """The column by whose ranges the table is read, or None if it is read at once."""
        first = next(column for column in self.columns if column.name == self.key[0])
        return first.name if first.data_type in ORDERED else None

    def sql(self, column: str) -> str:
        """The SQL of a column's canonical text."""
        return self.forms[column].sql.format(c=quoted(column))

    def looked_at_sql(self, column: str) -> str:
        """The SQL of what rows are compared by, one by one."""
        return (self.forms[column].whole or self.forms[column].sql).format(c=quoted(column))

    def key_sql(self) -> str:
        """The SQL of the key's text."""
        return key_text_sql([self.sql(column) for column in self.key])

    def row_sql(self) -> str:
        """The SQL of a row's text."""
        return row_sql([self.sql(column.name) for column in self.columns])


def table_shapes(connection: Connection, database: str) -> dict[str, TableShape]:
    """The tables of a database as they are now, by name."""
    columns: defaultdict[str, list[MysqlColumn]] = defaultdict(list)
    for row in connection.query(
        "SELECT c.table_name AS t, column_name AS name, data_type AS kind, column_type AS full_type, numeric_scale AS scale,"
        " datetime_precision AS fraction, character_maximum_length AS length FROM information_schema.columns c"
        " JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'"
        " WHERE c.table_schema = %s ORDER BY c.table_name, ordinal_position",
        (database,),
    ):
        columns[row["t"]].append(_column(row))
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for row in connection.query(
        "SELECT table_name AS t, column_name AS name FROM information_schema.key_column_usage"
        " WHERE table_schema = %s AND constraint_name = 'PRIMARY' ORDER BY table_name, ordinal_position",
        (database,),
    ):
        keys[row["t"]].append(row["name"])
    return {name: TableShape(name, tuple(found), tuple(keys[name])) for name, found in columns.items()}


def _column(row: dict[str, Any]) -> MysqlColumn:
    kind, full = _text(row["kind"]).lower(), _text(row["full_type"])
    scale = row["fraction"] if row["fraction"] is not None else row["scale"]
    return MysqlColumn(row["name"], kind, full, None if scale is None else int(scale), None if row["length"] is None else int(row["length"]))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
