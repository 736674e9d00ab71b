"""The proof that the warehouse equals MySQL, by value, at one GTID set, while writes go on; or the rows that differ."""

import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.hdfs import Hdfs
from connectors.mysql import SqlRefused, connect
from infra.errors import ContractError, KappaError, UsageError
from infra.proof_point import Point, PointMissed, point
from infra.row_differences import RowDifference, TableOutcome
from infra.settings import Settings
from infra.state import read_state
from infra.steps import Steps
from infra.table_compare import compare
from infra.table_shape import TableShape, table_shapes
from infra.warehouse_side import WarehouseTable
from schemas.topics import change_topic, source_table
from schemas.warehouse import Kind
from spark.manifest import Manifest, Table

READERS = 2
# Statements that change tables end a snapshot's view of them (1412), or take away what is read (1146 table, 1054 column): then it begins anew.
CHANGED_UNDERWAY = (1412, 1146, 1054)
TRIES = 5
# How long a version may take to stand where the snapshot does; and how much of the time proofs that follow each other may take.
POINT_SECONDS = 120
BUSY = 0.25

STATE = "proof"


@dataclass
class Report:
    """What a proof found: at which set and version, how many tries the snapshot took, and each table's outcome."""

    gtid: str
    version: int
    snapshot_tries: int
    point_seconds: float
    at: str
    seconds: float = 0.0
    outcomes: list[TableOutcome] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether every table was compared, and nothing differs."""
        return all(outcome.equal for outcome in self.outcomes)

    @property
    def rows(self) -> int:
        """The rows of MySQL that were compared."""
        return sum(outcome.mysql_rows for outcome in self.outcomes)

    def verdict(self) -> str:
        """The outcome in one line."""
        if self.equal:
            return f"equal: version {self.version} is MySQL at {self.gtid}, {self.rows:,} rows value by value in {self.seconds:.1f} s"
        differing = sum(outcome.differing for outcome in self.outcomes)
        unproven = [outcome.table for outcome in self.outcomes if outcome.unproven]
        apart = [f"{differing:,} rows differ"] if differing or not unproven else []
        return f"version {self.version} and MySQL at {self.gtid}: {', '.join(apart + [f'not proven: {name}' for name in unproven])}"

    def differences(self) -> list[RowDifference]:
        """The differences kept: the first of each table."""
        return [difference for outcome in self.outcomes for difference in outcome.differences]

    def data(self) -> dict[str, Any]:
        """The report for JSON."""
        figures = ("gtid", "version", "snapshot_tries", "point_seconds", "at", "seconds", "rows", "equal")
        return {
            **{name: getattr(self, name) for name in figures},
            "tables": {outcome.table: outcome.data() for outcome in self.outcomes},
            "differences": [difference.data() for difference in self.differences()],
        }


def verify(settings: Settings, tables: Sequence[str], timeout_seconds: float, steps: Steps) -> Report:
    """Compare some tables of MySQL, by default all, with the warehouse, and note the outcome for `status`.

    Raises Unavailable if no common point comes about within the time, UsageError for a table that neither side has.
    """
    for number in range(TRIES):
        try:
            report = _verify(settings, tables, timeout_seconds, steps)
            break
        except (SqlRefused, PointMissed) as error:
            if (isinstance(error, SqlRefused) and error.errno not in CHANGED_UNDERWAY) or number == TRIES - 1:
                raise
            steps.say(f"begins anew: {error}")
    if not tables:
        _note(settings, report)
    return report


def _verify(settings: Settings, wanted: Sequence[str], timeout_seconds: float, steps: Steps) -> Report:
    begin, doing = time.monotonic(), ["a point on both sides"]
    shapes = _shapes(settings)

    def says(what: str) -> None:
        doing[0] = f"waiting for {what}"

    with steps.waiting(lambda: doing[0]), point(settings, READERS, timeout_seconds, says) as at:
        taken = at.snapshot
        report = Report(taken.gtids, at.manifest.version, taken.tries, at.seconds, datetime.now(UTC).isoformat(timespec="milliseconds"))
        steps.say(f"version {at.manifest.version} and MySQL at {taken.gtids}, after {at.seconds:.1f} s")
        if _shapes(settings) != shapes:
            raise PointMissed("a statement changed tables while the point was taken", "try again")
        for name, shape, table in _pairs(settings, shapes, at, wanted):
            progress = Progress(name, doing)
            outcome = _one(settings, at, name, shape, table, progress)
            report.outcomes.append(outcome)
            steps.say(f"{name}: {_said(outcome)}")
    report.seconds = round(time.monotonic() - begin, 2)
    return report


class Progress:
    """How many rows each side of a table has read."""

    def __init__(self, table: str, doing: list[str]) -> None:
        self._table, self._doing = table, doing
        self._rows = {"MySQL": 0, "the warehouse": 0}

    def __call__(self, side: str, rows: int) -> None:
        self._rows[side] += rows
        self._doing[0] = f"{self._table}: " + ", ".join(f"{rows:,} rows of {side}" for side, rows in self._rows.items())


def _shapes(settings: Settings) -> dict[str, TableShape]:
    with connect(settings.mysql, settings.login("mysql.verifier")) as mysql:
        return table_shapes(mysql, settings.mysql.database)


def _pairs(settings: Settings, shapes: dict[str, TableShape], at: Point, wanted: Sequence[str]) -> list[tuple[str, TableShape | None, Table | None]]:
    """The tables of both sides by name in MySQL."""
    in_mysql = {_topic(settings, name): name for name in shapes}
    tables = [table for table in at.manifest.tables.values() if table.kind == Kind.CHANGES.value]
    held = {in_mysql.get(table.topic, source_table(table.topic)): table for table in tables}
    names = sorted({*shapes, *held})
    if unknown := [name for name in wanted if name not in names]:
        raise UsageError(f"neither MySQL nor the warehouse has a table {unknown[0]}", f"there are {', '.join(names)}")
    return [(name, shapes.get(name), held.get(name)) for name in names if not wanted or name in wanted]


def _one(
    settings: Settings, at: Point, name: str, shape: TableShape | None, table: Table | None, progress: Callable[[str, int], None]
) -> TableOutcome:
    if reason := _unprovable(settings, at.manifest, name, shape, table):
        return TableOutcome(name, unproven=reason)
    if shape is None:
        rows = sum(partition.rows for partition in table.partitions.values()) if table else 0
        outcome = TableOutcome(name, warehouse_rows=rows)
        outcome.take(RowDifference(name, "file", {}, detail=f"is a table of the warehouse with {rows} rows, and MySQL has no table of that name"))
        return outcome
    warehouse = WarehouseTable(Hdfs(settings.hdfs), shape, table) if table else None
    return compare(at.snapshot.readers, shape, warehouse, progress)


def _topic(settings: Settings, name: str) -> str:
    """The topic of a table, by Debezium's rule for names that Kafka does not take."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", change_topic(settings.mysql.database, name))


