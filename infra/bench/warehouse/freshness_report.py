"""The measurement of the warehouse's freshness, for people: a table, and its part of the page with its picture."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.bench import pages
from infra.bench.freshness import MEASURED_SECONDS, FreshnessReport, Rate
from infra.bench.picture import Bars, chart

NAME = "freshness"
PICTURE = "benchmarks-freshness.svg"
BUSY = 3  # tasks per core that a measurement alone on the machine does not come to
COLUMNS = ["changes/s asked", "reached", "transactions", "versions", "topic p50", "topic p95", "Hive p50", "Hive p95", "longest"]


def cells(found: Rate) -> list[str]:
    """One row of the table."""
    transactions = f"{found.transactions:,}" + (f" and {found.lost} never shown" if found.lost else "")
    topic = [f"{value * 1000:.0f} ms" for value in (found.topic_p50, found.topic_p95)]
    hive = [f"{value:.1f} s" for value in (found.hive_p50, found.hive_p95, found.hive_most)]
    return [f"{found.rate:,}", f"{found.reached:,}", transactions, str(found.versions), *topic, *hive]


def what(report: FreshnessReport) -> str:
    """What the figures are."""
    return (
        f"From the sending of a statement to MySQL until all of its transaction is in the topic, and readable in Hive; {MEASURED_SECONDS:.0f} s at "
        f"each rate. A version is begun every {report.interval:g} s (`spark.interval_seconds`): half of that is waiting on average."
    )


def remarks(report: FreshnessReport) -> list[str]:
    """What must be said beside the table."""
    controls, wrong = sum(found.controls for found in report.rates), sum(found.wrong for found in report.rates)
    said = [f"{controls} queries asked HiveServer2 for a row of a version just shown; {controls - wrong} gave it."]
    if report.load > BUSY * int(report.machine["cores"]):
        said.append(f"Other work ran on the machine: its load average was {report.load:.0f} on {report.machine['cores']} cores.")
    said += [f"At {found.rate:,}/s MySQL took only {found.reached:,}/s." for found in report.rates if found.reached < 0.97 * found.rate]
    return said


def show(report: FreshnessReport, console: Console) -> None:
    """Prints the table."""
    table = Table(title=what(report).replace("`", ""), title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right", overflow="fold")
    for found in report.rates:
        table.add_row(*cells(found))
    console.print(table)
    for remark in remarks(report):
        console.print(remark, markup=False)


def markdown(report: FreshnessReport) -> str:
    """The report's part of the page."""
    rows = [cells(found) for found in report.rates]
    picture = f"![Seconds until the topic and until Hive, by rate]({PICTURE})"
    about = pages.circumstances(report.machine, report.versions, report.at)
    return "\n\n".join([about, what(report), picture, pages.table(COLUMNS, rows), " ".join(remarks(report))])


def picture(report: FreshnessReport) -> str:
    """The picture: the median and the 95th percentile of each rate."""
    groups = []
    for found in report.rates:
        groups.append(Bars(f"{found.rate:,}/s, p50", (found.topic_p50, found.hive_p50)))
        groups.append(Bars(f"{found.rate:,}/s, p95", (found.topic_p95, found.hive_p95)))
    return chart("Seconds from MySQL", ("in the topic", "readable in Hive"), groups)


def write(report: FreshnessReport, folder: Path) -> None:
    """Writes the report's part of the page, and its picture. Raises KappaError if the page has no place for it."""
    pages.write(folder, NAME, markdown(report))
    (folder / PICTURE).write_text(picture(report))
