"""The proof that the warehouse equals MySQL, by value, at one GTID set; or the rows that differ.

Writes to MySQL continue during the proof.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.control.reread_request import RereadRequests
from connectors.hadoop.hdfs import Hdfs
from connectors.mysql.client import SqlRefused, connect
from connectors.retry import FOREVER, RetryPolicy
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.terminal.progress_steps import ProgressSteps
from infra.verify.metastore.repair import look_and_repair
from infra.verify.warehouse.compare_table import MYSQL, WAREHOUSE, compare
from infra.verify.warehouse.consistent_point import (
    ConsistentPoint,
    InconsistentPoint,
    consistent_point,
)
from infra.verify.warehouse.differences import RowDifference, TableOutcome
from infra.verify.warehouse.hdfs_rows import WarehouseTable
from infra.verify.warehouse.report import Report, note_drift, note_proof
from infra.verify.warehouse.table_shape import TableShape, table_shapes
from schemas.errors import ContractError, UsageError
from schemas.manifest import PublishedTable
from schemas.topics import change_topic, source_table
from schemas.warehouse_layout import Kind

READERS = 2
# A statement that changes a table ends a snapshot's view of it (1412), or removes what is read
# (1146: the table, 1054: a column). The proof is then repeated.
SCHEMA_CHANGE_ERRORS = (1412, 1146, 1054)
MAX_ATTEMPTS = 5
# How long a version may take to reach the snapshot's GTID set.
POINT_SECONDS = 120


def verify(
    settings: Settings, tables: Sequence[str], timeout_seconds: float, steps: ProgressSteps
) -> Report:
    """Compare some tables of MySQL with the warehouse; no names mean all tables.

    Before, Hive and its folders are compared with the manifest and repaired: so the rows are those
    that readers read. A proof of all tables is noted for `status`. Raises Unavailable if both sides
    do not reach a common point in time, UsageError for a table that neither side has.
    """
    drift = look_and_repair(settings, tables, steps.say)
    if drift.drifts or not tables:
        note_drift(settings, drift)
    retry = RetryPolicy(
        timeout_seconds=FOREVER,
        max_attempts=MAX_ATTEMPTS,
        retry_on=(InconsistentPoint,),
        on_failure=lambda error: steps.say(f"starting again: {error}"),
    )
    report = retry.call(lambda: _verify_once(settings, tables, timeout_seconds, steps))
    report.drift = drift
    if settings.verify.heal:
        _request_differing_tables(settings, report, steps)
    if not tables:
        note_proof(settings, report)
    return report


def _request_differing_tables(
    settings: Settings, report: Report, steps: ProgressSteps
) -> None:
    """Have the tables read from MySQL again whose rows differ."""
    requests = RereadRequests(settings.home)
    for outcome in report.outcomes:
        if not outcome.differing:
            continue
        reason = f"a proof at {report.gtid} found {outcome.differing:,} differing rows"
        requests.add(change_topic(settings.mysql.database, outcome.table), reason)
        steps.say(f"{outcome.table} will be read again from MySQL")


def _verify_once(
    settings: Settings, tables: Sequence[str], timeout_seconds: float, steps: ProgressSteps
) -> Report:
    begin = time.monotonic()
    try:
        report = _compare_tables(settings, tables, timeout_seconds, steps)
    except SqlRefused as error:
        if error.errno in SCHEMA_CHANGE_ERRORS:
            raise InconsistentPoint(str(error), error.hint) from error
        raise
    report.seconds = round(time.monotonic() - begin, 2)
    return report


def _compare_tables(
    settings: Settings, tables: Sequence[str], timeout_seconds: float, steps: ProgressSteps
) -> Report:
    status = StatusLine()
    shapes = _read_shapes(settings)
    with (
        steps.waiting(status.get),
        consistent_point(
            settings,
            readers=READERS,
            timeout_seconds=timeout_seconds,
            on_wait=status.wait_for,
        ) as point,
    ):
        report = _new_report(point)
        sides = f"version {report.version} and MySQL at {report.gtid}"
        steps.say(f"{sides}, after {point.seconds:.1f} s")
        if _read_shapes(settings) != shapes:
            raise InconsistentPoint(
                "a statement changed tables while the point was taken", "try again"
            )
        for pair in _pair_tables(settings, shapes, point, tables):
            outcome = _compare_pair(settings, point, pair, status)
            report.outcomes.append(outcome)
            steps.say(f"{pair.name}: {outcome.summary()}")
    return report


class StatusLine:
    """The current step of the proof, in one line for people who wait. Threads may share it."""

    def __init__(self) -> None:
        self._text = "waiting for a point on both sides"

    def get(self) -> str:
        """Return the line."""
        return self._text

    def wait_for(self, event: str) -> None:
        """Say what is waited for."""
        self.set(f"waiting for {event}")

    def set(self, text: str) -> None:
        """Replace the line."""
        self._text = text


class TableProgress:
    """How many rows of a table each side has read."""

    def __init__(self, table: str, status: StatusLine) -> None:
        self._table = table
        self._status = status
        self._rows = {MYSQL: 0, WAREHOUSE: 0}

    def __call__(self, side: str, rows: int) -> None:
        self._rows[side] += rows
        sides = ", ".join(f"{count:,} rows of {name}" for name, count in self._rows.items())
        self._status.set(f"{self._table}: {sides}")


@dataclass(frozen=True)
class TablePair:
    """A table on both sides, by its name in MySQL; None where it does not exist."""

    name: str
    shape: TableShape | None
    table: PublishedTable | None


def _new_report(point: ConsistentPoint) -> Report:
    return Report(
        gtid=point.snapshot.gtids,
        version=point.manifest.version,
        snapshot_tries=point.snapshot.tries,
        point_seconds=point.seconds,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _read_shapes(settings: Settings) -> dict[str, TableShape]:
    with connect(settings.mysql, settings.login("mysql.verifier")) as mysql:
        return table_shapes(
            mysql,
            settings.mysql.database,
            settings.mysql.capture_rules,
            settings.hash_salt(),
        )


def _pair_tables(
    settings: Settings,
    shapes: dict[str, TableShape],
    point: ConsistentPoint,
    tables: Sequence[str],
) -> list[TablePair]:
    """Return the tables to compare, sorted by name.

    `tables` are their names in MySQL or in Hive. Raises UsageError for an unknown name.
    """
    warehouse_tables = {}
    hive_names = {}
    for hive_name, table in point.manifest.tables.items():
        if table.kind == Kind.CHANGES.value:
            warehouse_tables[source_table(table.topic)] = table
            hive_names[hive_name] = source_table(table.topic)
    names = sorted({*shapes, *warehouse_tables})
    tables = [name if name in names else hive_names.get(name, name) for name in tables]
    for name in tables:
        if name not in names:
            raise UsageError(
                f"neither MySQL nor the warehouse has a table {name}",
                f"there are {', '.join(names)}",
            )
    pairs = []
    for name in names:
        if not tables or name in tables:
            pairs.append(TablePair(name, shapes.get(name), warehouse_tables.get(name)))
    return pairs


def _compare_pair(
    settings: Settings, point: ConsistentPoint, pair: TablePair, status: StatusLine
) -> TableOutcome:
    reason = _unprovable(settings, point, pair)
    if reason:
        return TableOutcome(pair.name, unproven=reason)
    if pair.shape is None:
        return _table_without_source(pair)
    warehouse = None
    if pair.table is not None:
        warehouse = WarehouseTable(Hdfs(settings.hdfs), pair.shape, pair.table)
    progress = TableProgress(pair.name, status)
    return compare(point.snapshot.readers, pair.shape, warehouse, progress)


def _table_without_source(pair: TablePair) -> TableOutcome:
    partitions = pair.table.partitions.values() if pair.table else ()
    rows = sum(partition.rows for partition in partitions)
    outcome = TableOutcome(pair.name, warehouse_rows=rows)
    detail = (
        f"is a table of the warehouse with {rows} rows, and MySQL has no table of that name"
    )
    outcome.add_difference(RowDifference(table=pair.name, wrong="file", detail=detail))
    return outcome


def _unprovable(settings: Settings, point: ConsistentPoint, pair: TablePair) -> str:
    """Return why a table cannot be compared at the point of the others, or an empty text."""
    topic = change_topic(settings.mysql.database, pair.name)
    compactor_state = read_state(settings.home, "compactor") or {}
    refused_topics = compactor_state.get("refused", {})
    if topic in point.manifest.lagging_topics or (
        topic in refused_topics and pair.table is None
    ):
        reason = refused_topics.get(topic, "it was left at an earlier point")
        return f"it is not replicated: {reason}"
    if pair.shape is None:
        return ""
    try:
        _ = pair.shape.forms
    except ContractError as error:
        return str(error)
    return _differing_columns(pair.shape, pair.table) if pair.table else ""


def _differing_columns(shape: TableShape, table: PublishedTable) -> str:
    """Return how the columns differ, or an empty text.

    A statement reaches a table's files with the first row that is written after it
    (docs/types.md).
    """
    mysql_names = {name.lower() for name in shape.column_names}
    warehouse_names = {name.lower() for name, _ in table.columns}
    if mysql_names == warehouse_names:
        return ""
    only_in_mysql = sorted(mysql_names - warehouse_names)
    only_in_warehouse = sorted(warehouse_names - mysql_names)
    differences = [f"{name} only in MySQL" for name in only_in_mysql]
    differences += [f"{name} only in the warehouse" for name in only_in_warehouse]
    return (
        f"its columns differ: {', '.join(differences)}; a statement reaches the warehouse with "
        "the first row that is written after it"
    )
