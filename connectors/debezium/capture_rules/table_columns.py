"""The columns of MySQL's tables, as far as capture rules depend on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.mysql.client import connect
from connectors.mysql.column_types import ColumnFacts, as_text
from connectors.runtime.settings import Login, Mysql

COLUMNS_SQL = """\
SELECT c.table_name AS t, column_name AS name, data_type AS type, column_type AS full_type,
  IF(INSTR(extra, 'DEFAULT_GENERATED'), column_default, generation_expression) AS expression
FROM information_schema.columns c
JOIN information_schema.tables t
  ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'
WHERE c.table_schema = %s
ORDER BY c.table_name, ordinal_position"""
KEYS_SQL = """\
SELECT table_name AS t, index_name AS i, column_name AS name, nullable AS nullable
FROM information_schema.statistics
WHERE table_schema = %s AND non_unique = 0
ORDER BY table_name, index_name, seq_in_index"""
PRIMARY = "PRIMARY"


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table, and those that may be its key for Debezium.

    `computed` are the expressions by which MySQL computes values or defaults, by column.
    """

    columns: tuple[ColumnFacts, ...]
    key: frozenset[str] = frozenset()
    computed: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(facts.name for facts in self.columns)


def read_tables(mysql: Mysql, login: Login) -> dict[str, TableColumns]:
    """Return the tables of the captured database, by name. Raises Unavailable."""
    with connect(mysql, login) as connection:
        column_rows = connection.query(COLUMNS_SQL, (mysql.database,))
        key_rows = connection.query(KEYS_SQL, (mysql.database,))
    return table_columns(column_rows, key_rows)


def table_columns(
    column_rows: list[dict[str, Any]], key_rows: list[dict[str, Any]]
) -> dict[str, TableColumns]:
    """Return the tables of rows of COLUMNS_SQL and KEYS_SQL.

    Without a primary key, every column of a unique key without NULL may be of Debezium's key.
    """
    indexes: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in key_rows:
        indexes.setdefault(row["t"], {}).setdefault(row["i"], []).append(row)
    columns: dict[str, list[ColumnFacts]] = {}
    computed: dict[str, dict[str, str]] = {}
    for row in column_rows:
        if expression := as_text(row["expression"] or ""):
            computed.setdefault(row["t"], {})[row["name"]] = expression
        facts = ColumnFacts(
            row["name"], as_text(row["type"]).lower(), as_text(row["full_type"])
        )
        columns.setdefault(row["t"], []).append(facts)
    tables = {}
    for name, facts_of_table in columns.items():
        candidates = indexes.get(name, {})
        if PRIMARY in candidates:
            candidates = {PRIMARY: candidates[PRIMARY]}
        key: set[str] = set()
        for rows in candidates.values():
            if all(row["name"] and row["nullable"] != "YES" for row in rows):
                key.update(row["name"] for row in rows)
        tables[name] = TableColumns(
            tuple(facts_of_table), frozenset(key), computed.get(name, {})
        )
    return tables
