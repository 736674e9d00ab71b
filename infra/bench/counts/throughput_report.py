"""The report of the counting benchmark, with a chart of each implementation's better round."""

from infra.bench.counts.throughput_results import (
    OURS,
    Comparison,
    Run,
    ThroughputReport,
    compare,
)
from infra.bench.report.chart import Bars, chart
from infra.bench.report.measurement import ratio_text
from infra.bench.report.presentation import Picture, Presentation, descriptions

NAME = "counts"
PICTURE = "benchmarks-counts.svg"
COLUMNS = [
    "",
    "events/s, each round",
    "wall s",
    "CPU s",
    "events/s",
    "events per CPU s",
    "Kappa ÷ it: events/s",
    "Kappa ÷ it: per CPU s",
    "counts",
]
BETTER = (
    "Each row is the contestant's better round (more events per second). `Kappa ÷ it` is what "
    "one process of Kappa did in its own better round, "
    "divided by that: above 1 Kappa did more."
)


def present(report: ThroughputReport) -> Presentation:
    """Return the report for people."""
    comparisons = compare(report.runs)
    implementations = [comparison.implementation for comparison in comparisons]
    load = f"{report.events:,} product views"
    return Presentation(
        place=NAME,
        title=f"{load}, 4 partitions; first event consumed to last one counted",
        columns=COLUMNS,
        rows=[cells(comparison) for comparison in comparisons],
        row_titles=True,
        notes=[BETTER, *_failures(report)],
        introduction=[f"{load}. {BETTER}"],
        closing=[descriptions("What each does with an event:", implementations)],
        picture=_picture(report.events, comparisons),
    )


def cells(comparison: Comparison) -> list[str]:
    """Return one row of the table."""
    title = comparison.implementation.title
    rounds = " · ".join(_round_text(run) for run in comparison.runs)
    best = comparison.best
    if best is None:
        return [title, rounds, *["—"] * 6, "failed"]
    is_ours = comparison.implementation.name == OURS
    ratios = ["1", "1"]
    if not is_ours:
        ratios = [
            ratio_text(comparison.ours_per_second),
            ratio_text(comparison.ours_per_cpu_second),
        ]
    return [
        title,
        rounds,
        f"{best.seconds:.1f}",
        f"{best.cpu_seconds:.1f}",
        f"{best.per_second:,.0f}",
        f"{best.per_cpu_second:,.0f}",
        *ratios,
        verdict(comparison.runs),
    ]


def verdict(runs: tuple[Run, ...]) -> str:
    """Return whether the counts were exact in every round, else those furthest from it."""
    worst = None
    largest_error = 0
    for run in runs:
        if run.result is not None:
            error = abs(run.result - run.events)
            if worst is None or error > largest_error:
                worst = run
                largest_error = error
    if worst is None or worst.exact:
        return "exact"
    return f"{worst.result:,} of {worst.events:,}"


def _failures(report: ThroughputReport) -> list[str]:
    failures = []
    for run in report.runs:
        if run.failure:
            failures.append(f"round {run.round}, {run.implementation}: {run.failure}")
    return failures


def _picture(events: int, comparisons: list[Comparison]) -> Picture:
    groups = []
    for comparison in comparisons:
        best = comparison.best
        if best is not None:
            values = (best.per_cpu_second, best.per_second)
            groups.append(Bars(comparison.implementation.title, values))
    series = ("events per CPU second", "events per second")
    return Picture(
        file=PICTURE,
        text="Events per second and per CPU second, by contestant",
        svg=chart(f"Counting {events:,} product views", series, groups),
    )


def _round_text(run: Run) -> str:
    return "failed" if run.failure else f"{run.per_second:,.0f}"
