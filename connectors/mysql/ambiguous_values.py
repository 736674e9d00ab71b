"""Values that Debezium shows as other values, and the question to MySQL whether there are any.

Zero dates (`0000-00-00`, `2020-00-01`, the year 0000) show as NULL, as 1970-01-01 in a column that is never NULL, and the year as 2000 in a
snapshot; in a column declared BOOLEAN, -1 and 2 show as true. The log cannot tell them from real ones, so MySQL is asked for the rows in
doubt, by their key.
"""

from collections.abc import Sequence
from typing import Any

from connectors.mysql import Connection, SqlRefused, connect
from infra.settings import Login, Mysql
from schemas.tables import quoted

ROWS_PER_QUESTION = 500
# With more rows in doubt than this, one look at the whole table is cheaper.
MOST_QUESTIONS = 20

Key = tuple[Any, ...]


class Doubts:
    """Asks one MySQL server, over a connection that is opened with the first question."""

    def __init__(self, mysql: Mysql, login: Login) -> None:
        self._mysql, self._login = mysql, login
        self._connection: Connection | None = None

    def find(self, table: str, columns: Sequence[str], key: Sequence[str], keys: Sequence[Key] | None) -> tuple[str, Key] | None:
        """The column and the key of a row that holds such a value in one of the columns, among the rows with these keys (None: all rows).

        A table or a column that is gone holds none. Raises Unavailable if MySQL does not answer.
        """
        if self._connection is None or not self._connection.answers():
            self._connection = connect(self._mysql, self._login, self._mysql.database)
        try:
            held = {str(row["name"]): str(row["kind"]) for row in self._connection.query(COLUMNS, (self._mysql.database, table))}
            asked = {name: _hidden(name, held[name]) for name in columns if name in held}
            if not asked or not set(key) <= set(held):
                return None
            return self._ask(table, asked, key, keys)
        except SqlRefused:
            # It was dropped or changed between the two questions: what the log says of that comes later in the log.
            return None

    def _ask(self, table: str, asked: dict[str, str], key: Sequence[str], keys: Sequence[Key] | None) -> tuple[str, Key] | None:
        assert self._connection is not None
        select = f"SELECT {', '.join([*map(quoted, key), *(f'{hidden} AS `{n}`' for n, hidden in enumerate(asked.values()))])} FROM {quoted(table)}"
        hidden = " OR ".join(asked.values())
        for part in _parts(keys):
            where, values = (f"({hidden})", ()) if part is None else _among(key, part, hidden)
            for row in self._connection.query(f"{select} WHERE {where} LIMIT 1", values):
                column = next(name for number, name in enumerate(asked) if row[str(number)])
                return column, tuple(row[name] for name in key)
        return None


COLUMNS = "SELECT column_name AS name, data_type AS kind FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"


def _hidden(name: str, kind: str) -> str:
    """Whether a column of a MySQL type holds what Debezium cannot show, as SQL."""
    column = quoted(name).replace("%", "%%")
    match kind.lower():
        case "year":
            return f"({column} = 0)"
        case "tinyint":
            return f"({column} NOT IN (0, 1))"
        case _:
            return f"(YEAR({column}) = 0 OR MONTH({column}) = 0 OR DAY({column}) = 0)"


def _parts(keys: Sequence[Key] | None) -> list[Sequence[Key] | None]:
    if keys is None or len(keys) > ROWS_PER_QUESTION * MOST_QUESTIONS:
        return [None]
    return [keys[start : start + ROWS_PER_QUESTION] for start in range(0, len(keys), ROWS_PER_QUESTION)]


def _among(key: Sequence[str], keys: Sequence[Key], hidden: str) -> tuple[str, tuple[Any, ...]]:
    row = f"({', '.join(['%s'] * len(key))})"
    names = ", ".join(quoted(name).replace("%", "%%") for name in key)
    return f"({names}) IN ({', '.join([row] * len(keys))}) AND ({hidden})", tuple(value for one in keys for value in one)
