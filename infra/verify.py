"""`kappa verify`: proof that a view equals its source, or the rows that differ."""

import json
from collections.abc import Sequence

import click

from infra import verify_warehouse
from infra.answers import Answer, show
from infra.errors import UsageError
from infra.settings import Settings
from infra.steps import Steps
from infra.suggesting import Suggesting
from infra.verify_counts import Report
from infra.verify_counts import verify as verify_counts

SHOWN = 20

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
for_ever = click.option("--continuous", is_flag=True, help="Prove the warehouse again and again until interrupted; status shows the last proof.")
every = click.option("--every", "every_seconds", type=click.FloatRange(min=1), default=60, show_default=True, help="Seconds between such proofs.")
in_time = click.option(
    "--timeout", "timeout_seconds", type=click.FloatRange(min=1), default=verify_warehouse.POINT_SECONDS, show_default=True,
    help="Seconds at most until a version stands where the snapshot does.",
)  # fmt: skip


@click.group(cls=Suggesting, invoke_without_command=True)
@for_ever
@every
@in_time
@click.pass_context
def verify(ctx: click.Context, continuous: bool, every_seconds: float, timeout_seconds: float) -> None:
    """Prove that a view equals its source, or name the rows that differ. With no subcommand, the counts and the warehouse.

    Exit code 1 if anything differs.
    """
    settings: Settings = ctx.obj
    if ctx.invoked_subcommand is not None:
        return
    if continuous:
        _for_ever(settings, every_seconds, timeout_seconds, False)
        return
    equal = [_counts(settings, None, False), _warehouse(settings, (), timeout_seconds, False)]
    ctx.exit(0 if all(equal) else 1)


@verify.command()
@click.option("--generation", type=click.IntRange(min=1), metavar="N", help="Not the live generation, but this one.")
@as_json
@click.pass_context
def counts(ctx: click.Context, generation: int | None, json_: bool) -> None:
    """Recount the topics, and compare every row of the live counts. Traffic may go on."""
    ctx.exit(0 if _counts(ctx.obj, generation, json_) else 1)


@verify.command()
@click.option("--table", "tables", multiple=True, metavar="TABLE", help="Only this table of MySQL; may be repeated.")
@as_json
@for_ever
@every
@in_time
@click.pass_context
def warehouse(
    ctx: click.Context, tables: tuple[str, ...], json_: bool, continuous: bool, every_seconds: float, timeout_seconds: float
) -> None:  # fmt: skip
    """Compare the warehouse with MySQL, value by value, at one GTID set. Traffic may go on.

    MySQL is only read, in ranges of the primary keys over two connections, and nothing is locked.
    """
    settings: Settings = ctx.obj
    if continuous and tables:
        raise UsageError("--continuous is for all tables", "leave --table out")
    if continuous:
        _for_ever(settings, every_seconds, timeout_seconds, json_)
        return
    ctx.exit(0 if _warehouse(settings, tables, timeout_seconds, json_) else 1)


def _counts(settings: Settings, generation: int | None, json_: bool) -> bool:
    report = verify_counts(settings, generation, Steps())
    if json_:
        click.echo(json.dumps(report.data()))
    else:
        _show(report)
    return not report.differing


def _warehouse(settings: Settings, tables: Sequence[str], timeout_seconds: float, json_: bool) -> bool:
    report = verify_warehouse.verify(settings, tables, timeout_seconds, Steps())
    if json_:
        click.echo(json.dumps(report.data()))
    else:
        _show_warehouse(report)
    return report.equal


def _for_ever(settings: Settings, every_seconds: float, timeout_seconds: float, json_: bool) -> None:
    """Prove until interrupted; each proof is a line."""

    def tell(report: verify_warehouse.Report) -> None:
        click.echo(json.dumps(report.data()) if json_ else f"{report.at} {report.verdict()}")
        for difference in [] if json_ else report.differences()[:SHOWN]:
            click.echo(difference.text())

    steps = Steps()
    verify_warehouse.verify_for_ever(settings, every_seconds, timeout_seconds, steps, tell, lambda error: steps.say(f"not proven this time: {error}"))


def _show_warehouse(report: verify_warehouse.Report) -> None:
    """The figures of each table, then the first differing rows."""
    figures = [
        (outcome.table, outcome.mysql_rows, outcome.warehouse_rows, outcome.differing, "equal" if outcome.equal else outcome.unproven or "differs")
        for outcome in report.outcomes
    ]
    show(Answer(("table", "MySQL rows", "warehouse rows", "differing", "verdict"), figures), "table")
    if report.equal:
        click.echo(report.verdict())
        return
    shown = [difference.text() for difference in report.differences()[:SHOWN]]
    click.echo("\n".join(["", *shown]))
    if len(report.differences()) > SHOWN:
        click.echo("and more; --json has up to a thousand of each table", err=True)
    if unread := sum(outcome.unread for outcome in report.outcomes):
        click.echo(f"{unread} more groups of about a thousand rows differ, and were not read row by row", err=True)
    click.echo(f"error: {report.verdict()}", err=True)
    click.echo("  next: ./kappa status says what is not carried, and why; docs/warehouse.md says how the warehouse is built anew", err=True)


def _show(report: Report) -> None:
    """The figures of each view, then the first differing rows."""
    figures = [(outcome.view, outcome.rows, outcome.events, outcome.differing) for outcome in report.outcomes]
    show(Answer(("view", "rows", "events", "differing"), figures), "table")
    if not report.differing:
        click.echo(f"equal: generation {report.generation} of the counts is what {report.recounted:,} clicks in the log make")
        return
    shown = [difference.text() for difference, _ in zip(report.differences(), range(SHOWN), strict=False)]
    click.echo("\n" + "\n".join(shown))
    if report.differing > len(shown):
        click.echo(f"and {report.differing - len(shown):,} more; --json has up to a thousand of each view", err=True)
    click.echo(f"error: {report.differing:,} rows of generation {report.generation} of the counts differ from the log", err=True)
    click.echo("  next: ./kappa replay counts", err=True)
