"""`kappa verify`: proof that a view equals its source, or the rows that differ."""

import json

import click

from infra.answers import Answer, show
from infra.settings import Settings
from infra.steps import Steps
from infra.verify_counts import Report
from infra.verify_counts import verify as verify_counts

SHOWN = 20

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@click.pass_context
def verify(ctx: click.Context) -> None:
    """Prove that a view equals its source, or name the rows that differ. With no subcommand, all that can be verified.

    Exit code 1 if anything differs.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(counts, generation=None, json_=False)


@verify.command()
@click.option("--generation", type=click.IntRange(min=1), metavar="N", help="Not the live generation, but this one.")
@as_json
@click.pass_context
def counts(ctx: click.Context, generation: int | None, json_: bool) -> None:
    """Recount the topics, and compare every row of the live counts. Traffic may go on."""
    settings: Settings = ctx.obj
    report = verify_counts(settings, generation, Steps())
    if json_:
        click.echo(json.dumps(report.data()))
    else:
        _show(report)
    ctx.exit(1 if report.differing else 0)


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
