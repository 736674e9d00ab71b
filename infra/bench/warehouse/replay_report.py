"""The results and the report of the replay benchmark."""

from dataclasses import asdict, dataclass, field
from typing import Any

from infra.bench.report.chart import Bars, chart
from infra.bench.report.measurement import Measurement, ratio_text
from infra.bench.report.presentation import Picture, Presentation

NAME = "replay"
PICTURE = "benchmarks-replay.svg"
OURS = "replay"
TYPED = "spark-typed"
BYTES = "spark-bytes"
TITLES = {
    OURS: "Kappa: the table from the archive",
    TYPED: "plain Spark: Kafka, decoded, → Parquet",
    BYTES: "plain Spark: Kafka, bytes, → Parquet",
}
CHART_TITLES = {OURS: "Kappa replay", TYPED: "Spark, decoded", BYTES: "Spark, bytes"}
COLUMNS = [
    "",
    "records/s, each round",
    "wall s",
    "CPU s",
    "records/s",
    "records per CPU s",
    "Kappa ÷ it: records/s",
    "Kappa ÷ it: per CPU s",
    "rows",
]


@dataclass(frozen=True, kw_only=True)
class ReplayRun:
    """One run of an implementation.

    `seconds` and `cpu_seconds` are from the first record asked for to the last file written.
    `rows` is how many rows it left, `expected` how many there must be.
    """

    implementation: str
    round: int
    records: int
    seconds: float
    cpu_seconds: float
    rows: int
    expected: int

    @property
    def per_second(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Records per second of CPU time."""
        return self.records / self.cpu_seconds if self.cpu_seconds else 0.0

    def facts(self) -> dict[str, Any]:
        """Return the run for JSON."""
        facts = asdict(self)
        return {"contestant": facts.pop("implementation"), **facts}


@dataclass(frozen=True, kw_only=True)
class ReplayReport(Measurement):
    """A measurement of replaying `records` changes."""

    records: int
    runs: list[ReplayRun] = field(default_factory=list)

    def best_runs(self) -> dict[str, ReplayRun]:
        """Return the better round of each implementation, by its name."""
        best_runs: dict[str, ReplayRun] = {}
        for run in self.runs:
            best = best_runs.get(run.implementation)
            if best is None or run.per_second > best.per_second:
                best_runs[run.implementation] = run
        return best_runs

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        runs = [run.facts() for run in self.runs]
        return {**super().facts(), "records": self.records, "runs": runs}


def present(report: ReplayReport) -> Presentation:
    """Return the report for people."""
    load = f"{report.records:,} changes of orders"
    return Presentation(
        place=NAME,
        title=load,
        columns=COLUMNS,
        rows=rows(report),
        row_titles=True,
        notes=[],
        introduction=[f"{load}. Each row is the contestant's better round."],
        closing=[],
        picture=_picture(report),
    )


def rows(report: ReplayReport) -> list[list[str]]:
    """Return the rows of the table: the better round of each implementation."""
    best_runs = report.best_runs()
    our_run = best_runs[OURS]
    table_rows = []
    for name, run in best_runs.items():
        own_runs = [other for other in report.runs if other.implementation == name]
        rounds = [f"{own_run.per_second:,.0f}" for own_run in own_runs]
        table_rows.append([TITLES[name], " · ".join(rounds), *_figures(run, our_run)])
    return table_rows


def _figures(run: ReplayRun, our_run: ReplayRun) -> list[str]:
    ratios = ["1", "1"]
    if run is not our_run:
        ratios = [
            _quotient_text(our_run.per_second, run.per_second),
            _quotient_text(our_run.per_cpu_second, run.per_cpu_second),
        ]
    row_count = f"{run.rows:,}"
    if run.rows != run.expected:
        row_count += f" of {run.expected:,}"
    return [
        f"{run.seconds:.1f}",
        f"{run.cpu_seconds:.1f}",
        f"{run.per_second:,.0f}",
        f"{run.per_cpu_second:,.0f}",
        *ratios,
        row_count,
    ]


def _quotient_text(ours: float, theirs: float) -> str:
    return ratio_text(ours / theirs if theirs else None)


def _picture(report: ReplayReport) -> Picture:
    """Return a chart of each implementation's better round."""
    groups = []
    for name, run in report.best_runs().items():
        groups.append(Bars(CHART_TITLES[name], (run.per_cpu_second, run.per_second)))
    series = ("records per CPU second", "records per second")
    return Picture(
        file=PICTURE,
        text="Records per second and per CPU second, by contestant",
        svg=chart(f"Replaying {report.records:,} changes", series, groups),
    )
