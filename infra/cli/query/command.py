"""`kappa query hive` and `kappa query cassandra`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from connectors.runtime.settings import Settings
from infra.terminal.command_group import CommandGroup
from schemas.errors import UsageError

if TYPE_CHECKING:
    from infra.cli.query.statements import Output

ROWS_IN_A_TABLE = 1000


@click.group(cls=CommandGroup)
def query() -> None:
    """Query Hive or Cassandra: prints a table, CSV or JSON; without a statement, opens a shell."""


def _statement_and_output(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument and the options that both commands have."""
    decorators = (
        click.argument("statement", required=False),
        click.option("--csv", "csv_", is_flag=True, help="Print CSV with a header."),
        click.option(
            "--json",
            "json_",
            is_flag=True,
            help="Print a JSON list of objects; times are ISO UTC, decimals are text.",
        ),
        click.option(
            "--max-rows",
            type=click.IntRange(min=1),
            help="Print at most this many rows.  "
            f"[default: {ROWS_IN_A_TABLE} in a table, else all]",
        ),
        click.pass_obj,
    )
    for decorate in decorators:
        command = decorate(command)
    return command


@query.command()
@_statement_and_output
@click.option(
    "--version",
    "version",
    type=click.IntRange(min=0),
    help="Read this version of all tables, as ./kappa versions lists them.",
)
@click.option(
    "--as-of",
    "as_of",
    metavar="TIME|GTID",
    help="Read the version as of a time (10m ago, 2026-01-31T12:00:00 UTC), or the first with a "
    "GTID.",
)
def hive(
    settings: Settings,
    statement: str | None,
    csv_: bool,
    json_: bool,
    max_rows: int | None,
    version: int | None,
    as_of: str | None,
) -> None:
    """Query the warehouse in HiveQL. STATEMENT `-` reads statements from standard input.

    Statements that follow each other see different versions, and so may the tables of one statement
    for some milliseconds; with --version or --as-of all see that one, under the usual names.
    """
    from infra.cli.query.hive import HiveQueries
    from infra.cli.query.statements import run_statements
    from schemas.sql_tokens import HIVE

    if version is not None and as_of is not None:
        raise UsageError("--version and --as-of exclude each other", "give one of them")
    output = _output(csv_, json_, max_rows)
    queries = HiveQueries(settings)
    if as_of is not None:
        version = queries.version_as_of(as_of)
    if version is not None:
        queries.use_version(version)
    history = settings.home / "query-hive.history"
    run_statements("hive", HIVE, queries.execute, statement, output, history)


@query.command()
@_statement_and_output
def cassandra(
    settings: Settings, statement: str | None, csv_: bool, json_: bool, max_rows: int | None
) -> None:
    """Query the live counts in CQL. STATEMENT `-` reads statements from standard input."""
    from infra.cli.query.cassandra import cassandra_queries
    from infra.cli.query.statements import run_statements
    from schemas.sql_tokens import CQL

    output = _output(csv_, json_, max_rows)
    history = settings.home / "query-cassandra.history"
    with cassandra_queries(settings) as execute:
        run_statements("cassandra", CQL, execute, statement, output, history)


def _output(csv_: bool, json_: bool, max_rows: int | None) -> "Output":
    from infra.cli.query.statements import Output

    if csv_ and json_:
        raise UsageError("--csv and --json exclude each other", "give one of them")
    if csv_:
        return Output("csv", max_rows)
    if json_:
        return Output("json", max_rows)
    return Output("table", max_rows or ROWS_IN_A_TABLE)
