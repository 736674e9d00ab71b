"""`kappa status`."""

import json
import sys

import click

from connectors.runtime.settings import Settings
from infra.cli.options import as_json

# Without a terminal, as wide as the longest line.
PIPE_WIDTH = 150


@click.command()
@as_json
@click.pass_obj
def status(settings: Settings, json_: bool) -> None:
    """Show every process with its readiness and memory, and lag, freshness and dead letters.

    Exit code 1 if a process is not ready.
    """
    from connectors.runtime.secrets import secrets_file
    from infra.stack.supervisor import Supervisor

    # The supervisor's password is among the secrets.
    if not (secrets_file(settings.home).exists() and Supervisor(settings).alive()):
        if json_:
            not_running = {"home": str(settings.home), "running": False}
            click.echo(json.dumps({**not_running, "ok": False, "processes": []}))
        else:
            stopped = f"the stack in {settings.home} is not running"
            click.echo(f"{stopped}; ./kappa up starts it", err=True)
        sys.exit(1)

    from infra.cli.status.report import gather

    report = gather(settings)
    if json_:
        click.echo(json.dumps(report, indent=1))
    else:
        from rich.console import Console

        from infra.cli.status.render import show

        show(report, Console(width=None if sys.stdout.isatty() else PIPE_WIDTH))
    sys.exit(0 if report["ok"] else 1)
