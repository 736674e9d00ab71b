"""The measurement of replays, for people: a table, and its part of the page with its picture."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.bench import pages
from infra.bench.picture import Bars, chart
from infra.bench.replay import OURS, TITLES, ReplayReport

NAME = "replay"
PICTURE = "benchmarks-replay.svg"
COLUMNS = ["", "records/s, each round", "wall s", "CPU s", "records/s", "records per CPU s", "Kappa ÷ it: records/s", "Kappa ÷ it: per CPU s", "rows"]


def rows(report: ReplayReport) -> list[list[str]]:
    """The table's rows: each contestant's better round."""
    best = report.best()
    ours, found = best[OURS], []
    for name, run in best.items():
        each = " · ".join(f"{one.per_second:,.0f}" for one in report.runs if one.contestant == name)
        ratios = ["1", "1"] if name == OURS else [_ratio(ours.per_second, run.per_second), _ratio(ours.per_cpu_second, run.per_cpu_second)]
        right = f"{run.rows:,}" if run.rows == run.expected else f"{run.rows:,} of {run.expected:,}"
        figures = [f"{run.seconds:.1f}", f"{run.cpu_seconds:.1f}", f"{run.per_second:,.0f}", f"{run.per_cpu_second:,.0f}"]
        found.append([TITLES[name], each, *figures, *ratios, right])
    return found


def show(report: ReplayReport, console: Console) -> None:
    """Prints the table."""
    table = Table(title=f"{report.records:,} changes of orders", title_justify="left")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows(report):
        table.add_row(*row)
    console.print(table)


def markdown(report: ReplayReport) -> str:
    """The report's part of the page."""
    return "\n\n".join(
        [
            pages.circumstances(report.machine, report.versions, report.at),
            f"{report.records:,} changes of orders. Each row is the contestant's better round.",
            f"![Records per second and per CPU second, by contestant]({PICTURE})",
            pages.table(COLUMNS, rows(report)),
        ]
    )


def picture(report: ReplayReport) -> str:
    """The picture: each contestant's better round."""
    short = {
        name: title.replace("plain Spark: Kafka, ", "Spark, ").replace("Kappa: the table from the archive", "Kappa replay")
        for name, title in TITLES.items()
    }
    groups = [Bars(short[name].replace(", → Parquet", ""), (run.per_cpu_second, run.per_second)) for name, run in report.best().items()]
    return chart(f"Replaying {report.records:,} changes", ("records per CPU second", "records per second"), groups)


def write(report: ReplayReport, folder: Path) -> None:
    """Writes the report's part of the page, and its picture. Raises KappaError if the page has no place for it."""
    pages.write(folder, NAME, markdown(report))
    (folder / PICTURE).write_text(picture(report))


def _ratio(ours: float, other: float) -> str:
    return f"{ours / other:.2f} ×" if other else "—"
