"""The measurement of scaling, for people: a table, and its part of the page."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.bench import pages
from infra.bench.scale import Group, ScaleReport

NAME = "scale"
COLUMNS = ["workers", "events/s", "× one worker", "of the ideal", "cores", "events per CPU s", "measured s", "counts"]


def what(report: ScaleReport) -> str:
    """What was done."""
    events = report.groups[0].load if report.groups else 0
    return f"{events:,} product views in 4 partitions; every worker held to {report.share:.0%} of a core."


def cells(group: Group, one: Group) -> list[str]:
    """One row of the table; `one` is the first."""
    times = group.per_second / one.per_second
    speed = [f"{group.per_second:,.0f}", f"{times:.2f} ×", f"{times / group.workers:.0%}"]
    cost = [f"{group.cores:.2f}", f"{group.events / group.cpu_seconds:,.0f}", f"{group.seconds:.1f}"]
    return [str(group.workers), *speed, *cost, "exact" if group.exact else f"{group.counted:,} of {group.load:,}"]


def rows(report: ScaleReport) -> list[list[str]]:
    """All rows of the table."""
    return [cells(group, report.groups[0]) for group in report.groups]


def show(report: ScaleReport, console: Console) -> None:
    """Prints the table."""
    table = Table(title=what(report), title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows(report):
        table.add_row(*row)
    console.print(table)


def markdown(report: ScaleReport) -> str:
    """The report's part of the page."""
    return "\n\n".join([pages.circumstances(report.machine, report.versions, report.at), what(report), pages.table(COLUMNS, rows(report))])


def write(report: ScaleReport, folder: Path) -> None:
    """Writes the report's part of the page. Raises KappaError if the page has no place for it."""
    pages.write(folder, NAME, markdown(report))