def _unprovable(settings: Settings, manifest: Manifest, name: str, shape: TableShape | None, table: Table | None) -> str:
    """Why a table cannot stand at the point of the others, or empty."""
    topic = _topic(settings, name)
    refused = (read_state(settings.home, "compactor") or {}).get("refused", {})
    if topic in manifest.left or (topic in refused and table is None):
        return f"it is not carried: {refused.get(topic, 'it was left at an earlier point')}"
    if shape is None:
        return ""
    if not shape.key:
        return "it has no primary key, so its rows cannot be told apart"
    try:
        _ = shape.forms
    except ContractError as error:
        return str(error)
    if table is not None and (apart := _columns_apart(shape, table)):
        return apart
    return ""


def _columns_apart(shape: TableShape, table: Table) -> str:
    """A statement reaches a table's files with the first row that is written after it (docs/types.md)."""
    here, there = {column.name.lower() for column in shape.columns}, {name.lower() for name, _ in table.columns}
    if here == there:
        return ""
    apart = [f"{name} only in MySQL" for name in sorted(here - there)] + [f"{name} only in the warehouse" for name in sorted(there - here)]
    return f"its columns differ: {', '.join(apart)}; a statement reaches the warehouse with the first row that is written after it"


def _said(outcome: TableOutcome) -> str:
    if outcome.unproven:
        return f"not proven: {outcome.unproven}"
    verdict = "equal" if outcome.equal else f"{outcome.differing:,} differ"
    return f"{outcome.mysql_rows:,} rows, {verdict} ({outcome.seconds:.1f} s)"


def _note(settings: Settings, report: Report) -> None:
    """What `status` shows: the outcome, and when equality was last proven."""
    before = last_proof(settings)
    found = {"at": report.at, "gtid": report.gtid, "version": report.version, "rows": report.rows, "seconds": report.seconds, "equal": report.equal}
    unproven = [outcome.table for outcome in report.outcomes if outcome.unproven]
    differing = [outcome.table for outcome in report.outcomes if not outcome.unproven and not outcome.equal]
    note = {"last": {**found, "unproven": unproven, "differing": differing}, "proven": found if report.equal else before.get("proven")}
    path = settings.home / "run" / f"{STATE}.json"
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(note))
    scratch.replace(path)


def last_proof(settings: Settings) -> dict[str, Any]:
    """The newest proof of all tables, and the newest that found them equal."""
    return read_state(settings.home, STATE) or {}


def verify_for_ever(
    settings: Settings,
    every_seconds: float,
    timeout_seconds: float,
    steps: Steps,
    tell: Callable[[Report], None],
    missed: Callable[[KappaError], None],
) -> None:
    """Prove again and again; `missed` is told why there was no proof, as when something is away now. Ends with an interrupt."""
    with suppress(KeyboardInterrupt):
        while True:
            begin, worked = time.monotonic(), 0.0
            try:
                report = verify(settings, (), timeout_seconds, steps)
                worked = report.seconds
                tell(report)
            except KappaError as error:
                missed(error)
            time.sleep(pause(every_seconds, time.monotonic() - begin, worked))


def pause(every_seconds: float, took: float, worked: float) -> float:
    """Seconds until the next of the proofs that begin so often; after one that was long at work longer, so that they are `BUSY` of the time at most.

    One that came to nothing has only waited (`worked` is 0).
    """
    return max(0.0, every_seconds - took, worked * (1 / BUSY - 1))
