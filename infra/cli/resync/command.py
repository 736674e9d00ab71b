"""`kappa resync`: tables are read from MySQL again, beside the stream."""

import json
import time
from typing import Any

import click

from connectors.runtime.settings import Settings
from infra.cli.options import as_json

# Reading is limited by MySQL and HDFS, not by this command: it only waits.
DEFAULT_TIMEOUT_SECONDS = 3600.0


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--all", "all_tables", is_flag=True, help="All tables of the warehouse.")
@click.option("--no-wait", is_flag=True, help="Request it, and return immediately.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=1),
    default=DEFAULT_TIMEOUT_SECONDS,
    show_default=True,
    help="Wait at most this many seconds.",
)
@as_json
@click.pass_obj
def resync(
    settings: Settings,
    tables: tuple[str, ...],
    all_tables: bool,
    no_wait: bool,
    timeout_seconds: float,
    json_: bool,
) -> None:
    """Read tables from MySQL again, beside the stream, and show them at one consistent cut.

    TABLES are named as in MySQL. Until a table is whole, Hive shows its last state; the other
    tables go on.
    """
    from infra.cli.resync.requested_tables import request_tables, wait_until_read

    begin = time.monotonic()
    requests = request_tables(settings, tables, all_tables)
    names = [request.table for request in requests]
    if no_wait:
        _print({"requested": names}, f"requested: {', '.join(names)}", json_)
        return
    rows = wait_until_read(settings, requests, timeout_seconds)
    seconds = time.monotonic() - begin
    total = sum(rows.values())
    text = f"read again: {', '.join(names)}; {total:,} rows in {seconds:.1f} s"
    _print({"read": rows, "seconds": round(seconds, 2)}, text, json_)


def _print(data: dict[str, Any], text: str, json_: bool) -> None:
    click.echo(json.dumps(data) if json_ else text)
