"""`kappa replay warehouse`: the tables built anew from the archive in a process of its own, compared with the live ones, and switched in."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

import click

from infra import errors
from infra.errors import KappaError, StackError, UsageError
from infra.settings import Settings
from infra.state import read_state
from infra.steps import Steps
from infra.supervision import MARK, Supervisor, log_file
from spark.past_points import asked
from spark.wish import PROCESS, RESULT, Wish

POLL_SECONDS = 0.1


@click.command()
@click.option(
    "--to", metavar="POINT", help="A past point: a version, an ISO time (UTC) or a GTID; makes a Hive database of its own, switches nothing."
)
@click.option("--table", metavar="TABLE", help="Only this table.")
@click.option("--no-switch", is_flag=True, help="Build and compare only.")
@click.option("--accept", is_flag=True, help="Switch even if rows differ: what the archive says counts.")
@click.option("--rollback", is_flag=True, help="Go back to the tables that the last replay replaced, with all that came since.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def warehouse(settings: Settings, to: str | None, table: str | None, no_switch: bool, accept: bool, rollback: bool, json_: bool) -> None:
    """Build the warehouse anew from the archive, beside the live tables; compare row by row; switch.

    The compactor goes on meanwhile, and queries read the live tables until one step shows the rebuilt ones. If a row differs, nothing is
    switched, the rows are named, and the exit code is 1. The replaced tables are kept for `spark.grace_seconds`, for --rollback.
    """
    if rollback and (to or table or no_switch or accept):
        raise UsageError("--rollback excludes all other options", "give it alone")
    if to and (no_switch or accept):
        raise UsageError("--to never switches: a past state gets a database of its own", "leave out --no-switch and --accept")
    if to:
        asked(to)  # a slip should not wait for Spark to start
    if not Supervisor(settings).alive():
        raise StackError("the stack is not running", "run ./kappa up")
    done = replayed(settings, Wish(to, table, not no_switch, accept, rollback), Steps())
    click.echo(json.dumps(done) if json_ else told(done, rollback))
    if done["differing"] and not done["switched"]:
        raise click.exceptions.Exit(1)


def replayed(settings: Settings, wish: Wish, steps: Steps) -> dict[str, Any]:
    """What a replay came to (`spark.replayer.Outcome`). Raises what kept it from being done."""
    state, result = settings.home / "run" / f"{PROCESS}.json", settings.home / "run" / RESULT
    process = _started(settings, wish, state.unlink, result.unlink)
    phase = ""
    try:
        with steps.waiting(lambda: str((read_state(settings.home, PROCESS) or {}).get("detail", "starting"))):
            while process.poll() is None:
                now = str((read_state(settings.home, PROCESS) or {}).get("phase", ""))
                if now and now != phase:
                    steps.say(f"  {now}")
                    phase = now
                time.sleep(POLL_SECONDS)
    finally:
        process.terminate()
    if not result.exists():
        raise StackError(
            f"the process {PROCESS} ended with {process.returncode}", f"see {log_file(settings, PROCESS)}; the live tables are as they were"
        )
    answer = json.loads(result.read_text())
    if "error" in answer:
        raise _error(answer)
    return dict(answer["outcome"])


def told(done: dict[str, Any], rollback: bool) -> str:
    """A replay for people."""
    lines = [f"not rebuilt: {topic}: {reason}" for topic, reason in done["refused"].items()]
    if not rollback:
        lines.append(
            f"{len(done['tables'])} tables rebuilt from {done['records']:,} records of the archive in {done['seconds']:.1f} s, "
            f"{done['records_per_second']:,}/s"
        )
    if done["database"]:
        return "\n".join([*lines, f"as of {done['gtid']}: Hive database {done['database']}"])
    if not rollback:
        differing = sum(done["differing"].values())
        lines += [
            *done["named"],
            f"{done['compared']:,} rows compared with version {done['version']}: {f'{differing:,} differ' if differing else 'none differs'}",
        ]
    return "\n".join([*lines, _ending(done, rollback)])


def _ending(done: dict[str, Any], rollback: bool) -> str:
    switched = done["switched"]
    if switched:
        which = "the tables from before the replay" if rollback else "the rebuilt tables"
        return f"switched: version {switched['version']} shows {which} ({switched['seconds']:.2f} s); ./kappa replay warehouse --rollback goes back"
    way = "; --accept switches all the same, if the archive is right" if done["differing"] else ""
    return f"not switched: the live tables are as they were{way}"


def _started(settings: Settings, wish: Wish, *forget: Any) -> "subprocess.Popen[bytes]":
    for remove in forget:
        remove(missing_ok=True)
    command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "spark.replayer", json.dumps(asdict(wish))]
    environment = {**os.environ, MARK: str(settings.home), "PYTHONUNBUFFERED": "1"}
    with open(log_file(settings, PROCESS), "ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _error(answer: dict[str, Any]) -> KappaError:
    """An error of the process, as if it had been raised here."""
    kind = errors.UsageError if answer["exit_code"] == UsageError.exit_code else errors.WarehouseError
    return kind(answer["error"], answer["hint"])
