"""The command line. Commands that need heavy libraries live in modules of their own, imported when they are called."""

import importlib
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from infra import settings as settings_module
from infra.errors import KappaError
from infra.settings import ROOT, Settings
from infra.steps import Steps
from infra.suggesting import Suggesting

# Commands by name: the module and the click command in it.
ELSEWHERE = {
    "watch": "infra.watch:watch_command",
    "query": "infra.query:query",
    "compact": "infra.warehouse:compact",
    "versions": "infra.warehouse:versions_command",
    "explain": "infra.explain:explain",
    "dead": "infra.dead:dead_command",
    "verify": "infra.verify:verify",
    "replay": "infra.replay:replay",
    "bench": "infra.bench.command:bench",
}


class Kappa(Suggesting):
    """A group that imports some of its commands late, and turns errors into one line with a next step."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of a day's work."""
        return [*self.commands, *ELSEWHERE]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """One command, imported now if it lives elsewhere."""
        if name not in ELSEWHERE:
            return super().get_command(ctx, name)
        module, attribute = ELSEWHERE[name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run, with Kappa's own errors shown as `error: …` and their hint, and their exit code."""
        try:
            return super().invoke(ctx)
        except KappaError as error:
            click.echo(f"error: {error}", err=True)
            if error.hint:
                click.echo(f"  next: {error.hint}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=Kappa, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.pass_context
def main(ctx: click.Context) -> None:
    """One log, everything else a view of it.

    Every MySQL row change and every click is an Avro record in Kafka; live counts in Cassandra and the warehouse in Hive are computed from it.
    """
    logging.basicConfig(level=logging.CRITICAL)  # what libraries log about a server that is away, our errors say once
    if ctx.obj is None:
        ctx.obj = settings_module.load(os.environ)


as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")


@main.command()
@click.option("--no-traffic", is_flag=True, help="Start no customers and no clicks.")
@click.option("--rate", type=click.FloatRange(min=0.01), help="Customers' actions per second.")
@click.pass_obj
def up(settings: Settings, no_traffic: bool, rate: float | None) -> None:
    """Install what is missing, start everything, and wait for the first order in Hive and the first count in Cassandra."""
    from infra import stack

    begin, steps = time.monotonic(), Steps()
    stack.up(settings, stack.Options(traffic=not no_traffic, rate=rate), steps)
    steps.say(f"up in {time.monotonic() - begin:.0f} s")
    click.echo(where_to_look(settings))


def where_to_look(settings: Settings) -> str:
    """What a newcomer can do next."""
    return f"""
The shop      {settings.site.shop_url}/docs
Watch topics  ./kappa watch                 every change and click, live
Query Hive    ./kappa query hive 'SELECT status, count(*) FROM {settings.hive.warehouse_database}.orders GROUP BY status'
Live counts   ./kappa query cassandra 'SELECT * FROM {settings.cassandra.keyspace}.product_view LIMIT 10'
How it does   ./kappa status
Other clients ./kappa env
Stop          ./kappa down"""


@main.command()
@click.pass_obj
def down(settings: Settings) -> None:
    """Stop everything; data stays."""
    from infra import stack

    stack.down(settings, Steps())
    click.echo("down: no process is left", err=True)


@main.command()
@click.argument("name")
@click.pass_obj
def restart(settings: Settings, name: str) -> None:
    """Restart one process and wait until it is ready."""
    from infra import stack

    stack.restart(settings, name, Steps())


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def destroy(settings: Settings, yes: bool) -> None:
    """Stop everything and remove all its data."""
    from infra import stack

    if not yes:
        click.confirm(f"Remove all data of the stack in {settings.home}?", abort=True)
    stack.destroy(settings, Steps())


@main.command()
@as_json
@click.pass_obj
def status(settings: Settings, json_: bool) -> None:
    """Every process, its readiness and memory; lag, freshness, dead letters. Exit code 1 if something is not ready."""
    from rich.console import Console

    from infra import status as module
    from infra.stack import supervisor_alive

    if not supervisor_alive(settings):
        if json_:
            click.echo(json.dumps({"home": str(settings.home), "running": False, "ok": False, "processes": []}))
        else:
            click.echo(f"the stack in {settings.home} is not running; ./kappa up starts it", err=True)
        sys.exit(1)
    report = module.gather(settings)
    if json_:
        click.echo(json.dumps(report, indent=1))
    else:
        module.show(report, Console(width=None if sys.stdout.isatty() else 150))
    sys.exit(0 if report["ok"] else 1)


@main.command()
@as_json
@click.pass_obj
def doctor(settings: Settings, json_: bool) -> None:
    """What this machine lacks to run the stack, and the cure of each. Exit code 1 if anything is lacking."""
    from dataclasses import asdict

    from infra import doctor as module
    from infra.services.catalogue import own_services
    from infra.stack import supervisor_alive

    own = {service.name for service in own_services(settings)}
    checks = module.examine(settings, own, os.environ, running=supervisor_alive(settings))
    if json_:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        for check in checks:
            click.echo(f"{'ok' if check.ok else 'NO':<3} {check.name:<28} {check.found}" + ("" if check.ok else f"; needs {check.needed}"))
            if not check.ok:
                click.echo(f"    next: {check.fix}")
    sys.exit(0 if all(check.ok for check in checks) else 1)


@main.command()
@as_json
@click.option("--admin", is_flag=True, help="With the owner's administrative log-ins.")
@click.pass_obj
def env(settings: Settings, json_: bool, admin: bool) -> None:
    """How other clients reach each system: addresses and log-ins."""
    from infra.env import as_lines, connections

    found = connections(settings, admin)
    click.echo(json.dumps(found, indent=1) if json_ else as_lines(found))


@main.command()
@click.argument("name")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(min=1), help="How many of the last lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines.")
@click.pass_obj
def logs(settings: Settings, name: str, lines: int, follow: bool) -> None:
    """The log of one process."""
    from infra.stack import named
    from infra.supervision import log_file

    path = log_file(settings, named(settings, name).name)
    if not path.exists():
        raise KappaError(f"{name} has no log yet in {path.parent}", "run ./kappa up")
    sys.stdout.flush()
    os.execvp("tail", ["tail", f"-n{lines}", *(["-F"] if follow else []), str(path)])  # noqa: S606


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run the project's tests on a stack of their own, beside a running one. ARGUMENTS go to pytest."""
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), *arguments], cwd=ROOT))


CHECKS = (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"], ["lint-imports"])


@main.command()
def check() -> None:
    """Format, lint, types and import rules of the project's own code, as the gate runs them."""
    scripts = Path(sys.executable).parent
    failed = [words[0] for words in CHECKS if subprocess.call([str(scripts / words[0]), *words[1:]], cwd=ROOT)]
    if failed:
        raise KappaError(f"failed: {', '.join(failed)}", "ruff format . and ruff check --fix . mend most of it")


if __name__ == "__main__":
    main(prog_name="kappa")
