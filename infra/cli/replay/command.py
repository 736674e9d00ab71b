"""`kappa replay`: a view recomputed from the log beside the live one, compared with it, and
switched to.
"""

import json

import click

from connectors.runtime.settings import Settings
from infra.cli.options import as_json
from infra.terminal.command_group import CommandGroup
from schemas.errors import StackError, UsageError


@click.group(cls=CommandGroup)
def replay() -> None:
    """Recompute a view from the log, beside the live one, and switch to it."""


@replay.command()
@click.option(
    "--to",
    metavar="POINT",
    help="A past point: a version, an ISO time (UTC) or a GTID; creates a separate Hive database, "
    "switches nothing.",
)
@click.option("--table", metavar="TABLE", help="Only this table.")
@click.option("--no-switch", is_flag=True, help="Only build and compare.")
@click.option(
    "--accept", is_flag=True, help="Switch even if rows differ: the archive is right."
)
@click.option(
    "--rollback",
    is_flag=True,
    help="Go back to the tables that the last replay replaced, with all changes since then.",
)
@as_json
@click.pass_obj
def warehouse(
    settings: Settings,
    to: str | None,
    table: str | None,
    no_switch: bool,
    accept: bool,
    rollback: bool,
    json_: bool,
) -> None:
    """Rebuild the warehouse from the archive, beside the live tables; compare row by row; switch.

    The compactor continues to run, and queries read the live tables until one step shows the
    rebuilt ones. If a row differs, nothing is switched, the rows are named, and the exit code is 1.
    The replaced tables are kept for `spark.grace_seconds`, for --rollback.
    """
    if rollback and (to or table or no_switch or accept):
        raise UsageError("--rollback excludes all other options", "give it alone")
    if to and (no_switch or accept):
        raise UsageError(
            "--to never switches: a past state gets its own database",
            "leave out --no-switch and --accept",
        )
    from connectors.control.replay_request import ReplayRequest
    from infra.cli.replay.warehouse_replay import check_point, outcome_text, run_replay
    from infra.terminal.progress_steps import ProgressSteps

    if to:
        # A typing mistake should not wait for Spark to start.
        check_point(to)
    _require_running(settings)
    request = ReplayRequest(
        to=to, table=table, switch=not no_switch, accept=accept, rollback=rollback
    )
    outcome = run_replay(settings, request, ProgressSteps())
    click.echo(json.dumps(outcome) if json_ else outcome_text(outcome, rollback))
    if outcome["differing"] and not outcome["switched"]:
        raise click.exceptions.Exit(1)


@replay.command()
@click.option(
    "--from",
    "start",
    metavar="TIME",
    help="Count only clicks logged since a time: 90s, 10m, 2h, 1d (ago) or an ISO time (UTC).",
)
@click.option(
    "--no-switch",
    is_flag=True,
    help="Only build and compare; the next replay continues with it.",
)
@click.option(
    "--rollback", is_flag=True, help="Go back to the generation that was read before."
)
@as_json
@click.pass_obj
def counts(
    settings: Settings, start: str | None, no_switch: bool, rollback: bool, json_: bool
) -> None:
    """Count the clicks again from the log, by the rules in the settings; compare; switch.

    The live counts continue, and readers never see a count decrease or a window half rebuilt: they
    read the old generation until the new one has counted everything that the old one has. The old
    one is kept, for --rollback. `kappa query cassandra` and `kappa env` always name the generation
    to read.
    """
    if rollback and (start or no_switch):
        raise UsageError("--rollback excludes --from and --no-switch", "give it alone")
    from infra.cli.replay.counts_replay import replay_counts
    from infra.terminal.progress_steps import ProgressSteps

    _require_running(settings)
    outcome = replay_counts(
        settings, start, rollback=rollback, switch=not no_switch, steps=ProgressSteps()
    )
    click.echo(json.dumps(outcome.data()) if json_ else outcome.text())


def _require_running(settings: Settings) -> None:
    from infra.stack.supervisor import Supervisor

    if not Supervisor(settings).alive():
        raise StackError("the stack is not running", "run ./kappa up")
