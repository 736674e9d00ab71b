"""The measurement of freshness, for people: a table, and its part of the page."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.bench import pages
from infra.bench.latency import RUN_IN_SECONDS, SHARE, Freshness, LatencyReport

NAME = "latency"
COLUMNS = ["clicks/s asked", "reached", "probes", "p50", "p95", "p99", "longest", "cores: worker · producer · prober"]
BEHIND_SECONDS = 6.0  # of clicks that may be uncommitted: offsets follow the other rows, which begin every two seconds and take over one
WHAT = "Milliseconds from handing a click to the Kafka client until Cassandra answers with its row; one worker process, run in; 20 s at each rate."


def cells(found: Freshness) -> list[str]:
    """One row of the table."""
    probes = f"{found.probes}" + (f" and {found.lost} never seen" if found.lost else "")
    times = [f"{value:.0f} ms" for value in (found.p50, found.p95, found.p99, found.most)]
    cores = " · ".join(f"{found.cpu[name]:.2f}" for name in ("worker", "producer", "prober"))
    return [f"{found.rate:,.0f}", f"{found.reached:,.0f}", probes, *times, cores]


def rows(report: LatencyReport) -> list[list[str]]:
    """The table's rows: the running in, the rates, and beside a replay."""
    found = [cells(one) for one in report.measured]
    if report.run_in is not None:
        found[0][0] += f", the first {RUN_IN_SECONDS:.0f} s"
    if report.replay is not None:
        found[-1][0] += f", and {report.replay.events:,} clicks replayed"
    return found


def remarks(report: LatencyReport) -> list[str]:
    """What must be said beside the table."""
    said = [
        f"The last rate is {SHARE:.0%} of the {report.most:,.0f} events/s that one worker did in `bench counts`, when nothing produced beside it."
    ]
    if report.replay is not None:
        rate = report.replay.per_second
        said.append(
            f"A replay of {report.replay.events:,} clicks beside live counting took {report.replay.seconds:.1f} s, {rate:,.0f} clicks/s: "
            f"{rate / report.most:.0%} of what one worker does alone."
        )
    for found in report.rates:
        if found.reached < 0.97 * found.rate:
            said.append(f"At {found.rate:,.0f}/s the machine produced only {found.reached:,.0f}/s beside everything else.")
        if found.behind > BEHIND_SECONDS * found.reached:
            said.append(f"At {found.rate:,.0f}/s {found.behind:,} clicks were not committed at the end: the worker did not keep up.")
    return said


def show(report: LatencyReport, console: Console) -> None:
    """Prints the table."""
    table = Table(title=WHAT, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows(report):
        table.add_row(*row)
    console.print(table)
    for remark in remarks(report):
        console.print(remark.replace("`", ""), markup=False)


def markdown(report: LatencyReport) -> str:
    """The report's part of the page."""
    return "\n\n".join(
        [pages.circumstances(report.machine, report.versions, report.at), WHAT, pages.table(COLUMNS, rows(report)), " ".join(remarks(report))]
    )


def write(report: LatencyReport, folder: Path) -> None:
    """Writes the report's part of the page. Raises KappaError if the page has no place for it."""
    pages.write(folder, NAME, markdown(report))
