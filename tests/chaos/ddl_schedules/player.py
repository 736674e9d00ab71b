"""Plays schedules on a real MySQL, and keeps what was played as a script."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from connectors.mysql.client import Connection, SqlRefused, StatementResult
from schemas.errors import Unavailable
from tests.chaos.ddl_schedules.statement import Statement
from tests.chaos.ddl_schedules.table_state import ColumnState, TableState

COLUMNS = (
    "SELECT table_name AS t, column_name AS name, column_type AS type, is_nullable AS nullable, "
    "column_default AS value, extra AS extra FROM information_schema.columns "
    "WHERE table_schema = %s AND LOCATE(%s, table_name) ORDER BY table_name, ordinal_position"
)
INDEXES = (
    "SELECT table_name AS t, index_name AS name, column_name AS col "
    "FROM information_schema.statistics "
    "WHERE table_schema = %s AND LOCATE(%s, table_name) "
    "ORDER BY table_name, index_name, seq_in_index"
)
PARTITIONS = (
    "SELECT table_name AS t, partition_name AS name, partition_method AS method "
    "FROM information_schema.partitions WHERE table_schema = %s "
    "AND LOCATE(%s, table_name) AND partition_name IS NOT NULL "
    "ORDER BY table_name, partition_ordinal_position"
)
Rows = dict[str, list[dict[str, Any]]]


class MysqlCatalogue:
    """The tables of one schedule, by what their names have in common."""

    def __init__(self, mysql: Connection, database: str, mark: str) -> None:
        self._mysql = mysql
        self._database = database
        self._mark = mark

    def tables(self) -> Mapping[str, TableState]:
        """Return the tables by name, in the order of their names."""
        columns = self._rows(COLUMNS)
        indexes = self._rows(INDEXES)
        partitions = self._rows(PARTITIONS)
        tables = {}
        for name in sorted(columns):
            methods = [str(row["method"]) for row in partitions[name]]
            keys = indexes[name]
            tables[name] = TableState(
                name=name,
                columns=tuple(map(_column, columns[name])),
                key=tuple(str(row["col"]) for row in keys if row["name"] == "PRIMARY"),
                partitions=tuple(str(row["name"]) for row in partitions[name]),
                method=methods[0] if methods else "",
                indexes=tuple(sorted({str(row["name"]) for row in keys} - {"PRIMARY"})),
            )
        return tables

    def _rows(self, sql: str) -> Rows:
        rows: Rows = defaultdict(list)
        for row in self._mysql.query(sql, (self._database, self._mark)):
            rows[str(row["t"])].append(row)
        return rows


class Session(Protocol):
    """A session with MySQL."""

    def execute(self, sql: str) -> StatementResult:
        """Execute one statement. Raises SqlRefused or Unavailable."""


@dataclass
class Player:
    """What one schedule has played so far: a script, and the kinds of its statements."""

    mysql: Session
    script: list[str] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _sql_mode: str = ""

    def play(self, statements: Iterable[Statement]) -> None:
        """Play statements one after the other. Those that MySQL refuses are noted as such."""
        for statement in statements:
            self.play_one(statement)

    def play_one(self, statement: Statement) -> bool:
        """Return whether MySQL accepted a statement."""
        time.sleep(statement.pause_seconds)
        if statement.sql_mode != self._sql_mode:
            mode = f"SET SESSION sql_mode = '{statement.sql_mode}'"
            self.mysql.execute(mode)
            self.script.append(f"{mode};")
            self._sql_mode = statement.sql_mode
        try:
            self.mysql.execute(statement.text)
        except (SqlRefused, Unavailable) as error:
            reason = str(error).splitlines()[0]
            self.script.append(f"-- refused ({reason}):\n-- {_commented(statement.text)}")
            self.refused.update(statement.kinds)
            return False
        # A comment at the statement's end reaches to the end of its line.
        self.script.append(f"{statement.text}\n;")
        self.accepted.update(statement.kinds)
        return True


def _column(row: Mapping[str, Any]) -> ColumnState:
    extra = str(row["extra"]).upper()
    return ColumnState(
        name=str(row["name"]),
        type=str(row["type"]),
        nullable=row["nullable"] == "YES",
        has_default=row["value"] is not None,
        generated="GENERATED" in extra and "DEFAULT_GENERATED" not in extra,
        numbered="AUTO_INCREMENT" in extra,
    )


def _commented(text: str) -> str:
    return text.replace("\n", "\n-- ")
