"""The command line: the names of the commands. Each command's module is imported when it runs."""

import os
from typing import Any

import click

from infra.terminal.command_group import LateCommand, LateCommandGroup
from infra.terminal.error_line import print_error
from schemas.errors import KappaError

# In the order in which a user needs them.
COMMANDS = {
    "up": LateCommand(
        "infra.cli.stack_commands:up",
        "Install what is missing, start everything, and wait for the first order in Hive and the "
        "first count in Cassandra.",
    ),
    "down": LateCommand("infra.cli.stack_commands:down", "Stop everything; data stays."),
    "restart": LateCommand(
        "infra.cli.stack_commands:restart",
        "Restart one process and wait until it is ready.",
    ),
    "destroy": LateCommand(
        "infra.cli.stack_commands:destroy", "Stop everything and remove all its data."
    ),
    "status": LateCommand(
        "infra.cli.status.command:status",
        "Show every process with its readiness and memory, and lag, freshness and dead letters.",
    ),
    "doctor": LateCommand(
        "infra.cli.doctor.command:doctor",
        "Check whether this machine can run the stack, and say how to fix what is missing.",
    ),
    "env": LateCommand(
        "infra.cli.env:env", "Show each system's address and log-in for other clients."
    ),
    "logs": LateCommand("infra.cli.stack_commands:logs", "Show the log of one process."),
    "test": LateCommand(
        "infra.cli.run_tests:test",
        "Run the project's tests on their own stack, beside a running one.",
    ),
    "check": LateCommand(
        "infra.cli.check.command:check",
        "Check format, lint, types and import rules of the project's own code, as CI does.",
    ),
    "watch": LateCommand(
        "infra.cli.watch.command:watch",
        "Show decoded records of the log as they arrive: topic[partition]@offset, age, key, and "
        "for a change the columns that changed.",
    ),
    "query": LateCommand(
        "infra.cli.query.command:query",
        "Query Hive or Cassandra: prints a table, CSV or JSON; without a statement, opens a shell.",
    ),
    "sql": LateCommand(
        "infra.cli.sql.command:sql",
        "Query the warehouse, the archive and the live counts in one statement, in DuckDB's SQL.",
    ),
    "compact": LateCommand(
        "infra.cli.versions.command:compact",
        "Show the newest version of the warehouse and how far the log is ahead of it; with --now, "
        "catch up first.",
    ),
    "versions": LateCommand(
        "infra.cli.versions.command:versions",
        "List the retained versions of the warehouse: number, time, changes, tables, GTID set.",
    ),
    "resync": LateCommand(
        "infra.cli.resync.command:resync",
        "Read tables from MySQL again, beside the stream, and show them at one consistent cut.",
    ),
    "explain": LateCommand(
        "infra.cli.explain.command:explain",
        "Show every change of one row: its time, its transaction, the values before and after, "
        "and the version of the warehouse that has it.",
    ),
    "dead": LateCommand(
        "infra.cli.dead_letters.command:dead",
        "List the clicks that could not be counted and were set aside, the most recent last; or "
        "redrive them.",
    ),
    "verify": LateCommand(
        "infra.cli.verify.command:verify",
        "Prove that a view equals its source, or name the rows that differ.",
    ),
    "replay": LateCommand(
        "infra.cli.replay.command:replay",
        "Recompute a view from the log, beside the live one, and switch to it.",
    ),
    "bench": LateCommand(
        "infra.bench.command:bench",
        "Measure the running stack: each measurement with its peers or its limit in the same run.",
    ),
}


class Kappa(LateCommandGroup):
    """The group of all commands; it shows Kappa's errors as one line and the next step."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; on a KappaError print `error: …` and its hint, and exit with its code."""
        try:
            return super().invoke(ctx)
        except KappaError as error:
            print_error(error)
            ctx.exit(error.exit_code)


@click.group(
    cls=Kappa,
    late_commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """One log, and everything else is a view of it.

    Every MySQL row change and every click is an Avro record in Kafka; live counts in Cassandra and
    the warehouse in Hive are computed from it.
    """
    import logging

    from connectors.runtime import settings

    # Libraries log that a server does not answer; our errors already say so, once.
    logging.basicConfig(level=logging.CRITICAL)
    if ctx.obj is None:
        ctx.obj = settings.load(os.environ)


if __name__ == "__main__":
    main(prog_name="kappa")
