"""`kappa verify`: the proof that a view equals its source."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from connectors.runtime.settings import Settings
from infra.cli.options import as_json
from infra.terminal.command_group import CommandGroup
from schemas.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., object])

# The same as infra.verify.warehouse.verify.POINT_SECONDS; its module takes long to import.
TIMEOUT_SECONDS = 120


def _proof_options(command: Command) -> Command:
    decorators = [
        click.option(
            "--timeout",
            "timeout_seconds",
            type=click.FloatRange(min=1),
            default=TIMEOUT_SECONDS,
            show_default=True,
            help="Wait at most this many seconds for a version that equals the snapshot.",
        ),
        click.option(
            "--every",
            "every_seconds",
            type=click.FloatRange(min=1),
            default=60,
            show_default=True,
            help="Seconds between these proofs.",
        ),
        click.option(
            "--continuous",
            is_flag=True,
            help="Prove the warehouse again and again until interrupted; status shows the last "
            "proof.",
        ),
    ]
    for decorate in decorators:
        command = decorate(command)
    return command


@click.group(cls=CommandGroup, invoke_without_command=True)
@_proof_options
@click.pass_context
def verify(
    ctx: click.Context, continuous: bool, every_seconds: float, timeout_seconds: float
) -> None:
    """Prove that a view equals its source, or name the rows that differ.

    Without a subcommand: the counts, then the warehouse. Exit code 1 if anything differs.
    """
    settings: Settings = ctx.obj
    if ctx.invoked_subcommand is not None:
        return
    if continuous:
        _prove_continuously(settings, every_seconds, timeout_seconds, json_=False)
        return
    counts_equal = _verify_counts(settings, None, json_=False)
    warehouse_equal = _verify_warehouse(settings, (), timeout_seconds, json_=False)
    ctx.exit(0 if counts_equal and warehouse_equal else 1)


@verify.command()
@click.option(
    "--generation",
    type=click.IntRange(min=1),
    metavar="N",
    help="Verify this generation instead of the live one.",
)
@as_json
@click.pass_context
def counts(ctx: click.Context, generation: int | None, json_: bool) -> None:
    """Recount the topics, and compare every row of the live counts. Traffic can continue."""
    ctx.exit(0 if _verify_counts(ctx.obj, generation, json_=json_) else 1)


@verify.command()
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="TABLE",
    help="Only this table of MySQL; can be repeated.",
)
@as_json
@_proof_options
@click.pass_context
def warehouse(
    ctx: click.Context,
    tables: tuple[str, ...],
    json_: bool,
    continuous: bool,
    every_seconds: float,
    timeout_seconds: float,
) -> None:
    """Compare the warehouse with MySQL, value by value, at one GTID set. Traffic can continue.

    MySQL is only read, in ranges of the primary keys over two connections, and nothing is locked.
    Before, Hive and its folders are compared with the manifest, and what differs is repaired.
    """
    settings: Settings = ctx.obj
    if continuous and tables:
        raise UsageError("--continuous is for all tables", "leave out --table")
    if continuous:
        _prove_continuously(settings, every_seconds, timeout_seconds, json_=json_)
        return
    ctx.exit(0 if _verify_warehouse(settings, tables, timeout_seconds, json_=json_) else 1)


def _verify_counts(settings: Settings, generation: int | None, *, json_: bool) -> bool:
    from infra.cli.verify.render import show_counts
    from infra.terminal.progress_steps import ProgressSteps
    from infra.verify.counts.verify import verify as verify_counts

    report = verify_counts(settings, generation, ProgressSteps())
    show_counts(report, json_=json_)
    return not report.differing


def _verify_warehouse(
    settings: Settings, tables: Sequence[str], timeout_seconds: float, *, json_: bool
) -> bool:
    from infra.cli.verify.render import show_warehouse
    from infra.terminal.progress_steps import ProgressSteps
    from infra.verify.warehouse.verify import verify as verify_warehouse

    report = verify_warehouse(settings, tables, timeout_seconds, ProgressSteps())
    show_warehouse(report, json_=json_)
    return report.equal


def _prove_continuously(
    settings: Settings, every_seconds: float, timeout_seconds: float, *, json_: bool
) -> None:
    """Prove the warehouse until interrupted; each proof is a line."""
    from infra.cli.verify.render import show_proof
    from infra.terminal.progress_steps import ProgressSteps
    from infra.verify.warehouse.continuous import verify_continuously

    steps = ProgressSteps()
    verify_continuously(
        settings,
        every_seconds=every_seconds,
        timeout_seconds=timeout_seconds,
        steps=steps,
        on_report=lambda report: show_proof(report, json_=json_),
        on_failure=lambda error: steps.say(f"not proven this time: {error}"),
    )
