"""The tables that `kappa resync` requests, and the wait until a version shows them."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.control.reread_request import RereadRequest, RereadRequests, reread_progress
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import connect
from connectors.retry import wait_until
from connectors.runtime.settings import Settings
from infra.terminal.progress_line import ProgressLine
from schemas.errors import UsageError
from schemas.topics import change_topic

REASON = "requested by ./kappa resync"
POLL_SECONDS = 0.25
TABLES = (
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s "
    "AND table_type = 'BASE TABLE' ORDER BY table_name"
)


@dataclass(frozen=True)
class TableRequest:
    """A table of MySQL, and the request to read it."""

    table: str
    request: RereadRequest


def request_tables(
    settings: Settings, tables: Sequence[str], all_tables: bool
) -> list[TableRequest]:
    """Request some tables. Raises UsageError for none, or one that MySQL does not have."""
    database = settings.mysql.database
    with connect(settings.mysql, settings.login("mysql.verifier"), database) as connection:
        rows = connection.query(TABLES, (database,))
    captures = settings.mysql.capture_rules.captures
    names = [str(row["name"]) for row in rows]
    for table in tables:
        if table in names and not captures(table):
            raise UsageError(
                f"the table {table} is not captured",
                "see mysql.include_tables and mysql.exclude_tables in docs/settings.md",
            )
    existing_tables = list(filter(captures, names))
    requests = RereadRequests(settings.home)
    return [
        TableRequest(table, requests.add(change_topic(database, table), REASON))
        for table in selected_tables(tables, all_tables, existing_tables, database)
    ]


def selected_tables(
    tables: Sequence[str], all_tables: bool, existing: Sequence[str], database: str
) -> list[str]:
    """Return the tables to read. Raises UsageError, naming what is near to a wrong name."""
    if all_tables == bool(tables):
        raise UsageError(
            "name the tables to read again, or give --all", "./kappa resync --help"
        )
    for table in tables:
        if table not in existing:
            near = difflib.get_close_matches(table, existing, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(near)}?" if near else "see ./kappa status"
            raise UsageError(f"MySQL has no table {database}.{table}", hint)
    return list(dict.fromkeys(tables)) if tables else list(existing)


def wait_until_read(
    settings: Settings, table_requests: Sequence[TableRequest], timeout_seconds: float
) -> dict[str, int]:
    """Wait until a version shows all tables as they were read. Returns the rows of each.

    Raises Unavailable after `timeout_seconds`; the tables are read nevertheless.
    """
    requests = RereadRequests(settings.home)
    with ProgressLine() as line:

        def are_read() -> bool:
            pending = requests.all()
            report_progress(line, table_requests, pending, reread_progress(settings.home))
            return not any(
                pending.get(table_request.request.topic) == table_request.request
                for table_request in table_requests
            )

        wait_until(
            are_read,
            timeout_seconds=timeout_seconds,
            poll_seconds=POLL_SECONDS,
            what="a version with the tables as they were read",
            hint="they are read nevertheless: see ./kappa status",
        )
    newest = ManifestStore(Hdfs(settings.hdfs), settings.hdfs.root).newest()
    rows_by_topic = {base.topic: base.rows for base in newest.bases.values()}
    return {
        table_request.table: rows_by_topic.get(table_request.request.topic, 0)
        for table_request in table_requests
    }


def report_progress(
    line: ProgressLine,
    table_requests: Sequence[TableRequest],
    pending: Mapping[str, RereadRequest],
    figures: Mapping[str, Mapping[str, Any]],
) -> None:
    """Show how far each table is, by the figures of each topic."""
    for table_request in table_requests:
        if pending.get(table_request.request.topic) != table_request.request:
            line(table_request.table, 1.0, "is published")
            continue
        table = figures.get(table_request.request.topic)
        if table is None:
            line(table_request.table, None, "waits")
            continue
        fraction = (
            table["rows"] / table["estimated_rows"] if table["estimated_rows"] else 1.0
        )
        speed = f"{table['rows_per_second']:,} rows/s"
        line(table_request.table, fraction, f"{table['rows']:,} rows, {speed}")
