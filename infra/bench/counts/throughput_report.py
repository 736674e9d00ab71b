"""The measurement of counting, for people: a table, and its part of the page with its picture."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.bench import pages
from infra.bench.picture import Bars, chart
from infra.bench.results import OURS, Comparison, CountsReport, Run, compare

NAME = "counts"
PICTURE = "benchmarks-counts.svg"
EACH_ROUND = "events/s, each round"
COLUMNS = ["", EACH_ROUND, "wall s", "CPU s", "events/s", "events per CPU s", "Kappa ÷ it: events/s", "Kappa ÷ it: per CPU s", "counts"]
BETTER = (
    "Each row is the contestant's better round (more events per second). `Kappa ÷ it` is what one process of Kappa did in its own better round, "
    "divided by that: above 1 Kappa did more."
)


def cells(comparison: Comparison) -> list[str]:
    """One row of the table."""
    best, rounds = comparison.best, " · ".join(_round(run) for run in comparison.runs)
    if best is None:
        return [comparison.contestant.title, rounds, *["—"] * 6, "failed"]
    figures = [f"{best.seconds:.1f}", f"{best.cpu_seconds:.1f}", f"{best.per_second:,.0f}", f"{best.per_cpu_second:,.0f}"]
    ratios = [_ratio(comparison.ours_per_second), _ratio(comparison.ours_per_cpu_second)]
    return [comparison.contestant.title, rounds, *figures, *(["1", "1"] if comparison.contestant.name == OURS else ratios), verdict(comparison.runs)]


def verdict(runs: tuple[Run, ...]) -> str:
    """Whether the counts were right in every round, or how many events they had in the one that was furthest off."""
    done = [run for run in runs if run.result is not None]
    worst = max(done, key=lambda run: abs((run.result or 0) - run.events))
    return "exact" if worst.exact else f"{worst.result:,} of {worst.events:,}"


def show(report: CountsReport, console: Console) -> None:
    """Prints the table and what went wrong."""
    table = Table(title=f"{report.events:,} product views, 4 partitions; first event consumed to last one counted", title_justify="left")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for comparison in compare(report.runs):
        table.add_row(*cells(comparison))
    console.print(table)
    console.print(BETTER.replace("`", ""))
    for run in report.runs:
        if run.failure:
            console.print(f"round {run.round}, {run.contestant}: {run.failure}", markup=False)


def markdown(report: CountsReport) -> str:
    """The report's part of the page."""
    comparisons = compare(report.runs)
    does = "\n".join(f"- **{found.contestant.title}**: {found.contestant.does}." for found in comparisons)
    return "\n\n".join(
        [
            pages.circumstances(report.machine, report.versions, report.at),
            f"{report.events:,} product views. {BETTER}",
            f"![Events per second and per CPU second, by contestant]({PICTURE})",
            pages.table(COLUMNS, [cells(comparison) for comparison in comparisons]),
            f"What each does with an event:\n\n{does}",
        ]
    )


def picture(report: CountsReport) -> str:
    """The picture: each contestant's better round."""
    groups = [Bars(found.contestant.title, (found.best.per_cpu_second, found.best.per_second)) for found in compare(report.runs) if found.best]
    return chart(f"Counting {report.events:,} product views", ("events per CPU second", "events per second"), groups)


def write(report: CountsReport, folder: Path) -> None:
    """Writes the report's part of the page, and its picture. Raises KappaError if the page has no place for it."""
    pages.write(folder, NAME, markdown(report))
    (folder / PICTURE).write_text(picture(report))


def _round(run: Run) -> str:
    return "failed" if run.failure else f"{run.per_second:,.0f}"


def _ratio(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f} ×" if value < 10 else f"{value:.0f} ×"
