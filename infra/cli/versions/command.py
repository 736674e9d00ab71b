"""`kappa compact` and `kappa versions`: the compactor's steps by hand, and what is published."""

import json
from typing import TYPE_CHECKING, Any

import click

from connectors.runtime.settings import Settings
from infra.cli.options import as_json

if TYPE_CHECKING:
    from schemas.manifest import Manifest

COLUMNS = ("version", "created_at", "changes", "tables", "gtid")


@click.command()
@click.option(
    "--now",
    is_flag=True,
    help="Compact immediately, and wait until everything logged so far is published.",
)
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=1),
    default=120,
    show_default=True,
    help="Wait at most this many seconds.",
)
@as_json
@click.pass_obj
def compact(settings: Settings, now: bool, timeout_seconds: float, json_: bool) -> None:
    """Show the newest version of the warehouse and how far the log is ahead of it; with --now,
    catch up first.
    """
    from connectors.hadoop.hdfs import Hdfs
    from connectors.hadoop.manifest_store import ManifestStore
    from connectors.runtime.process_state import read_state
    from infra.cli.versions.catch_up import PROCESS, catch_up, offsets_ahead

    store = ManifestStore(Hdfs(settings.hdfs), settings.hdfs.root)
    if now:
        catch_up(settings, store, timeout_seconds)
    newest = store.newest()
    ahead = offsets_ahead(settings, newest)
    state = read_state(settings.home, PROCESS) or {}
    refusals = state.get("refused", {})
    if json_:
        compactor = {"seconds": state.get("seconds", {}), "refused": refusals}
        click.echo(
            json.dumps({**version_figures(newest), "offsets_ahead": ahead, **compactor})
        )
        return
    gtid = newest.gtid or "no GTID yet"
    position = f"version {newest.version} of {newest.created_at} at {gtid}"
    click.echo(f"{position}; the log is {ahead} offsets ahead")
    for topic, reason in refusals.items():
        click.echo(f"not replicated: {topic}: {reason}", err=True)


@click.command()
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many versions, the newest last.",
)
@as_json
@click.pass_obj
def versions(settings: Settings, count: int, json_: bool) -> None:
    """List the retained versions of the warehouse: number, time, changes, tables, GTID set."""
    from connectors.hadoop.hdfs import Hdfs
    from connectors.hadoop.manifest_store import ManifestStore
    from infra.terminal.result_table import ResultTable, show

    store = ManifestStore(Hdfs(settings.hdfs), settings.hdfs.root)
    rows = []
    for number in store.numbers()[-count:]:
        figures = version_figures(store.read(number))
        if not json_:
            figures["tables"] = ", ".join(figures["tables"])
        rows.append([figures[column] for column in COLUMNS])
    show(ResultTable(COLUMNS, rows), "json" if json_ else "table")


def version_figures(manifest: "Manifest") -> dict[str, Any]:
    """Return a version's main figures, by the names of COLUMNS."""
    return {
        "version": manifest.version,
        "created_at": manifest.created_at,
        "changes": manifest.changes,
        "tables": manifest.changed_tables(),
        "gtid": manifest.gtid,
    }
