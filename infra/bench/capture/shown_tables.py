"""What Hive shows of tables: when it shows another state of them, and how many rows that has.

The metastore switches a table's files, its version and its GTID set in one step.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.hadoop import hiveserver2
from connectors.hadoop.hive_metastore import Metastore
from connectors.retry import wait_until
from connectors.runtime.settings import Settings
from infra.terminal.progress_line import Report
from schemas.errors import StackError
from schemas.gtid import GtidSet, gtid_set

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ShownTable:
    """The version since which Hive shows the present files of a table, and its transactions."""

    version: int
    transactions: GtidSet


NOT_SHOWN = ShownTable(-1, GtidSet())


def shown_table(properties: Mapping[str, str]) -> ShownTable:
    """Return what a table's properties in the metastore say."""
    version = properties.get("kappa.version", "")
    if not version.isdecimal():
        return NOT_SHOWN
    return ShownTable(int(version), gtid_set(properties.get("kappa.gtid", "")))


def has_change_after(table: ShownTable, server: str, number: int) -> bool:
    """Return whether a table shows a transaction of a server after one number."""
    return table.transactions.last_number(server) > number


def was_read_again(table: ShownTable, before: ShownTable) -> bool:
    """Return whether a table that has no changes has other files."""
    return table.version > before.version


class ShownTables:
    """The tables of a measurement in Hive, over one connection to the metastore."""

    def __init__(
        self, settings: Settings, metastore: Metastore, names: Sequence[str]
    ) -> None:
        self._settings = settings
        self._metastore = metastore
        self._names = names

    def all(self) -> dict[str, ShownTable]:
        """Return what Hive shows of each table now."""
        return {name: self._find(name) for name in self._names}

    def wait_until(
        self,
        is_shown: Callable[[str, ShownTable], bool],
        *,
        timeout_seconds: float,
        what: str,
        report: Callable[[int], None],
    ) -> float:
        """Wait until a condition is true of every table. Return when, in monotonic seconds.

        `report` is called with how many there are. Raises StackError if some do not get there.
        """
        remaining = list(self._names)
        shown_at = time.monotonic()

        def are_shown() -> bool:
            nonlocal shown_at
            # No further than the first that is missing: asking has a price for the metastore.
            while remaining and is_shown(remaining[-1], self._find(remaining[-1])):
                shown_at = time.monotonic()
                remaining.pop()
            report(len(self._names) - len(remaining))
            return not remaining

        wait_until(
            are_shown,
            timeout_seconds=timeout_seconds,
            poll_seconds=POLL_SECONDS,
            what=lambda: f"{what} ({len(remaining)} of {len(self._names)} are missing)",
            hint="see ./kappa status and ./kappa logs compactor",
            error=StackError,
        )
        return shown_at

    def _find(self, name: str) -> ShownTable:
        table = self._metastore.table(self._settings.hive.warehouse_database, name)
        return shown_table(table.properties) if table else NOT_SHOWN


def hive_counts(settings: Settings, names: Iterable[str], report: Report) -> dict[str, int]:
    """Return how many rows HiveServer2 counts in each table, in one session."""
    counts = {}
    names = list(names)
    database = settings.hive.warehouse_database
    with hiveserver2.session(settings.hive) as execute:
        for name in names:
            rows = execute(f"SELECT count(*) FROM {database}.{name}").rows
            counts[name] = int(rows[0][0])
            report("counting in Hive", len(counts) / len(names), "")
    return counts
