"""The measurement of compaction, for people: a table, and its part of the page with its picture."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.bench import pages
from infra.bench.compact_results import MERGERS, OURS, USUAL_ROWS, CompactReport, Merged, Merger
from infra.bench.picture import Bars, chart

NAME = "compact"
PICTURE = "benchmarks-compact.svg"
READS = ["full scan s", "files", "of them deletes"]


def columns(report: CompactReport) -> list[str]:
    """The table's head."""
    seconds = [f"{days} {'day' if days == 1 else 'days'}: s, each round" for days in report.batches]
    ratios = [f"{days}: × ours" for days in report.batches]
    return ["", *seconds, *ratios, *[f"{days}: MB" for days in report.batches], *READS]


def cells(report: CompactReport, merger: Merger) -> list[str]:
    """One row of the table."""
    rounds = [" · ".join(f"{merged.seconds:.2f}" for merged in report.of(merger.name, days)) or "failed" for days in report.batches]
    ratios = ["1" if merger.name == OURS else _ratio(report.ratio(merger.name, days)) for days in report.batches]
    written = [f"{best.bytes / 1e6:.1f}" if (best := report.best(merger.name, days)) else "—" for days in report.batches]
    scan = report.scan(merger.name)
    read = [f"{scan.seconds:.2f}", str(scan.files), str(scan.delete_files)] if scan else ["—"] * 3
    return [merger.title, *rounds, *ratios, *written, *read]


def summary(report: CompactReport) -> str:
    """What was merged, and whether all came to the same."""
    kind = "updates" if report.updates_only else "changes"
    same = "All tables held the same rows in the end." if report.same else "**The tables did not hold the same rows in the end.**"
    return (
        f"{report.rows:,} orders in days of 100,000; batches of {report.changes:,} {kind} spread evenly over the last "
        f"{', '.join(str(days) for days in report.batches)} days. × ours: the better round divided by ours, above 1 it took longer. {same}"
    )


def show(report: CompactReport, console: Console) -> None:
    """Prints the table and what went wrong."""
    table = Table(title="Seconds from the changes to the committed version", title_justify="left")
    for number, name in enumerate(columns(report)):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for merger in _present(report):
        table.add_row(*cells(report, merger))
    console.print(table)
    console.print(summary(report).replace("*", ""))
    for merged in _failures(report):
        console.print(f"{merged.name}: {merged.failure}", markup=False)


def markdown(report: CompactReport) -> str:
    """The report's part of the page."""
    present = _present(report)
    failures = [f"{merged.name} failed: {merged.failure}" for merged in _failures(report)]
    does = "\n".join(f"- **{merger.title}**: {merger.does}." for merger in present)
    return "\n\n".join(
        [
            pages.circumstances(report.machine, report.versions, report.at),
            summary(report),
            *failures,
            *([f"![Seconds of a merge, by who merges]({PICTURE})"] if place(report.rows, report.updates_only) == NAME else []),
            pages.table(columns(report), [cells(report, merger) for merger in present]),
            f"What each does with a batch:\n\n{does}",
        ]
    )


def picture(report: CompactReport) -> str:
    """The picture: everybody's better round with the smallest batch of days and with the largest."""
    few, many = report.batches[0], report.batches[-1]
    best = [(merger.title, report.best(merger.name, few), report.best(merger.name, many)) for merger in _present(report)]
    groups = [Bars(title, (one.seconds, other.seconds)) for title, one, other in best if one and other]
    return chart(f"Merging {report.changes:,} changes into {report.rows:,} orders: seconds", (f"{few} day changed", f"{many} days changed"), groups)


def write(report: CompactReport, folder: Path) -> None:
    """Writes the report's part of the page, and the picture of the usual size. Raises KappaError if the page has no place for it."""
    pages.write(folder, place(report.rows, report.updates_only), markdown(report))
    if place(report.rows, report.updates_only) == NAME:
        (folder / PICTURE).write_text(picture(report))


def place(rows: int, updates_only: bool) -> str:
    """The name of a report's place on the page: other sizes and batches than the usual ones have their own."""
    return f"{NAME}{'' if rows == USUAL_ROWS else f' --rows {rows}'}{' --updates-only' if updates_only else ''}"


def require_place(rows: int, updates_only: bool, folder: Path) -> None:
    """Raises KappaError if the page has no place for a report."""
    pages.filled((folder / pages.PAGE).read_text(), place(rows, updates_only), "")


def _present(report: CompactReport) -> list[Merger]:
    return [merger for merger in MERGERS if any(merged.name == merger.name for merged in report.merges)]


def _failures(report: CompactReport) -> list[Merged]:
    return [merged for merged in report.merges if merged.failure]


def _ratio(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f} ×" if value < 10 else f"{value:.0f} ×"
