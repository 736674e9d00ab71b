"""`kappa doctor`: what this machine, or an existing MySQL server, lacks to run the stack."""

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from connectors.runtime.settings import Settings
from infra.cli.options import as_json
from infra.terminal.command_group import CommandGroup

if TYPE_CHECKING:
    from infra.install.doctor import Check


@click.group(cls=CommandGroup, invoke_without_command=True)
@as_json
@click.pass_context
def doctor(ctx: click.Context, json_: bool) -> None:
    """Check whether this machine can run the stack, and say how to fix what is missing.

    With `mysql`: whether a database that exists already can be captured. Exit code 1 if anything is
    missing.
    """
    if ctx.invoked_subcommand is not None:
        return
    from infra.install.doctor import examine
    from infra.stack.lifecycle import supervisor_alive
    from infra.stack.services.catalogue import own_services

    settings: Settings = ctx.obj
    names = {service.name for service in own_services(settings)}
    running = supervisor_alive(settings)
    checks = examine(settings, names, os.environ, running=running)
    if json_:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        for check in checks:
            print_check(check)
    sys.exit(0 if all(check.ok for check in checks) else 1)


def print_check(check: "Check") -> None:
    """Print a check on a line and, if it failed, its remedy on the next."""
    if check.ok:
        click.echo(f"ok  {check.name:<28} {check.found}")
        return
    click.echo(f"NO  {check.name:<28} {check.found}; needs {check.needed}")
    click.echo(f"    next: {check.fix}")


@doctor.command()
@click.option(
    "--passwords",
    is_flag=True,
    help="Show the accounts' passwords in the statements; those that do not exist yet are "
    "generated.",
)
@as_json
@click.pass_context
def mysql(ctx: click.Context, passwords: bool, json_: bool) -> None:
    """Check whether the MySQL server of the settings can be captured.

    Each finding has the statement, or the line of my.cnf, that cures it. MySQL is only read. Exit
    code 1 if anything is missing without which capture is impossible or wrong.
    """
    from connectors.debezium.binlog_watch.server_ids import reader_ids
    from connectors.mysql.server_check.examination import examine_server
    from connectors.mysql.server_check.findings import missing
    from connectors.runtime.secrets import make_secrets
    from infra.cli.doctor.render import as_objects, as_text
    from infra.stack.lifecycle import supervisor_alive

    settings: Settings = ctx.obj
    if passwords:
        make_secrets(settings.home)
    findings = examine_server(
        settings,
        reader_ids(settings),
        is_running=supervisor_alive(settings),
        with_passwords=passwords,
    )
    if json_:
        click.echo(json.dumps(as_objects(findings), indent=1, ensure_ascii=False))
    else:
        click.echo(as_text(findings))
    ctx.exit(1 if missing(findings) else 0)
