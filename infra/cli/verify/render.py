"""How `kappa verify` prints its reports: the figures, then the first rows that differ."""

import json
from itertools import islice

import click

from infra.terminal.result_table import ResultTable, show
from infra.verify.counts.verify import Report as CountsReport
from infra.verify.warehouse.differences import TableOutcome
from infra.verify.warehouse.report import Report as WarehouseReport

MAX_DIFFERENCES = 20


def show_proof(report: WarehouseReport, *, json_: bool) -> None:
    """Print one of several proofs: a line, and the first differences."""
    if json_:
        click.echo(json.dumps(report.data()))
        return
    click.echo(f"{report.at} {report.verdict()}")
    _show_drifts(report)
    for difference in report.differences()[:MAX_DIFFERENCES]:
        click.echo(difference.text())


def show_warehouse(report: WarehouseReport, *, json_: bool) -> None:
    """Print the figures of each table, the first differences and the verdict."""
    if json_:
        click.echo(json.dumps(report.data()))
        return
    rows = []
    for outcome in report.outcomes:
        row_counts = (outcome.mysql_rows, outcome.warehouse_rows, outcome.differing)
        rows.append((outcome.table, *row_counts, _verdict(outcome)))
    columns = ("table", "MySQL rows", "warehouse rows", "differing", "verdict")
    show(ResultTable(columns, rows), "table")
    if report.equal:
        click.echo(report.verdict())
    else:
        _show_warehouse_differences(report)


def _verdict(outcome: TableOutcome) -> str:
    if outcome.equal:
        return "equal"
    return outcome.unproven or "differs"


def _show_warehouse_differences(report: WarehouseReport) -> None:
    differences = report.differences()
    texts = [difference.text() for difference in differences[:MAX_DIFFERENCES]]
    click.echo("")
    _show_drifts(report)
    if texts:
        click.echo("\n".join(texts))
    if len(differences) > MAX_DIFFERENCES:
        click.echo("and more; --json has up to a thousand of each table", err=True)
    unread_groups = sum(outcome.unread for outcome in report.outcomes)
    if unread_groups:
        reason = "of about a thousand rows differ, and were not read row by row"
        click.echo(f"{unread_groups} more groups {reason}", err=True)
    click.echo(f"error: {report.verdict()}", err=True)
    click.echo(
        "  next: ./kappa status says what is not replicated, and why; docs/warehouse.md says how "
        "the warehouse is rebuilt",
        err=True,
    )


def _show_drifts(report: WarehouseReport) -> None:
    drifts = report.drift.drifts
    for drift in drifts[:MAX_DIFFERENCES]:
        click.echo(drift.text())
    if len(drifts) > MAX_DIFFERENCES:
        click.echo(f"and {len(drifts) - MAX_DIFFERENCES:,} more in Hive; --json has all")


def show_counts(report: CountsReport, *, json_: bool) -> None:
    """Print the figures of each view, the first differences and the verdict."""
    if json_:
        click.echo(json.dumps(report.data()))
        return
    rows = []
    for outcome in report.outcomes:
        rows.append((outcome.view, outcome.rows, outcome.events, outcome.differing))
    show(ResultTable(("view", "rows", "events", "differing"), rows), "table")
    generation = f"generation {report.generation} of the counts"
    if not report.differing:
        clicks = f"{report.recounted_clicks:,} clicks"
        click.echo(f"equal: {generation} is what {clicks} in the log make")
        return
    _show_counts_differences(report, generation)


def _show_counts_differences(report: CountsReport, generation: str) -> None:
    texts = [
        difference.text() for difference in islice(report.differences(), MAX_DIFFERENCES)
    ]
    click.echo("\n" + "\n".join(texts))
    further = report.differing - len(texts)
    if further > 0:
        limit = "--json has up to a thousand of each view"
        click.echo(f"and {further:,} more; {limit}", err=True)
    click.echo(
        f"error: {report.differing:,} rows of {generation} differ from the log", err=True
    )
    click.echo("  next: ./kappa replay counts", err=True)
