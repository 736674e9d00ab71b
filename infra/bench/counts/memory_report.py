"""The measurement of memory, for people: a table, and its part of the page."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.bench import pages
from infra.bench.memory import Held, MemoryReport

NAME = "memory"
COLUMNS = ["products", "clicks", "s", "largest memory", "counting again after kill -9", "largest memory then", "counts"]
WHAT = "Resident memory of one worker while every click is on another product than those before it, so that each needs rows of its own."


def cells(held: Held) -> list[str]:
    """One row of the table."""
    sizes = [f"{held.products:,}", f"{held.events:,}", f"{held.seconds:.1f}", f"{held.peak_mb:.0f} MB"]
    return [*sizes, f"{held.again_seconds:.1f} s", f"{held.again_peak_mb:.0f} MB", f"{held.lost:,} lost" if held.lost else "exact"]


def remark(report: MemoryReport) -> str:
    """What bounds it."""
    return (
        f"A worker keeps at most {report.rows_kept:,} rows in memory (`counts.rows_kept`); what Cassandra holds of the products is not in the figure."
    )


def show(report: MemoryReport, console: Console) -> None:
    """Prints the table."""
    table = Table(title=WHAT, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right", overflow="fold")
    for held in report.held:
        table.add_row(*cells(held))
    console.print(table)
    console.print(remark(report).replace("`", ""), markup=False)


def markdown(report: MemoryReport) -> str:
    """The report's part of the page."""
    rows = [cells(held) for held in report.held]
    return "\n\n".join([pages.circumstances(report.machine, report.versions, report.at), WHAT, pages.table(COLUMNS, rows), remark(report)])


def write(report: MemoryReport, folder: Path) -> None:
    """Writes the report's part of the page. Raises KappaError if the page has no place for it."""
    pages.write(folder, NAME, markdown(report))
