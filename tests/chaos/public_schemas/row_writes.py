"""Random writes to the rows of any table, with values by the types of its columns."""

from collections.abc import Callable, Mapping
from random import Random

from schemas.shop_tables import quoted
from tests.chaos.ddl_schedules.table_state import ColumnState, TableState
from tests.chaos.ddl_schedules.values import row_values, value_of

# Keys of new rows: few public data sets have them, and a SMALLINT holds them.
FIRST_NUMBER = 20_000
LAST_NUMBER = 32_000
MOST_ROWS = 3
STRICT = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"
# Values are cut to what fits, and columns without a value get 0, '' or a zero date.
LENIENT = "NO_ENGINE_SUBSTITUTION"
LENIENT_SHARE = 0.3
# Types by which rows cannot be told apart for sure (docs/types.md).
UNCERTAIN_KEYS = ("float", "double", "date", "datetime", "timestamp", "year")


class RowWrites:
    """The writes of one run."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def write(self, table: TableState, *, is_loading: bool) -> str:
        """Return a statement. While its script loads a table, its rows' numbers are left alone."""
        kinds = WHILE_LOADING if is_loading else WRITES
        makers = list(kinds)
        weights = [kinds[make] for make in makers]
        make = self._random.choices(makers, weights)[0]
        if is_loading and any(column.numbered for column in table.columns):
            make = RowWrites.update
        return make(self, table)

    def sql_mode(self, table: TableState) -> str:
        """Return the session's mode for a table.

        Strict where the warehouse cannot ask MySQL what a zero date or a BOOLEAN of 7 was.
        """
        keys = [column.base_type for column in table.columns if column.name in table.key]
        is_certain = bool(keys) and not any(key in UNCERTAIN_KEYS for key in keys)
        is_lenient = is_certain and self._random.random() < LENIENT_SHARE
        return LENIENT if is_lenient else STRICT

    def insert(self, table: TableState) -> str:
        return self._insert("INSERT INTO", table)

    def replace(self, table: TableState) -> str:
        return self._insert("REPLACE INTO", table)

    def upsert(self, table: TableState) -> str:
        return f"{self.insert(table)} ON DUPLICATE KEY UPDATE {self._assignment(table)}"

    def copy(self, table: TableState) -> str:
        """Copy some rows under other numbers; copies that a key forbids are left out."""
        shift = self._random.randint(1, LAST_NUMBER - FIRST_NUMBER)
        names = []
        values = []
        for column in table.writable:
            if column.numbered:
                continue
            name = quoted(column.name)
            names.append(name)
            is_key_number = column.is_integer and column.name in table.key
            values.append(f"{name} + {shift}" if is_key_number else name)
        if not names:
            return f"INSERT INTO {quoted(table.name)} () VALUES ()"
        return (
            f"INSERT IGNORE INTO {quoted(table.name)} ({', '.join(names)}) "
            f"SELECT {', '.join(values)} FROM {quoted(table.name)} {self._some_rows()}"
        )

    def update(self, table: TableState) -> str:
        return (
            f"UPDATE {quoted(table.name)} SET {self._assignment(table)} {self._some_rows()}"
        )

    def update_key(self, table: TableState) -> str:
        number = table.number
        if number is None or number.numbered:
            return self.update(table)
        name = quoted(number.name)
        shift = self._random.randint(1, LAST_NUMBER - FIRST_NUMBER)
        return (
            f"UPDATE {quoted(table.name)} SET {name} = {name} + {shift} {self._some_rows()}"
        )

    def delete(self, table: TableState) -> str:
        return f"DELETE FROM {quoted(table.name)} {self._some_rows()}"

    def _insert(self, verb: str, table: TableState) -> str:
        number = self._random.randint(FIRST_NUMBER, LAST_NUMBER)
        values = row_values(self._random, table, number)
        for column in table.writable:
            is_optional = column.has_default or column.nullable or column.numbered
            if is_optional and self._random.random() < 0.3:
                values.pop(column.name)
        names = ", ".join(map(quoted, values))
        return (
            f"{verb} {quoted(table.name)} ({names}) VALUES ({', '.join(values.values())})"
        )

    def _assignment(self, table: TableState) -> str:
        columns = [column for column in table.others if not column.generated]
        chosen = self._random.sample(columns, min(len(columns), self._random.randint(1, 2)))
        return ", ".join(map(self._new_value, chosen or table.columns[:1]))

    def _new_value(self, column: ColumnState) -> str:
        return f"{quoted(column.name)} = {value_of(self._random, column)}"

    def _some_rows(self) -> str:
        return f"ORDER BY RAND() LIMIT {self._random.randint(1, MOST_ROWS)}"


Kinds = Mapping[Callable[[RowWrites, TableState], str], int]
# How often each kind is chosen.
WRITES: Kinds = {
    RowWrites.insert: 5,
    RowWrites.replace: 2,
    RowWrites.upsert: 2,
    RowWrites.copy: 4,
    RowWrites.update: 8,
    RowWrites.update_key: 1,
    RowWrites.delete: 3,
}
WHILE_LOADING: Kinds = {RowWrites.insert: 1, RowWrites.update: 3}
