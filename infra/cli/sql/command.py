"""`kappa sql`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from connectors.runtime.settings import Settings
from schemas.errors import UsageError

if TYPE_CHECKING:
    from infra.cli.sql.output import Output

ROWS_IN_A_TABLE = 1000


@click.command()
@click.argument("statement", required=False)
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run the statements of a file.",
)
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
@click.option("--csv", "csv_", is_flag=True, help="Print CSV with a header.")
@click.option(
    "--json",
    "json_",
    is_flag=True,
    help="Print a JSON list of objects; times are ISO UTC, decimals are text.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(min=1),
    help=f"Print at most this many rows.  [default: {ROWS_IN_A_TABLE} in a table, else all]",
)
@click.pass_obj
def sql(
    settings: Settings,
    statement: str | None,
    file: Path | None,
    version: int | None,
    as_of: str | None,
    csv_: bool,
    json_: bool,
    max_rows: int | None,
) -> None:
    """Query the warehouse, the archive and the live counts in one statement, in DuckDB's SQL.

    All tables of a statement are of one version: the newest, or that of --version or --as-of.
    Tables of the warehouse are named alone (orders), the others as archive.orders and
    live.product_view; the live counts are always those of the moment. STATEMENT `-` reads
    statements from standard input; without one, a shell opens.
    """
    if statement is not None and file is not None:
        raise UsageError("a statement and --file exclude each other", "give one of them")
    output = _output(csv_, json_, max_rows)

    from infra.cli.sql.run import run

    run(settings, statement, file, version, as_of, output)


def _output(csv_: bool, json_: bool, max_rows: int | None) -> "Output":
    from infra.cli.sql.output import Output

    if csv_ and json_:
        raise UsageError("--csv and --json exclude each other", "give one of them")
    if csv_:
        return Output("csv", max_rows)
    if json_:
        return Output("json", max_rows)
    return Output("table", max_rows or ROWS_IN_A_TABLE)
