"""The result of a proof of the warehouse, and its note for `kappa status`."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.runtime.files import replace_file
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.verify.metastore.drift import NO_DRIFT, REPAIRED, DriftReport
from infra.verify.warehouse.differences import RowDifference, TableOutcome

STATE = "proof"
MAX_NOTED_DRIFTS = 5


@dataclass(kw_only=True)
class Report:
    """The result of a proof: the GTID set and version compared, and each table's outcome.

    `snapshot_tries` counts the attempts at a snapshot, `point_seconds` the time until both sides
    were at the same point; `at` is ISO UTC. `drift` is what Hive had other than the manifest.
    """

    gtid: str
    version: int
    snapshot_tries: int
    point_seconds: float
    at: str
    seconds: float = 0.0
    outcomes: list[TableOutcome] = field(default_factory=list)
    drift: DriftReport = NO_DRIFT

    @property
    def equal(self) -> bool:
        """Whether every table was compared, nothing differs, and Hive was as the manifest says."""
        return not self.drift.drifts and all(outcome.equal for outcome in self.outcomes)

    @property
    def rows(self) -> int:
        """How many rows of MySQL were compared."""
        return sum(outcome.mysql_rows for outcome in self.outcomes)

    @property
    def unproven_tables(self) -> list[str]:
        """The tables that could not be compared."""
        return [outcome.table for outcome in self.outcomes if outcome.unproven]

    @property
    def differing_tables(self) -> list[str]:
        """The tables that were compared, and differ."""
        tables = []
        for outcome in self.outcomes:
            if not outcome.unproven and not outcome.equal:
                tables.append(outcome.table)
        return tables

    @property
    def zero_dates(self) -> dict[str, int]:
        """The tables with zero dates, which are NULL in the warehouse, and their number."""
        return {
            outcome.table: outcome.zero_dates
            for outcome in self.outcomes
            if outcome.zero_dates
        }

    def verdict(self) -> str:
        """Return the result in one line."""
        if self.equal:
            comparison = f"{self.rows:,} rows value by value in {self.seconds:.1f} s"
            return f"equal: version {self.version} is MySQL at {self.gtid}, {comparison}"
        differing = sum(outcome.differing for outcome in self.outcomes)
        findings = [f"not proven: {table}" for table in self.unproven_tables]
        if self.drift.drifts:
            count = len(self.drift.drifts)
            subject = "1 difference" if count == 1 else f"{count:,} differences"
            findings.append(
                f"{subject} between Hive and the manifest ({self.drift.repair})"
            )
        if differing or not findings:
            findings.insert(0, f"{differing:,} rows differ")
        return f"version {self.version} and MySQL at {self.gtid}: {', '.join(findings)}"

    def differences(self) -> list[RowDifference]:
        """Return the differences kept: the first of each table."""
        differences = []
        for outcome in self.outcomes:
            differences += outcome.differences
        return differences

    def data(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "gtid": self.gtid,
            "version": self.version,
            "snapshot_tries": self.snapshot_tries,
            "point_seconds": self.point_seconds,
            "at": self.at,
            "seconds": self.seconds,
            "rows": self.rows,
            "equal": self.equal,
            "tables": {outcome.table: outcome.data() for outcome in self.outcomes},
            "differences": [difference.data() for difference in self.differences()],
            **self.drift.data(),
        }


def note_proof(settings: Settings, report: Report) -> None:
    """Note a proof of all tables for `status`, and when equality was last proven."""
    figures = {
        "at": report.at,
        "gtid": report.gtid,
        "version": report.version,
        "rows": report.rows,
        "seconds": report.seconds,
        "equal": report.equal,
    }
    last_proof = {
        **figures,
        "unproven": report.unproven_tables,
        "differing": report.differing_tables,
        "zero_dates": report.zero_dates,
    }
    earlier_note = read_state(settings.home, STATE) or {}
    proven = figures if report.equal else earlier_note.get("proven")
    _write_note(settings, {**earlier_note, "last": last_proof, "proven": proven})


def note_drift(settings: Settings, drift: DriftReport) -> None:
    """Note for `status` what Hive had other than the manifest; the note of the proof stays.

    It is noted before the rows are compared, since that may fail. A look that finds nothing removes
    the note of what was not repaired before.
    """
    earlier_note = read_state(settings.home, STATE) or {}
    if not drift.drifts:
        if earlier_note.get("drift", {}).get("repair", REPAIRED) != REPAIRED:
            del earlier_note["drift"]
            _write_note(settings, earlier_note)
        return
    drift_note = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "found": [found.text() for found in drift.drifts[:MAX_NOTED_DRIFTS]],
        "count": len(drift.drifts),
        "repair": drift.repair,
    }
    _write_note(settings, {**earlier_note, "drift": drift_note})


def _write_note(settings: Settings, note: dict[str, Any]) -> None:
    replace_file(settings.home / "run" / f"{STATE}.json", json.dumps(note))
