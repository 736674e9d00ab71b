"""Random writes to a table."""

from collections.abc import Callable, Iterator, Mapping
from random import Random

from tests.chaos.ddl_schedules.spelling import Spelling
from tests.chaos.ddl_schedules.statement import Statement
from tests.chaos.ddl_schedules.table_state import TableState
from tests.chaos.ddl_schedules.values import row_values, value_of

OMITTED_SHARE = 0.15


class Writes:
    """Writes of one schedule; rows are numbered from 1 on."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rows = 0

    def random_write(self, table: TableState) -> Iterator[Statement]:
        """Yield the statements of one write: one, or those of a transaction."""
        kinds = [*WRITE_KINDS]
        kind = self._random.choices(kinds, [weight for weight, _ in WRITE_KINDS.values()])[
            0
        ]
        if self._random.random() < 0.12:
            yield from self._transaction(table, kind)
        else:
            yield self.write(table, kind)

    def write(self, table: TableState, kind: str) -> Statement:
        """Return one write of a kind."""
        spelling = Spelling(self._random)
        _, make = WRITE_KINDS[kind]
        text = make(self, table, spelling)
        return Statement(
            text=text, kinds=(kind,), sql_mode=spelling.sql_mode, table=table.name
        )

    def _transaction(self, table: TableState, kind: str) -> Iterator[Statement]:
        random = self._random
        end = random.choice(("COMMIT", "COMMIT", "ROLLBACK"))
        yield Statement(text="BEGIN", kinds=("transaction",))
        yield self.write(table, kind)
        if random.random() < 0.4:
            yield Statement(text="SAVEPOINT s", kinds=("transaction",))
            yield self.write(table, "delete")
            yield Statement(text="ROLLBACK TO SAVEPOINT s", kinds=("transaction",))
        yield self.write(table, "update")
        yield Statement(text=end, kinds=(end.lower(),))

    def insert(self, table: TableState, spelling: Spelling) -> str:
        return self._insert("INSERT INTO", table, spelling, rows=1)

    def insert_rows(self, table: TableState, spelling: Spelling) -> str:
        rows = self._random.randint(2, 4)
        return self._insert("INSERT IGNORE INTO", table, spelling, rows=rows)

    def insert_defaults(self, table: TableState, spelling: Spelling) -> str:
        values = self._next_row(table)
        for column in table.writable:
            if column.name not in table.key and (column.has_default or column.nullable):
                values.pop(column.name)
        return self._insert_values("INSERT INTO", table, spelling, [values])

    def replace(self, table: TableState, spelling: Spelling) -> str:
        values = row_values(self._random, table, self._known_number())
        return self._insert_values("REPLACE INTO", table, spelling, [values])

    def upsert(self, table: TableState, spelling: Spelling) -> str:
        values = row_values(self._random, table, self._known_number())
        insert = self._insert_values("INSERT INTO", table, spelling, [values])
        return f"{insert} ON DUPLICATE KEY UPDATE {self._assignment(table, spelling)}"

    def update(self, table: TableState, spelling: Spelling) -> str:
        assignments = self._assignment(table, spelling)
        return f"UPDATE {spelling.table(table.name)} SET {assignments} {self._where(table)}"

    def update_all(self, table: TableState, spelling: Spelling) -> str:
        return (
            f"UPDATE {spelling.table(table.name)} SET {self._assignment(table, spelling)}"
        )

    def update_key(self, table: TableState, spelling: Spelling) -> str:
        number = table.number
        if number is None:
            return self.update(table, spelling)
        name = spelling.quoted(number.name)
        table_name = spelling.table(table.name)
        return f"UPDATE {table_name} SET {name} = {name} + 50 {self._where(table)}"

    def delete(self, table: TableState, spelling: Spelling) -> str:
        return f"DELETE FROM {spelling.table(table.name)} {self._where(table)}"

    def delete_all(self, table: TableState, spelling: Spelling) -> str:
        return f"DELETE FROM {spelling.table(table.name)}"

    def _insert(self, verb: str, table: TableState, spelling: Spelling, rows: int) -> str:
        many = [self._next_row(table) for _ in range(rows)]
        if self._random.random() < OMITTED_SHARE:
            names = [column.name for column in table.others if column.has_default]
            for values in many:
                for name in names:
                    values.pop(name, None)
        return self._insert_values(verb, table, spelling, many)

    def _insert_values(
        self,
        verb: str,
        table: TableState,
        spelling: Spelling,
        rows: list[dict[str, str]],
    ) -> str:
        names = ", ".join(spelling.quoted(name) for name in rows[0])
        values = ", ".join(f"({', '.join(row.values())})" for row in rows)
        return f"{verb} {spelling.table(table.name)} ({names}) VALUES {values}"

    def _next_row(self, table: TableState) -> dict[str, str]:
        self._rows += 1
        return row_values(self._random, table, self._rows)

    def _known_number(self) -> int:
        return self._random.randint(1, self._rows + 1)

    def _assignment(self, table: TableState, spelling: Spelling) -> str:
        columns = [column for column in table.others if not column.generated]
        column = self._random.choice(columns or table.columns)
        return f"{spelling.name(column.name)} = {value_of(self._random, column)}"

    def _where(self, table: TableState) -> str:
        number = table.number
        if number is None:
            return f"LIMIT {self._random.randint(1, 2)}"
        # Backquotes are names in every session.
        name = f"`{number.name.replace('`', '``')}`"
        return f"WHERE {name} {self._random.choice(('=', '=', '=', '<=>', '<='))} " + str(
            self._known_number()
        )


MakeWrite = Callable[[Writes, TableState, Spelling], str]
# How often each kind is chosen, and its maker.
WRITE_KINDS: Mapping[str, tuple[int, MakeWrite]] = {
    "insert": (10, Writes.insert),
    "insert rows": (5, Writes.insert_rows),
    "insert defaults": (4, Writes.insert_defaults),
    "replace": (3, Writes.replace),
    "upsert": (3, Writes.upsert),
    "update": (10, Writes.update),
    "update all": (2, Writes.update_all),
    "update key": (2, Writes.update_key),
    "delete": (3, Writes.delete),
    "delete all": (1, Writes.delete_all),
}
