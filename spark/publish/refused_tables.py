"""The tables that the metastore refuses to show as a version has them."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from schemas.errors import Refused

# A refusal can have passed: a table is tried again without a new version, too.
RETRY_SECONDS = 15.0

TableName = tuple[str, str]  # database and table

log = logging.getLogger("compactor")


@dataclass(frozen=True)
class RefusedTable:
    """Why a table stays as it is in Hive, and the URIs of the folders that Hive reads for it."""

    reason: str
    folders: tuple[str, ...]


class RefusedTables:
    """Keeps one table's refusal from the others, and remembers it until the next publishing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tables: dict[TableName, RefusedTable] = {}
        self._earlier_tables: dict[TableName, RefusedTable] = {}
        self._tried_at = clock()

    def begin(self) -> None:
        """Begin to try all tables again."""
        self._tried_at = self._clock()
        self._earlier_tables = self._tables
        self._tables = {}

    @contextmanager
    def isolated(self, name: TableName, folders: Iterable[str]) -> Iterator[None]:
        """Note a refusal in the block as the table's, and go on behind the block.

        Other errors pass. Threads can use it at the same time for different tables.
        """
        try:
            yield
        except Refused as error:
            reason = str(error)
            earlier_table = self._earlier_tables.get(name)
            if earlier_table is None or earlier_table.reason != reason:
                log.error("%s stays as it is in Hive: %s", ".".join(name), reason)
            self._tables[name] = RefusedTable(reason, tuple(folders))

    def __contains__(self, name: TableName) -> bool:
        return name in self._tables

    def reasons(self) -> dict[str, str]:
        """Return the reasons by `database.table`."""
        return {
            ".".join(name): table.reason for name, table in sorted(self._tables.items())
        }

    def is_retry_due(self) -> bool:
        """Return whether there are tables that were not tried lately."""
        return bool(self._tables) and self._clock() - self._tried_at > RETRY_SECONDS

    def is_read(self, folder_uri: str) -> bool:
        """Return whether Hive still reads a folder for one of the tables, or a folder above it."""
        for table in self._tables.values():
            if any(f"{folder_uri}/".startswith(f"{place}/") for place in table.folders):
                return True
        return False
