"""The results and the report of the memory benchmark."""

from dataclasses import asdict, dataclass, field
from typing import Any

from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Presentation

NAME = "memory"
COLUMNS = [
    "products",
    "clicks",
    "s",
    "largest memory",
    "counting again after kill -9",
    "largest memory then",
    "counts",
]
TITLE = (
    "Resident memory of one worker while every click is on another product than those before "
    "it, so that each needs rows of its own."
)


@dataclass(frozen=True, kw_only=True)
class MemoryRun:
    """A worker's largest resident memory, and its seconds, for clicks on so many products.

    After that it is killed. `again_seconds` is from the start of the next process to its first
    acknowledged write of newly counted clicks; `lost` is how many clicks the rows then lack, once
    all are counted.
    """

    products: int
    events: int
    seconds: float
    peak_mb: float
    again_seconds: float
    again_peak_mb: float
    lost: int

    def summary(self) -> str:
        """Return the run in one line."""
        exact = f"{self.lost:,} clicks lost" if self.lost else "exact"
        return (
            f"{self.events:,} clicks on {self.products:,} products: "
            f"at most {self.peak_mb:.0f} MB; "
            f"counting again {self.again_seconds:.1f} s after kill -9, "
            f"at most {self.again_peak_mb:.0f} MB; {exact}"
        )


@dataclass(frozen=True, kw_only=True)
class MemoryReport(Measurement):
    """A measurement of memory; `rows_kept` is the setting that bounds the rows in memory."""

    rows_kept: int
    runs: list[MemoryRun] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            **super().facts(),
            "rows_kept": self.rows_kept,
            "held": [asdict(run) for run in self.runs],
        }


def present(report: MemoryReport) -> Presentation:
    """Return the report for people."""
    bound = (
        f"A worker keeps at most {report.rows_kept:,} rows in memory (`counts.rows_kept`); "
        "what Cassandra holds of the products is not in the figure."
    )
    return Presentation(
        place=NAME,
        title=TITLE,
        columns=COLUMNS,
        rows=[cells(run) for run in report.runs],
        notes=[bound],
        introduction=[TITLE],
        closing=[bound],
    )


def cells(run: MemoryRun) -> list[str]:
    """Return one row of the table."""
    return [
        f"{run.products:,}",
        f"{run.events:,}",
        f"{run.seconds:.1f}",
        f"{run.peak_mb:.0f} MB",
        f"{run.again_seconds:.1f} s",
        f"{run.again_peak_mb:.0f} MB",
        f"{run.lost:,} lost" if run.lost else "exact",
    ]
