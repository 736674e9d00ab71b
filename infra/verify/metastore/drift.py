"""A difference between what Hive reads and what the manifest says: one record, one sentence."""

from dataclasses import dataclass
from typing import Any, Literal

DriftKind = Literal[
    "missing table",
    "table type",
    "partition column",
    "columns",
    "location",
    "format",
    "property",
    "missing partition",
    "extra partition",
    "extra file",
    "damaged files",
]

REPAIRED = "repaired"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A difference. `table` is `database.table`; `place` the partition, property or path, if any.

    `folder` is the folder in HDFS in which files of others may be. `mysql_table` is the table to
    read again in MySQL, for damaged files of a table that comes from there.
    """

    table: str
    what: DriftKind
    place: str = ""
    expected: str = ""
    found: str = ""
    folder: str = ""
    mysql_table: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """The values that distinguish a drift from others; each look sees the same ones."""
        return self.table, self.what, self.place

    def text(self) -> str:
        """Return the drift as one sentence."""
        subject = f"{self.table} {self.place}".rstrip()
        match self.what:
            case "missing table" | "missing partition":
                return f"{subject} is missing in Hive"
            case "extra partition":
                return f"{subject} is a partition in Hive ({self.found}) and in no version"
            case "extra file":
                return f"{self.table}: no version names {self.place} ({self.found})"
            case "damaged files":
                return f"{subject}: {self.found}, and the manifest states {self.expected}"
            case "location":
                return f"{subject} is read from {self.found} instead of {self.expected}"
            case "property":
                change = f"{self.place} = {self.found or 'nothing'}"
                return f"{self.table} has {change} instead of {self.expected}"
            case "columns":
                return f"{subject} has other columns in Hive: {self.found}"
        return f"{subject} has the {self.what} {self.found} instead of {self.expected}"

    def data(self) -> dict[str, str]:
        """Return the drift for JSON."""
        return {
            "table": self.table,
            "what": self.what,
            "place": self.place,
            "expected": self.expected,
            "found": self.found,
        }


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """The drifts that a look found, and the result of their repair.

    `repair` is REPAIRED or other words for people; empty if there was nothing to repair.
    """

    drifts: tuple[Drift, ...] = ()
    repair: str = ""

    def data(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {"drifts": [drift.data() for drift in self.drifts], "repair": self.repair}


NO_DRIFT = DriftReport()
