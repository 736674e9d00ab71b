"""The tables whose columns were compared with MySQL's, each after its newest statement.

`log:capture` compares them (connectors/debezium/schema_repair.py). Until then nobody knows whether
Debezium decodes a table's rows by the right columns, so the compactor publishes none of them.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connectors.runtime.files import replace_file

STATE_FILE = "checked_columns.json"
# A comparison takes two seconds, or five if the columns are set right. So long all tables wait
# together, since a table that lags behind meanwhile loses its past if it is renamed then.
HOLD_SECONDS = 15.0


class Statement(Protocol):
    """A DDL statement of the binary log."""

    @property
    def gtid(self) -> str:
        """Its transaction."""

    @property
    def names(self) -> tuple[str, ...]:
        """The tables that it may be about."""

    @property
    def before(self) -> str:
        """The GTID set of all transactions before it; empty if that is not known."""

    @property
    def only_if_absent(self) -> bool:
        """Whether it does nothing if its table exists."""

    @property
    def is_truncate(self) -> bool:
        """Whether it leaves the columns as they are."""


class CheckedColumnsFile:
    """The GTID of the statement after which each table was compared."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / STATE_FILE

    def read(self) -> dict[str, str]:
        """Return the GTIDs by table. Without a file, or with a damaged one, no table is checked."""
        try:
            content = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, gtids: Mapping[str, str]) -> None:
        """Replace the GTIDs."""
        replace_file(self._path, json.dumps(dict(gtids), ensure_ascii=False))


@dataclass(frozen=True)
class Unchecked:
    """The first and the newest statement about a table since its columns were compared."""

    first: Statement
    newest: Statement


def unchecked_tables(
    statements: Iterable[Statement], checked: Mapping[str, str]
) -> dict[str, Unchecked]:
    """Return the tables that are not compared since their newest statement.

    `statements` are in the log's order. Those that create a table if it is absent do nothing to one
    that was compared; an application may repeat them for ever.
    """
    unchecked: dict[str, Unchecked] = {}
    for statement in statements:
        if statement.is_truncate:
            continue
        for table in statement.names:
            earlier = unchecked.get(table)
            if checked.get(table) == statement.gtid:
                unchecked.pop(table, None)
            elif earlier is not None:
                unchecked[table] = Unchecked(earlier.first, statement)
            elif table not in checked or not statement.only_if_absent:
                unchecked[table] = Unchecked(statement, statement)
    return unchecked


@dataclass(frozen=True)
class Wait:
    """What a version must not show yet: anything after the transactions `within` (None: there is no
    limit), and the changes of some tables.
    """

    within: str | None = None
    tables: frozenset[str] = frozenset()


class ColumnChecks:
    """Decides how the compactor waits for comparisons: with all tables first, then with one."""

    def __init__(
        self, file: CheckedColumnsFile, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._clock = clock
        # When the first statement about a table was seen, by both.
        self._since: dict[tuple[str, str], float] = {}

    def wait(
        self, statements: Iterable[Statement], is_captured: Callable[[str], bool]
    ) -> Wait:
        """Return how long versions can be now. `statements` are in the log's order."""
        statements = list(statements)
        unchecked = unchecked_tables(statements, self._file.read())
        unchecked = {table: one for table, one in unchecked.items() if is_captured(table)}
        now = self._clock()
        keys = {table: (table, one.first.gtid) for table, one in unchecked.items()}
        self._since = {key: self._since.get(key, now) for key in keys.values()}
        held_gtids = set()
        late_tables = set()
        for table, one in unchecked.items():
            if one.first.before and now - self._since[keys[table]] < HOLD_SECONDS:
                held_gtids.add(one.first.gtid)
            else:
                late_tables.add(table)
        for statement in statements:
            if statement.gtid in held_gtids:
                return Wait(statement.before, frozenset(late_tables))
        return Wait(tables=frozenset(late_tables))
