"""The snapshot benchmark: how fast tables that MySQL has already come to Hive.

A table is filled beside the binary log, as if it had been there before capture began, and then
requested: it is read by what also reads the large tables when capture begins (spark/reread).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.control.reread_request import RereadRequests
from connectors.hadoop.hive_metastore import Metastore
from connectors.mysql.client import Connection, gtid_executed
from connectors.retry import wait_until
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.bench.capture.debezium_snapshot import seconds_of_snapshot
from infra.bench.capture.mysql_limit import seconds_of_reading
from infra.bench.capture.order_tables import (
    FIRST_ID,
    fill,
    order_tables,
    row_count,
    without_log,
)
from infra.bench.capture.process_usage import by_group, measured_usage, stack_pids
from infra.bench.capture.shown_tables import (
    ShownTables,
    has_change_after,
    hive_counts,
    was_read_again,
)
from infra.bench.capture.snapshot_report import (
    ONE_TABLE,
    SnapshotReport,
    SnapshotRun,
    TableSet,
)
from infra.bench.harness.machine import machine
from infra.bench.report.measurement import now
from infra.bench.warehouse.freshness import versions
from infra.terminal.progress_line import ProgressLine, Report
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import StackError
from schemas.gtid import gtid_set
from schemas.topics import change_topic
from spark.reread.table_reading import READERS

PREFIX = "bench_snapshot_"
REASON = "requested by ./kappa bench snapshot"
SHOWN_SECONDS = 600.0
READ_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class SnapshotPlan:
    """The sizes of a measurement."""

    rows: int
    tables: int
    table_rows: int
    peer_rows: int

    def table_sets(self) -> list[TableSet]:
        """Return what is read, one after the other; the smallest first, which warms up."""
        return [
            TableSet(
                title=ONE_TABLE, tables=1, rows_per_table=self.peer_rows, with_peer=True
            ),
            TableSet(title=ONE_TABLE, tables=1, rows_per_table=self.rows),
            TableSet(title="tables", tables=self.tables, rows_per_table=self.table_rows),
        ]


def measure(settings: Settings, plan: SnapshotPlan, steps: ProgressSteps) -> SnapshotReport:
    """Run the benchmark in tables that are removed from MySQL and Hive afterwards.

    Their topics and archives stay. Raises StackError if tables do not come to Hive; Unavailable.
    """
    report = SnapshotReport(
        at=now(),
        machine=machine(),
        versions=versions(),
        interval_seconds=settings.spark.interval_seconds,
        readers=READERS,
    )
    for tables in plan.table_sets():
        run = _measure_tables(settings, tables)
        report.runs.append(run)
        steps.say(f"{tables.description}: {run.summary()}")
    return report


def _measure_tables(settings: Settings, tables: TableSet) -> SnapshotRun:
    names = [f"{PREFIX}{number:04}" for number in range(1, tables.tables + 1)]
    with (
        order_tables(settings, PREFIX, names) as mysql,
        Metastore(settings.hive.metastore_uris) as metastore,
        ProgressLine() as progress,
    ):
        line = _one_task(progress, tables.description)
        shown = ShownTables(settings, metastore, names)
        _show_first_rows(mysql, shown, names, line)
        with without_log(mysql):
            fill(mysql, names, FIRST_ID + 1, tables.rows_per_table, line)
        rows = sum(row_count(mysql, name) for name in names)
        if rows != tables.rows:
            raise StackError(f"MySQL has {rows:,} of {tables.rows:,} rows")
        limits = [_limit(settings, names, rows, line)]
        with measured_usage(stack_pids(settings)) as meter:
            seconds = _read(settings, shown, names, line)
        limits.append(_limit(settings, names, rows, line))
        begin = time.monotonic()
        counts = hive_counts(settings, names, line)
        count_seconds = time.monotonic() - begin
        peer_seconds = None
        if tables.with_peer:
            peer_seconds = seconds_of_snapshot(settings, names[0], rows, line)
    return SnapshotRun(
        tables=tables,
        seconds=seconds,
        limit_seconds=min(limits),
        counted_rows=sum(counts.values()),
        count_seconds=count_seconds,
        usage=by_group(meter.by_process()),
        peer_seconds=peer_seconds,
    )


def _limit(settings: Settings, names: Sequence[str], rows: int, line: Report) -> float:
    line("MySQL alone", None, f"{rows:,} rows")
    return seconds_of_reading(settings, names, rows)


def _show_first_rows(
    mysql: Connection, shown: ShownTables, names: Sequence[str], line: Report
) -> None:
    """Insert a row of each table, so that it has a topic, and wait until Hive shows all."""
    (row,) = mysql.query("SELECT @@GLOBAL.server_uuid AS server")
    server = str(row["server"])
    number = gtid_set(gtid_executed(mysql)).last_number(server)
    fill(mysql, names, FIRST_ID, FIRST_ID, line)
    shown.wait_until(
        lambda _, table: has_change_after(table, server, number),
        timeout_seconds=SHOWN_SECONDS,
        what="the new tables to come to Hive",
        report=lambda count: line("new tables in Hive", count / len(names), ""),
    )


def _read(
    settings: Settings,
    shown: ShownTables,
    names: Sequence[str],
    line: Report,
) -> float:
    """Request tables; return the seconds until Hive shows all of them as they were read."""
    requests = RereadRequests(settings.home)
    topics = {change_topic(settings.mysql.database, name) for name in names}
    # A proof may have found that rows are missing.
    wait_until(
        lambda: topics.isdisjoint(requests.all()),
        timeout_seconds=READ_SECONDS,
        what="an earlier reading of the tables to end",
        hint="see ./kappa status",
        error=StackError,
    )
    before = shown.all()
    begin = time.monotonic()
    for topic in sorted(topics):
        requests.add(topic, REASON)

    def report(count: int) -> None:
        state = read_state(settings.home, "reread") or {}
        rows = sum(table["rows"] for table in state.get("tables", {}).values())
        line("reading", count / len(names), f"{rows:,} rows are being read" if rows else "")

    shown_at = shown.wait_until(
        lambda name, table: was_read_again(table, before[name]),
        timeout_seconds=READ_SECONDS,
        what="Hive to show the tables as they were read",
        report=report,
    )
    return shown_at - begin


def _one_task(line: ProgressLine, name: str) -> Report:
    """Return a report of which only the present task is on the line."""

    def report(task: str, fraction: float | None, detail: str) -> None:
        line(
            name,
            None,
            f"{task} {detail}" if fraction is None else f"{task} {fraction:.0%} {detail}",
        )

    return report
