"""The tables whose columns were compared with MySQL's, each after its newest statement.

`log:capture` compares them (connectors/debezium/schema_repair.py). Until then nobody knows whether
Debezium decodes a table's rows by the right columns, so the compactor publishes none of them.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from connectors.runtime.files import replace_file

STATE_FILE = "checked_columns.json"


class Statement(Protocol):
    """A DDL statement of the binary log."""

    @property
    def gtid(self) -> str:
        """Its transaction."""

    @property
    def names(self) -> tuple[str, ...]:
        """The tables that it may be about."""

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


def unchecked_tables(
    statements: Iterable[Statement], checked: Mapping[str, str]
) -> dict[str, str]:
    """Return the tables that are not compared since their newest statement, with its GTID.

    `statements` are in the log's order. Those that create a table if it is absent do nothing to one
    that was compared; an application may repeat them for ever.
    """
    unchecked: dict[str, str] = {}
    for statement in statements:
        if statement.is_truncate:
            continue
        for table in statement.names:
            if checked.get(table) == statement.gtid:
                unchecked.pop(table, None)
            elif table in unchecked or table not in checked or not statement.only_if_absent:
                unchecked[table] = statement.gtid
    return unchecked
