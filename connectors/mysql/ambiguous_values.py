"""Values that Debezium writes as other values: looking them up in MySQL.

Debezium writes zero dates (`0000-00-00`, `2020-00-01`, the year 0000) as NULL, or as 1970-01-01 in
a NOT NULL column, and the year 0000 as 2000 in a snapshot; in a column declared BOOLEAN, it writes
-1 and 2 as true; a TIME, a DATETIME or bytes inside a JSON document as another text than MySQL
prints; and characters that Java cannot read as U+FFFD. The log does not distinguish them from real
values, so the rows in question are looked up in MySQL by their keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.runtime.settings import Login, Mysql
from schemas.mysql_values import MYSQLS_OPAQUE_JSON
from schemas.shop_tables import quoted

KEYS_PER_QUERY = 500
TEXT_TYPES = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")

Key = tuple[Any, ...]


@dataclass(frozen=True)
class AmbiguousValue:
    """A value in MySQL that Debezium writes as another: the column, the row's key, and what the
    warehouse shows in its place (None for a zero date; a document or a text as MySQL prints it).
    """

    column: str
    key: Key
    value: int | str | None


class AmbiguousValues:
    """Looks values up in one MySQL server, over a connection that the first lookup opens."""

    def __init__(self, mysql: Mysql, login: Login) -> None:
        self._mysql = mysql
        self._login = login
        self._connection: Connection | None = None

    def find(
        self,
        table: str,
        columns: Sequence[str],
        key: Sequence[str],
        keys: Sequence[Key] | None,
    ) -> list[AmbiguousValue]:
        """Return such values in some columns of the rows with these keys.

        If `keys` is None, it is one value at most, of any row. Returns none if the table or the
        columns no longer exist. Raises Unavailable.
        """
        if self._connection is None or not self._connection.answers():
            self._connection = connect(self._mysql, self._login, self._mysql.database)
        try:
            types = self._column_types(self._connection, table)
            if not set(key) <= set(types):
                return []
            existing_columns = {name: types[name] for name in columns if name in types}
            if not existing_columns:
                return []
            return _find(self._connection, table, existing_columns, key, keys)
        except SqlRefused:
            # The table was dropped or changed between the two queries. The log has that change at a
            # later position.
            return []

    def _column_types(self, connection: Connection, table: str) -> dict[str, str]:
        rows = connection.query(COLUMN_TYPES, (self._mysql.database, table))
        return {str(row["name"]): str(row["type"]) for row in rows}


def _find(
    connection: Connection,
    table: str,
    types: dict[str, str],
    key: Sequence[str],
    keys: Sequence[Key] | None,
) -> list[AmbiguousValue]:
    """Return the values; `types` has MySQL's type of each column."""
    conditions = {name: _condition(name, type_name) for name, type_name in types.items()}
    selected = [_quoted(name) for name in key]
    for number, (name, condition) in enumerate(conditions.items()):
        selected.append(f"{condition} AS `is {number}`")
        expression = _shown_value(name, types[name])
        selected.append(f"{expression} AS `value {number}`")
    select = f"SELECT {', '.join(selected)} FROM {_quoted(table)}"
    any_condition = " OR ".join(conditions.values())
    values = []
    for part in _parts(keys):
        where = f"({any_condition})"
        limit = " LIMIT 1"
        parameters: tuple[Any, ...] = ()
        if part is not None:
            key_condition, parameters = _key_condition(key, part)
            where = f"{key_condition} AND {where}"
            limit = ""
        for row in connection.query(f"{select} WHERE {where}{limit}", parameters):
            row_key = tuple(row[name] for name in key)
            for number, column in enumerate(conditions):
                if row[f"is {number}"]:
                    value = row[f"value {number}"]
                    values.append(AmbiguousValue(column, row_key, value))
    return values if keys is not None else values[:1]


COLUMN_TYPES = (
    "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE "
    "table_schema = %s AND table_name = %s"
)


def _condition(name: str, type_name: str) -> str:
    """Return the SQL condition for a column's value being one that Debezium writes as another."""
    column = _quoted(name)
    match type_name.lower():
        case "year":
            return f"({column} = 0)"
        case "tinyint":
            return f"({column} NOT IN (0, 1))"
        case "json":
            return f"({_text(name)} REGEXP '{MYSQLS_OPAQUE_JSON}')"
        case kind if kind in TEXT_TYPES:
            return f"({column} IS NOT NULL)"
        case _:
            return f"(YEAR({column}) = 0 OR MONTH({column}) = 0 OR DAY({column}) = 0)"


def _shown_value(name: str, type_name: str) -> str:
    """Return the SQL for what the warehouse can show of such a value."""
    match type_name.lower():
        case "tinyint":
            return _quoted(name)
        case kind if kind == "json" or kind in TEXT_TYPES:
            return _text(name)
        case _:
            return "NULL"


def _text(name: str) -> str:
    return f"CAST({_quoted(name)} AS CHAR CHARACTER SET utf8mb4)"


def _parts(keys: Sequence[Key] | None) -> list[Sequence[Key] | None]:
    if keys is None:
        return [None]
    starts = range(0, len(keys), KEYS_PER_QUERY)
    return [keys[start : start + KEYS_PER_QUERY] for start in starts]


def _key_condition(key: Sequence[str], keys: Sequence[Key]) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL condition for a row having one of these keys, and its parameters."""
    names = ", ".join(map(_quoted, key))
    placeholders = f"({', '.join(['%s'] * len(key))})"
    rows = ", ".join([placeholders] * len(keys))
    values: list[Any] = []
    for row_key in keys:
        values += row_key
    return f"({names}) IN ({rows})", tuple(values)


def _quoted(name: str) -> str:
    """Quote a name in a statement with parameters, where a percent sign is doubled."""
    return quoted(name).replace("%", "%%")
