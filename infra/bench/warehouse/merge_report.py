"""The report of the compaction benchmark, with a chart of the usual size."""

from pathlib import Path

from infra.bench.report import pages
from infra.bench.report.chart import Bars, chart
from infra.bench.report.measurement import Implementation, ratio_text
from infra.bench.report.presentation import Picture, Presentation, descriptions
from infra.bench.warehouse.merge_results import OURS, USUAL_ROWS, MergeReport

NAME = "compact"
PICTURE = "benchmarks-compact.svg"
SCAN_COLUMNS = ["full scan s", "files", "of them deletes"]


def present(report: MergeReport) -> Presentation:
    """Return the report for people. Only that of the usual size and batches has a chart."""
    implementations = report.implementations
    place = place_name(report.rows, report.updates_only)
    failures = [f"{merge.name}: {merge.failure}" for merge in report.failures]
    page_failures = [f"{merge.name} failed: {merge.failure}" for merge in report.failures]
    return Presentation(
        place=place,
        title="Seconds from the changes to the committed version",
        columns=columns(report),
        rows=[cells(report, implementation) for implementation in implementations],
        row_titles=True,
        notes=[summary(report), *failures],
        introduction=[summary(report), *page_failures],
        closing=[descriptions("What each does with a batch:", implementations)],
        picture=_picture(report) if place == NAME else None,
    )


def columns(report: MergeReport) -> list[str]:
    """Return the head of the table."""
    batches = report.batches
    seconds = [f"{_days_text(days)}: s, each round" for days in batches]
    ratios = [f"{days}: × ours" for days in batches]
    megabytes = [f"{days}: MB" for days in batches]
    return ["", *seconds, *ratios, *megabytes, *SCAN_COLUMNS]


def cells(report: MergeReport, implementation: Implementation) -> list[str]:
    """Return one row of the table."""
    name = implementation.name
    rounds = [_rounds_text(report, name, days) for days in report.batches]
    ratios = [_ratio_text(report, name, days) for days in report.batches]
    megabytes = [_megabytes_text(report, name, days) for days in report.batches]
    scan = report.scan(name)
    scan_cells = ["—"] * len(SCAN_COLUMNS)
    if scan is not None:
        scan_cells = [f"{scan.seconds:.2f}", str(scan.files), str(scan.delete_files)]
    return [implementation.title, *rounds, *ratios, *megabytes, *scan_cells]


def summary(report: MergeReport) -> str:
    """Return what was merged, and whether all tables have the same rows."""
    kind = "updates" if report.updates_only else "changes"
    batches = ", ".join(str(days) for days in report.batches)
    same_rows = "**The tables did not hold the same rows in the end.**"
    if report.has_same_rows:
        same_rows = "All tables held the same rows in the end."
    return (
        f"{report.rows:,} orders in days of 100,000; batches of {report.changes:,} {kind} spread "
        f"evenly over the last {batches} days. × ours: the better round divided by ours, above 1 "
        f"it took longer. {same_rows}"
    )


def place_name(rows: int, updates_only: bool) -> str:
    """Return the name of a report's place: other sizes and batches than the usual have others."""
    size = "" if rows == USUAL_ROWS else f" --rows {rows}"
    batches = " --updates-only" if updates_only else ""
    return f"{NAME}{size}{batches}"


def require_place(rows: int, updates_only: bool, folder: Path) -> None:
    """Raise KappaError if the page has no place for a report."""
    page = (folder / pages.PAGE).read_text()
    pages.fill_place(page, place_name(rows, updates_only), "")


def _picture(report: MergeReport) -> Picture:
    """Return a chart of the better rounds with the fewest days and with the most."""
    few_days = report.batches[0]
    many_days = report.batches[-1]
    groups = []
    for implementation in report.implementations:
        few = report.best_round(implementation.name, few_days)
        many = report.best_round(implementation.name, many_days)
        if few and many:
            groups.append(Bars(implementation.title, (few.seconds, many.seconds)))
    title = f"Merging {report.changes:,} changes into {report.rows:,} orders: seconds"
    series = (f"{few_days} day changed", f"{many_days} days changed")
    return Picture(
        file=PICTURE,
        text="Seconds of a merge, by who merges",
        svg=chart(title, series, groups),
    )


def _days_text(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"


def _rounds_text(report: MergeReport, name: str, days: int) -> str:
    seconds = [f"{merge.seconds:.2f}" for merge in report.rounds(name, days)]
    return " · ".join(seconds) or "failed"


def _ratio_text(report: MergeReport, name: str, days: int) -> str:
    return "1" if name == OURS else ratio_text(report.ratio(name, days))


def _megabytes_text(report: MergeReport, name: str, days: int) -> str:
    best_round = report.best_round(name, days)
    return "—" if best_round is None else f"{best_round.bytes / 1e6:.1f}"
