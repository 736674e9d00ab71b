"""From the live tables to others that stand at the same cut, and back: one commit, one switch of Hive, while the compactor rests."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from connectors.hdfs import Hdfs
from infra.errors import Refused, Unavailable, WarehouseError
from infra.settings import Settings
from spark.hold import rest
from spark.housekeeping import settle_arrivals
from spark.manifest import Manifest, Versions
from spark.publish import Publisher
from spark.rebuild import CATCHING_UP, Builder, Rebuilt

AGAIN = "run ./kappa replay warehouse again"
# Rounds of catching up beside the compactor before it is asked to rest: each is shorter than the one before.
MOST_ROUNDS = 5
MOST_ATTEMPTS = 3
# A commit that would end later than the rest is not begun.
LEAST_SECONDS = 2.0


@dataclass(frozen=True)
class Switched:
    """The version that shows the other tables, the seconds from its commit until Hive showed them, and how long the compactor rested."""

    version: int
    seconds: float
    rested_seconds: float


def switch(
    settings: Settings, versions: Versions, builder: Builder, done: Rebuilt, token: str, running: bool, told: Callable[[str], None]
) -> Switched:
    """Bring tables up to the newest version and publish them in the place of the live ones; the compactor goes on from there by itself.

    Raises WarehouseError or Unavailable if that cannot be: then the live warehouse is as it was.
    """
    for _ in range(MOST_ATTEMPTS):
        told(CATCHING_UP)
        done = caught_up(versions, builder, done)
        told("switching")
        switched, done = _in_a_rest(settings, versions, builder, done, token, running)
        if switched is not None:
            builder.remove(done.superseded)
            return switched
    raise Unavailable(f"the last step took longer than the compactor rests, {MOST_ATTEMPTS} times", f"when the machine is less busy, {AGAIN}")


def caught_up(versions: Versions, builder: Builder, done: Rebuilt) -> Rebuilt:
    """The tables at the newest version, or close to it: each round has less to do than the one before."""
    for _ in range(MOST_ROUNDS):
        newest = versions.newest()
        if newest.version == done.manifest.version:
            break
        done = builder.advance(done, newest)
    return done


def _in_a_rest(settings: Settings, versions: Versions, builder: Builder, done: Rebuilt, token: str, running: bool) -> tuple[Switched | None, Rebuilt]:
    """The last step, unless it takes longer than the compactor rests; the tables as far as they came."""
    hdfs, publisher = Hdfs(settings.hdfs), Publisher(settings, Hdfs(settings.hdfs))
    with rest(settings.home, token, running) as until:
        rested_at, newest = time.monotonic(), versions.newest()
        if not newest.whole:
            raise Unavailable("a snapshot of Debezium is coming in", f"wait until ./kappa status shows no snapshot, then {AGAIN}")
        if newest.version > done.manifest.version:
            done = builder.advance(done, newest)
        publisher.publish(newest)  # what Hive shows is known then
        if time.monotonic() > until - LEAST_SECONDS:
            return None, done
        begin, manifest = time.monotonic(), following(newest, done, token)
        versions.commit(manifest)
        settle_arrivals(hdfs, manifest)
        publisher.publish(manifest)
        end = time.monotonic()
    return Switched(manifest.version, round(end - begin, 3), round(end - rested_at, 3)), done


def following(newest: Manifest, done: Rebuilt, token: str) -> Manifest:
    """The version after the newest one, at the same cut, with other tables. Raises WarehouseError if these stand at another cut."""
    if done.manifest.version != newest.version:
        raise WarehouseError(f"the tables stand at version {done.manifest.version}, and version {newest.version} is published", AGAIN)
    number, own = newest.version + 1, done.manifest
    tables = {**newest.tables, **{name: replace(table, version=number) for name, table in own.tables.items()}}
    manifest = replace(
        newest, version=number, previous=newest.version, created_at=datetime.now(UTC).isoformat(timespec="milliseconds"), owner=token, changes=0,
        tables=tables, arrivals=tuple(done.arrivals), dropped=(), rebuilt=tuple(sorted(own.tables)),
        statements={**(newest.statements or {}), **(own.statements or {})},
    )  # fmt: skip
    return replace(manifest, replaced=tuple(sorted(newest.locations() - manifest.locations())))


def before_the_switch(versions: Versions) -> Rebuilt:
    """The tables that the last switch replaced, as they stood then. Raises Refused if there was none, or they are gone."""
    numbers = versions.numbers()
    manifests = (versions.read(number) for number in reversed(numbers))
    last = next((found for found in manifests if found.rebuilt), None)
    if last is None:
        raise Refused("no kept version was made by a replay: there is nothing to go back to", "./kappa versions lists the kept versions")
    if last.previous not in numbers:
        raise Refused(
            f"version {last.previous}, before the replay's version {last.version}, is no longer kept",
            "spark.grace_seconds says how long versions are kept; ./kappa replay warehouse builds the tables anew",
        )
    before = versions.read(last.previous)
    tables = {name: before.tables[name] for name in last.rebuilt if name in before.tables}
    statements = {name: start for name, start in (before.statements or {}).items() if name in tables}
    return Rebuilt(replace(before, tables=tables, statements=statements))
