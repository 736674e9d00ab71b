"""Random ALTERs on a real MySQL: rows that crossed a statement are the rows that MySQL has then."""

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from connectors.mysql.client import Connection, SqlRefused, connect
from schemas.ddl.certain_effects import RowConversion, row_conversion
from schemas.ddl.parser import may_compute, names_charset
from schemas.ddl.statements import (
    ColumnDefinition,
    DdlStatement,
    StatementKind,
    TableSchema,
)
from schemas.shop_tables import quoted
from spark.merge.schema_periods import convert_rows
from tests.conftest import Stack
from tests.random_alters import RandomAlters

DATABASE = "random_alters"  # not captured
STATEMENTS = 150
SEED = 14
# What a real mixture of statements has; a rule that re-reads everything would pass otherwise.
LEAST_CERTAIN = 0.15
SESSIONS = (
    *("sql_mode = ''", "sql_mode = ''", "sql_mode = 'STRICT_TRANS_TABLES'"),
    *("sql_mode = 'ANSI_QUOTES'", "sql_mode = 'NO_BACKSLASH_ESCAPES'"),
    *("sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'", "sql_mode = 'REAL_AS_FLOAT'"),
    "sql_mode = '', explicit_defaults_for_timestamp = OFF",
)
DEFAULT_SESSION = "sql_mode = '', explicit_defaults_for_timestamp = ON"
COLUMN_TYPE = re.compile(r"(\w+)(?:\((.*)\))?((?: unsigned| zerofill)*)", re.DOTALL)
LABEL = re.compile(r"'(?:[^']|'')*'")


@pytest.fixture(scope="module")
def mysql(stack: Stack) -> Iterator[Connection]:
    """A connection in a database of its own."""
    login = stack.settings.login("mysql.admin")
    with connect(stack.settings.mysql, login) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        connection.execute(f"USE {DATABASE}")
        yield connection
        connection.execute(f"DROP DATABASE {DATABASE}")


@dataclass
class Count:
    """How many statements MySQL accepted, and how many of them leave no doubt."""

    accepted: int = 0
    certain: int = 0


def test_rows_that_cross_a_random_statement_are_those_that_mysql_has_then(
    mysql: Connection,
) -> None:
    random = Random(SEED)
    count = Count()
    number = 0
    while count.accepted < STATEMENTS:
        number += 1
        life = TableLife(mysql, random, f"t{number}", count)
        life.play()
    assert count.certain / count.accepted > LEAST_CERTAIN


class TableLife:
    """A random table with rows, and some statements about it, each compared by value."""

    def __init__(self, mysql: Connection, random: Random, table: str, count: Count) -> None:
        self._mysql = mysql
        self._random = random
        self._table = table
        self._alters = RandomAlters(random, table)
        self._count = count

    def play(self) -> None:
        """Create the table, and change it. Raises AssertionError for other rows than MySQL's."""
        session = self._random.choice(SESSIONS)
        text = self._alters.create_table()
        if not self._accepts(text, session):
            return
        for insert in self._alters.inserts():
            self._accepts(insert, session)
        before = self.schema(text, None)
        for _ in range(self._random.randint(1, 4)):
            try:
                rows = self.rows()
            except SqlRefused:  # an uncertain statement left JSON that nobody can read
                return
            text = self._alters.alter(self._columns())
            if not self._accepts(text, session):
                continue
            text = text.replace("/*!99999", "/* 99999")  # so it is in the binary log
            after = self.schema(text, before)
            conversion = row_conversion(before, alter(self._table, text, after))
            self._count.accepted += 1
            self._count.certain += not conversion.problem
            if not conversion.problem:
                self._compare(text, rows, conversion)
            before = after

    def schema(self, text: str, previous: TableSchema | None) -> TableSchema:
        """The table after a statement, as Debezium would describe it if it knew all."""
        columns = self._mysql.query(
            "SELECT * FROM information_schema.columns WHERE table_schema = %s "
            "AND table_name = %s ORDER BY ordinal_position",
            (DATABASE, self._table),
        )
        key = [column["COLUMN_NAME"] for column in columns if column["COLUMN_KEY"] == "PRI"]
        schema = TableSchema(
            tuple(column_definition(column) for column in columns),
            tuple(key),
            may_compute(text),
            names_charset(text),
        )
        return schema.after(previous) if previous else schema

    def rows(self) -> pa.Table:
        """The rows in the order of their id, every value as a text."""
        names = self._columns()
        select = ", ".join(quoted(name) for name in names)
        rows = self._mysql.query(f"SELECT {select} FROM {self._table} ORDER BY id")
        columns = {}
        for name in names:
            values = [value_text(row[name]) for row in rows]
            columns[name] = pa.array(values, pa.string())
        return pa.table(columns)

    def _compare(self, text: str, rows: pa.Table, conversion: RowConversion) -> None:
        actual = convert_rows(rows, conversion)
        expected = self.rows()
        assert sorted(actual.column_names) == sorted(expected.column_names), text
        order = expected.column_names
        assert actual.select(order).to_pylist() == expected.to_pylist(), text

    def _columns(self) -> dict[str, str]:
        """The types of the columns."""
        rows = self._mysql.query(f"SHOW COLUMNS FROM {self._table}")
        return {str(row["Field"]): str(row["Type"]) for row in rows}

    def _accepts(self, text: str, session: str) -> bool:
        """Play a statement in a session with some settings. Whether MySQL takes it."""
        self._mysql.execute(f"SET SESSION {session}")
        try:
            self._mysql.execute(text)
        except SqlRefused:
            return False
        finally:
            # Rows are read as everyone reads them.
            self._mysql.execute(f"SET SESSION {DEFAULT_SESSION}")
        return True


def alter(table: str, text: str, after: TableSchema) -> DdlStatement:
    """Return a statement about a table."""
    return DdlStatement(
        offset=1,
        position=(1, 1),
        kind=StatementKind.ALTER,
        table=table,
        text=text,
        shape=after,
    )


def column_definition(column: dict[str, Any]) -> ColumnDefinition:
    """Return a column of MySQL's information schema as Debezium would describe it."""
    match = COLUMN_TYPE.match(column["COLUMN_TYPE"])
    assert match is not None
    name = match[1].upper()
    is_labeled = name in ("ENUM", "SET")
    sizes = (
        [] if is_labeled or not match[2] else [int(size) for size in match[2].split(",")]
    )
    return ColumnDefinition(
        column["COLUMN_NAME"],
        f"{name}{match[3].upper()}",
        length=sizes[0] if sizes else None,
        scale=sizes[1] if len(sizes) > 1 else None,
        optional=column["IS_NULLABLE"] == "YES",
        labels=tuple(LABEL.findall(match[2])) if is_labeled else (),
        charset=column["CHARACTER_SET_NAME"] or "",
        auto_increment="auto_increment" in column["EXTRA"],
    )


def value_text(value: Any) -> str | None:
    """Return a value as a text that does not depend on a column's precision."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return str(value)
