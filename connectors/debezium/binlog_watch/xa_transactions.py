"""The XA transactions of the binary log: those that are prepared, and those that were committed.

The rows of such a transaction are in the log when it is prepared: Debezium has them then, and MySQL
shows them once it is committed, if it is not rolled back.
"""

import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from connectors.debezium.binlog_watch.watch_state import (
    CommittedXa,
    WatchState,
    XaPreparation,
)
from connectors.mysql.binlog_events import XaEvent

MAX_COMMITTED_XA = 5_000


@dataclass(frozen=True)
class EndedXa:
    """The tables of an XA transaction that has ended, and those with findings in it."""

    tables: tuple[str, ...]
    tables_with_findings: tuple[str, ...]


class XaTransactions:
    """Follows XA transactions from their preparation to their end.

    `prepared_tables`, `prepared_findings` and `preparations` are by the transaction's id, as in
    WatchState; `committed` are the newest, oldest first.
    """

    def __init__(self, state: WatchState) -> None:
        self.prepared_tables = dict(state.prepared)
        self.prepared_findings = dict(state.prepared_findings)
        self.preparations = dict(state.preparations)
        self.committed = deque(state.committed_xa, MAX_COMMITTED_XA)

    def prepare(
        self,
        xa_id: str,
        gtid: str,
        *,
        tables: Collection[str],
        tables_with_findings: Collection[str],
    ) -> None:
        """Note the tables of a transaction, and those with findings in it."""
        self.prepared_tables[xa_id] = tuple(sorted(tables))
        self.preparations[xa_id] = XaPreparation(gtid, time.time())
        if tables_with_findings:
            self.prepared_findings[xa_id] = tuple(sorted(tables_with_findings))

    def end(self, xa: XaEvent, gtid: str) -> EndedXa | None:
        """Return what was prepared and is committed or rolled back; None if that is not known."""
        tables = self.prepared_tables.pop(xa.id, None)
        preparation = self.preparations.pop(xa.id, None)
        if tables is None:
            return None
        if xa.step == "commit" and preparation is not None:
            self.committed.append(CommittedXa(preparation.gtid, gtid, tables))
        return EndedXa(tables, self.prepared_findings.pop(xa.id, ()))

    def forget_prepared(self) -> None:
        """Forget what is prepared: its end may be in transactions that are not read."""
        self.prepared_tables = {}
        self.prepared_findings = {}
        self.preparations = {}
