"""Transactions as they are in a binary log, and the tables of their database."""

from connectors.debezium.binlog_watch.finding_collector import FindingCollector
from connectors.mysql.binlog_events import (
    BinlogTransaction,
    LoggedStatement,
    XaEvent,
    XaStep,
)
from schemas.errors import Unavailable

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
TABLES = ("orders", "users", "Größe")


class Catalogue:
    """The tables that MySQL has, and how often it was asked for them."""

    def __init__(self) -> None:
        self.tables = list(TABLES)
        self.reads = 0
        self.is_away = False
        self.engines: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        self.reads += 1
        if self.is_away:
            raise Unavailable("MySQL does not answer")
        return {table: self.engines.get(table, "InnoDB") for table in self.tables}


def transaction(
    number: int,
    *,
    tables: tuple[str, ...] = (),
    partial: tuple[str, ...] = (),
    statement: LoggedStatement | None = None,
    xa: XaEvent | None = None,
    has_incident: bool = False,
    database: str = "eCommerce",
) -> BinlogTransaction:
    return BinlogTransaction(
        gtid=f"{A}:{number}",
        position=(1, number * 100),
        statements=(statement,) if statement else (),
        tables=frozenset((database, table) for table in (*tables, *partial)),
        partial_tables=frozenset((database, table) for table in partial),
        xa=xa,
        has_incident=has_incident,
    )


def row_change(
    text: str, database: str = "eCommerce", updated: frozenset[str] | None = None
) -> LoggedStatement:
    return LoggedStatement(
        database=database, text=text, is_in_transaction=True, updated_databases=updated
    )


def ddl(text: str, database: str = "eCommerce") -> LoggedStatement:
    return LoggedStatement(database=database, text=text, is_in_transaction=False)


def xa(step: XaStep, xa_id: str = "X'31',X'',1") -> XaEvent:
    return XaEvent(id=xa_id, step=step)


def reasons(collector: FindingCollector) -> dict[str, str]:
    return {name: finding.reason for name, finding in collector.state().findings.items()}
