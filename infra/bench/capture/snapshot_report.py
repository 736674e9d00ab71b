"""The results and the report of the snapshot benchmark."""

from dataclasses import asdict, dataclass, field
from typing import Any

from infra.bench.capture.process_usage import Usage
from infra.bench.report.measurement import Measurement, ratio_text
from infra.bench.report.presentation import Presentation

NAME = "snapshot"
ONE_TABLE = "one table"
COLUMNS = [
    "",
    "rows",
    "s until readable",
    "rows/s",
    "MySQL alone: rows/s",
    "of that",
    "rows per CPU s",
    "Debezium's snapshot: rows/s",
    "Kappa ÷ it",
    "rows in Hive",
]


@dataclass(frozen=True, kw_only=True)
class TableSet:
    """Tables that are read together; `with_peer`: by Debezium too."""

    title: str
    tables: int
    rows_per_table: int
    with_peer: bool = False

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return self.tables * self.rows_per_table

    @property
    def description(self) -> str:
        """The tables in words."""
        if self.tables == 1:
            return f"{self.title} of {self.rows:,} rows"
        return f"{self.tables:,} tables of {self.rows_per_table:,} rows"


@dataclass(frozen=True, kw_only=True)
class SnapshotRun:
    """How a set of tables was read.

    `seconds` are from the request until Hive shows all tables; `limit_seconds` those of MySQL
    alone, the better of two; `peer_seconds` those of Debezium. `count_seconds` is how long Hive
    counted afterwards, `counted_rows` what it counted. `usage` is by group of processes.
    """

    tables: TableSet
    seconds: float
    limit_seconds: float
    counted_rows: int
    count_seconds: float
    usage: dict[str, Usage] = field(default_factory=dict)
    peer_seconds: float | None = None

    @property
    def per_second(self) -> float:
        """Rows per second, until they are readable."""
        return self.tables.rows / self.seconds

    @property
    def limit_per_second(self) -> float:
        """Rows per second of MySQL alone."""
        return self.tables.rows / self.limit_seconds

    @property
    def peer_per_second(self) -> float | None:
        """Rows per second of Debezium."""
        return self.tables.rows / self.peer_seconds if self.peer_seconds else None

    @property
    def per_cpu_second(self) -> float | None:
        """Rows per CPU second of the compactor and its reader."""
        cpu_seconds = self.usage.get("compactor", Usage()).cpu_seconds
        return self.tables.rows / cpu_seconds if cpu_seconds else None

    def summary(self) -> str:
        """Return the figures in one line."""
        peer = f", Debezium {self.peer_per_second:,.0f}" if self.peer_per_second else ""
        return (
            f"readable after {self.seconds:.1f} s, {self.per_second:,.0f} rows/s "
            f"(MySQL alone {self.limit_per_second:,.0f}{peer})"
        )

    def facts(self) -> dict[str, Any]:
        """Return the run for JSON."""
        facts = asdict(self)
        table_facts = facts.pop("tables")
        return {
            "tables": table_facts["tables"],
            "rows_per_table": table_facts["rows_per_table"],
            "rows_per_second": round(self.per_second),
            **facts,
        }


@dataclass(frozen=True, kw_only=True)
class SnapshotReport(Measurement):
    """A measurement of snapshots. `interval_seconds` is how often a version is begun."""

    interval_seconds: float
    readers: int
    runs: list[SnapshotRun] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether Hive counted other rows than MySQL has."""
        return any(run.counted_rows != run.tables.rows for run in self.runs)

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            **super().facts(),
            "interval": self.interval_seconds,
            "readers": self.readers,
            "runs": [run.facts() for run in self.runs],
        }


def present(report: SnapshotReport) -> Presentation:
    """Return the report for people."""
    title = "From the request to read tables of MySQL until Hive shows all their rows."
    notes = remarks(report)
    return Presentation(
        place=NAME,
        title=title,
        columns=COLUMNS,
        rows=[cells(run) for run in report.runs],
        row_titles=True,
        notes=notes,
        introduction=[title],
        closing=[" ".join(notes)],
    )


def cells(run: SnapshotRun) -> list[str]:
    """Return one row of the table."""
    counted_rows = f"{run.counted_rows:,}"
    if run.counted_rows != run.tables.rows:
        counted_rows += f" of {run.tables.rows:,}"
    peer = run.peer_per_second
    return [
        run.tables.description,
        f"{run.tables.rows:,}",
        f"{run.seconds:.1f}",
        f"{run.per_second:,.0f}",
        f"{run.limit_per_second:,.0f}",
        f"{run.per_second / run.limit_per_second:.0%}",
        f"{run.per_cpu_second:,.0f}" if run.per_cpu_second else "—",
        f"{peer:,.0f}" if peer else "—",
        ratio_text(run.per_second / peer if peer else None),
        counted_rows,
    ]


def remarks(report: SnapshotReport) -> list[str]:
    """Return the sentences below the table."""
    sentences = [
        f"A version is begun every {report.interval_seconds:g} s, and at most "
        f"{report.readers} tables are read side by side."
    ]
    for run in report.runs:
        used = ", ".join(
            f"{group} {usage.cpu_seconds:.1f}"
            for group, usage in run.usage.items()
            if usage.cpu_seconds >= 0.05
        )
        sentences.append(
            f"CPU seconds with {run.tables.description}: {used}; Hive then counted for "
            f"{run.count_seconds:.1f} s."
        )
    return sentences
