"""`kappa compact` and `kappa versions`: the compactor's steps by hand, and what is published."""

import json
import time
from dataclasses import dataclass
from typing import Any

import click

from connectors import kafka
from connectors.hdfs import Hdfs
from infra.answers import Answer, show
from infra.errors import ContractError, Unavailable
from infra.settings import Settings
from infra.state import read_state
from infra.steps import Steps
from schemas.warehouse import source_of
from spark.manifest import Manifest, Versions

PROCESS = "compactor"
REQUEST = "compact.request"
POLL_SECONDS = 0.2
LOOK_AT = "see ./kappa status and ./kappa logs compactor"

Ends = dict[tuple[str, int], int]


@dataclass
class Waiting:
    """How far the compactor has come towards an end of the log."""

    settings: Settings
    versions: Versions
    ends: Ends

    def published(self) -> Manifest | None:
        """The newest published version, if it holds everything up to the end."""
        state = read_state(self.settings.home, PROCESS) or {}
        numbers = self.versions.numbers()
        if state.get("version") is None or not numbers:
            return None
        newest = self.versions.read(numbers[-1])
        refused = state.get("refused", {})
        self.ends = {place: end for place, end in self.ends.items() if place[0] not in refused and behind(newest, place, end)}
        return newest if not self.ends and state["version"] >= newest.version else None

    def missing(self) -> str:
        """What is being waited for, for people."""
        return f"a version with {', '.join(sorted({topic for topic, _ in self.ends})) or 'everything, shown by Hive'}"


def behind(manifest: Manifest, place: tuple[str, int], end: int) -> bool:
    """Whether a version ends before an offset of a partition."""
    topic, partition = place
    return manifest.offsets.get(topic, {}).get(partition, 0) < end


@click.command()
@click.option("--now", is_flag=True, help="Compact at once, and wait until everything logged so far is published.")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(min=1), default=120, show_default=True, help="Seconds to wait at most.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def compact(settings: Settings, now: bool, timeout_seconds: float, json_: bool) -> None:
    """Show the newest version of the warehouse and how far the log is ahead; with --now, catch up first."""
    versions = Versions(Hdfs(settings.hdfs), settings.hdfs.root)
    if now:
        catch_up(settings, versions, timeout_seconds)
    newest = versions.newest()
    ahead = sum(end - newest.offsets.get(topic, {}).get(partition, 0) for (topic, partition), end in log_ends(settings).items())
    state = read_state(settings.home, PROCESS) or {}
    figures = {**described(newest), "offsets_ahead": ahead, "seconds": state.get("seconds", {}), "refused": state.get("refused", {})}
    if json_:
        click.echo(json.dumps(figures))
        return
    click.echo(f"version {newest.version} of {newest.created_at} at {newest.gtid or 'no GTID yet'}; the log is {ahead} offsets ahead")
    for topic, reason in figures["refused"].items():
        click.echo(f"not carried: {topic}: {reason}", err=True)


def catch_up(settings: Settings, versions: Versions, timeout_seconds: float) -> Manifest:
    """Have the compactor compact at once; the published version that holds everything logged until now.

    Raises Unavailable if it takes longer than that.
    """
    waiting = Waiting(settings, versions, log_ends(settings))
    (settings.home / "run").mkdir(parents=True, exist_ok=True)
    (settings.home / "run" / REQUEST).touch()
    deadline = time.monotonic() + timeout_seconds
    with Steps().waiting(lambda: f"waiting for {waiting.missing()}"):
        while (published := waiting.published()) is None:
            if time.monotonic() > deadline:
                detail = (read_state(settings.home, PROCESS) or {}).get("detail", "it has said nothing yet")
                raise Unavailable(f"no version holds everything within {timeout_seconds:.0f} s; the compactor: {detail}", LOOK_AT)
            time.sleep(POLL_SECONDS)
    return published


def log_ends(settings: Settings) -> Ends:
    """The end of everything that the warehouse takes from the log."""
    carried = []
    for topic in kafka.list_topics(settings.kafka):
        try:
            if source_of(topic, settings.mysql.database) is not None:
                carried.append(topic)
        except ContractError:
            continue  # the compactor says so in its state
    return {place: held.stable for place, held in kafka.offsets(settings.kafka, carried).items() if held.stable > held.low}


@click.command(name="versions")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the newest last.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def versions_command(settings: Settings, count: int, json_: bool) -> None:
    """List the kept versions of the warehouse: number, time, records taken in, tables touched, GTID."""
    store = Versions(Hdfs(settings.hdfs), settings.hdfs.root)
    found = [described(store.read(number)) for number in store.numbers()[-count:]]
    columns = ("version", "created_at", "changes", "tables", "gtid")
    rows = [[row[column] if column != "tables" or json_ else ", ".join(row[column]) for column in columns] for row in found]
    show(Answer(columns, rows), "json" if json_ else "table")


def described(manifest: Manifest) -> dict[str, Any]:
    """A version's main figures."""
    return {
        "version": manifest.version,
        "created_at": manifest.created_at,
        "changes": manifest.changes,
        "tables": manifest.touched(),
        "gtid": manifest.gtid,
    }


versions = versions_command
