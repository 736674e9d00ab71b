"""The results and the report of the scaling benchmark."""

from dataclasses import asdict, dataclass, field
from typing import Any

from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Presentation

NAME = "scale"
COLUMNS = [
    "workers",
    "events/s",
    "× one worker",
    "of the ideal",
    "cores",
    "events per CPU s",
    "measured s",
    "counts",
]


@dataclass(frozen=True, kw_only=True)
class WorkerGroup:
    """The work of so many workers while all of them had something to count.

    `events` in `seconds`, for `cpu_seconds` of all of them together; `counted` is the sum of the
    rows at the end, for a load of `load` events.
    """

    workers: int
    events: int
    seconds: float
    cpu_seconds: float
    counted: int
    load: int

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def cores(self) -> float:
        """How many cores they used."""
        return self.cpu_seconds / self.seconds

    @property
    def exact(self) -> bool:
        """Whether every event of the load is in the rows once."""
        return self.counted == self.load

    def summary(self) -> str:
        """Return the figures in one line."""
        exact = "exact" if self.exact else f"counts {self.counted:,} of {self.load:,}"
        return (
            f"{workers_text(self.workers)}: {self.per_second:,.0f} events/s, "
            f"{self.cores:.2f} cores, {self.seconds:.1f} s measured, {exact}"
        )

    def facts(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            **asdict(self),
            "events_per_second": round(self.per_second),
            "cores": round(self.cores, 2),
            "exact": self.exact,
        }


@dataclass(frozen=True, kw_only=True)
class ScalingReport(Measurement):
    """A measurement of scaling; each worker had `share` of a core."""

    share: float
    groups: list[WorkerGroup] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        groups = [group.facts() for group in self.groups]
        return {**super().facts(), "share": self.share, "groups": groups}


def present(report: ScalingReport) -> Presentation:
    """Return the report for people."""
    events = report.groups[0].load if report.groups else 0
    title = (
        f"{events:,} product views in 4 partitions; every worker held to {report.share:.0%} "
        "of a core."
    )
    return Presentation(
        place=NAME,
        title=title,
        columns=COLUMNS,
        rows=[cells(group, report.groups[0]) for group in report.groups],
        notes=[],
        introduction=[title],
        closing=[],
    )


def cells(group: WorkerGroup, single_worker: WorkerGroup) -> list[str]:
    """Return one row of the table, compared with the group of one worker."""
    speedup = group.per_second / single_worker.per_second
    return [
        str(group.workers),
        f"{group.per_second:,.0f}",
        f"{speedup:.2f} ×",
        f"{speedup / group.workers:.0%}",
        f"{group.cores:.2f}",
        f"{group.events / group.cpu_seconds:,.0f}",
        f"{group.seconds:.1f}",
        "exact" if group.exact else f"{group.counted:,} of {group.load:,}",
    ]


def workers_text(number: int) -> str:
    """Return a number of workers in words."""
    return "1 worker" if number == 1 else f"{number} workers"
