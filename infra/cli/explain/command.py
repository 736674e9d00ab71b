"""`kappa explain`: one row's history, and where the row is now."""

import json
import time

import click

from connectors.runtime.settings import Settings
from infra.cli.options import as_json

# Quicker work needs no line of progress.
SILENT_SECONDS = 2.0


@click.command()
@click.argument("table")
@click.argument("key")
@as_json
@click.pass_obj
def explain(settings: Settings, table: str, key: str, json_: bool) -> None:
    """Show every change of one row: its time, its transaction, the values before and after, and the
    version of the warehouse that has it.

    KEY is the row's primary key; commas separate the columns of a compound key. A row whose key was
    changed is followed both ways. Changes that are not archived yet are read from the log. Exit
    code 1 if there never was such a row.
    """
    from infra.cli.explain.lookup import explained_row
    from infra.cli.explain.render import as_data, as_text
    from infra.cli.watch.values import plain
    from infra.terminal.progress_line import ProgressLine

    with ProgressLine() as line:
        started_at = time.monotonic()

        def report(task: str, fraction: float | None, detail: str) -> None:
            if time.monotonic() - started_at > SILENT_SECONDS:
                line(task, fraction, detail)

        row = explained_row(settings, table, key, report)
    if json_:
        click.echo(json.dumps(as_data(row), default=plain, ensure_ascii=False))
        return
    for text in as_text(row):
        click.echo(text)
