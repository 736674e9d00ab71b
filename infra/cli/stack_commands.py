"""`kappa up`, `down`, `restart`, `destroy` and `logs`: the stack's processes."""

import os
import sys
import time

import click

from connectors.runtime.settings import Settings
from schemas.errors import KappaError


@click.command()
@click.option("--no-traffic", is_flag=True, help="Start no customers and no clicks.")
@click.option(
    "--rate", type=click.FloatRange(min=0.01), help="Customers' actions per second."
)
@click.pass_obj
def up(settings: Settings, no_traffic: bool, rate: float | None) -> None:
    """Install what is missing, start everything, and wait for the first order in Hive and the
    first count in Cassandra.
    """
    from infra.stack import lifecycle
    from infra.terminal.progress_steps import ProgressSteps

    started_at = time.monotonic()
    steps = ProgressSteps()
    lifecycle.up(settings, lifecycle.Options(traffic=not no_traffic, rate=rate), steps)
    steps.say(f"up in {time.monotonic() - started_at:.0f} s")
    click.echo(next_commands(settings))


def next_commands(settings: Settings) -> str:
    """Return what a newcomer can do next, one command a line."""
    orders = f"{settings.hive.warehouse_database}.orders"
    views = f"{settings.cassandra.keyspace}.product_view"
    count_orders = f"SELECT status, count(*) FROM {orders} GROUP BY status"
    return f"""
The shop      {settings.site.shop_url}/docs
Watch topics  ./kappa watch                 every change and click, live
Query Hive    ./kappa query hive '{count_orders}'
Live counts   ./kappa query cassandra 'SELECT * FROM {views} LIMIT 10'
How it does   ./kappa status
Other clients ./kappa env
Stop          ./kappa down"""


@click.command()
@click.pass_obj
def down(settings: Settings) -> None:
    """Stop everything; data stays."""
    from infra.stack import lifecycle
    from infra.terminal.progress_steps import ProgressSteps

    lifecycle.down(settings, ProgressSteps())
    click.echo("down: all processes have ended", err=True)


@click.command()
@click.argument("name")
@click.pass_obj
def restart(settings: Settings, name: str) -> None:
    """Restart one process and wait until it is ready."""
    from infra.stack import lifecycle
    from infra.terminal.progress_steps import ProgressSteps

    lifecycle.restart(settings, name, ProgressSteps())


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def destroy(settings: Settings, yes: bool) -> None:
    """Stop everything and remove all its data."""
    if not yes:
        click.confirm(f"Remove all data of the stack in {settings.home}?", abort=True)
    from infra.stack import lifecycle
    from infra.terminal.progress_steps import ProgressSteps

    lifecycle.destroy(settings, ProgressSteps())


@click.command()
@click.argument("name")
@click.option(
    "-n",
    "--lines",
    default=50,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many of the last lines to show.",
)
@click.option("-f", "--follow", is_flag=True, help="Continue with new lines.")
@click.pass_obj
def logs(settings: Settings, name: str, lines: int, follow: bool) -> None:
    """Show the log of one process."""
    from infra.stack.lifecycle import service_named
    from infra.stack.supervisor import log_file

    path = log_file(settings, service_named(settings, name).name)
    if not path.exists():
        raise KappaError(f"{name} has no log yet in {path.parent}", "run ./kappa up")
    options = ["-F"] if follow else []
    sys.stdout.flush()
    os.execvp("tail", ["tail", f"-n{lines}", *options, str(path)])  # noqa: S606
