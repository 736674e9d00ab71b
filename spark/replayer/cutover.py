"""Cutover from the live tables to others at the same cut, and rollback: one commit and one switch
in Hive while the compactor pauses.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from connectors.control.replay_lease import pause_compactor
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestReader, ManifestStore
from connectors.runtime.settings import Settings
from schemas.errors import Refused, Unavailable, WarehouseError
from schemas.manifest import Manifest
from spark.publish.hive_publisher import HivePublisher
from spark.replayer.rebuild import CATCHING_UP, REPLAY_AGAIN, TableBuilder
from spark.replayer.rebuilt_tables import RebuiltTables
from spark.storage.expire_versions import move_arrivals

# Rounds of catching up beside the compactor before it must pause: each is shorter than the one
# before.
MOST_ROUNDS = 5
MOST_ATTEMPTS = 3
# A commit that would end later than the pause does not begin.
LEAST_SECONDS = 2.0


class CatchesUp(Protocol):
    """A builder of tables, as far as catching up needs it."""

    def advance(self, rebuilt_tables: RebuiltTables, cut: Manifest) -> RebuiltTables:
        """Return the tables at a later cut."""


@dataclass(frozen=True)
class CutoverResult:
    """The version that shows the other tables.

    `seconds` is the time from its commit until Hive showed them, `rested_seconds` that during which
    the compactor paused.
    """

    version: int
    seconds: float
    rested_seconds: float


@dataclass(frozen=True)
class Cutover:
    """The cutover of one replay. `token` marks its files and its version.

    `is_compactor_running` says whether there is a compactor that must pause; `report` gets the name
    of each phase.
    """

    settings: Settings
    versions: ManifestStore
    builder: TableBuilder
    token: str
    is_compactor_running: bool
    report: Callable[[str], None]

    def run(self, rebuilt_tables: RebuiltTables) -> CutoverResult:
        """Bring tables up to the newest version and publish them in place of the live ones.

        The compactor continues from them. Raises WarehouseError or Unavailable if that fails: then
        the live warehouse is as it was.
        """
        for _ in range(MOST_ATTEMPTS):
            self.report(CATCHING_UP)
            rebuilt_tables = catch_up(self.versions, self.builder, rebuilt_tables)
            self.report("switching")
            rebuilt_tables, result = self._switch_while_paused(rebuilt_tables)
            if result is not None:
                self.builder.remove(rebuilt_tables.superseded)
                return result
        raise Unavailable(
            f"the last step took longer than the compactor pauses, {MOST_ATTEMPTS} times",
            f"when the machine is less busy, {REPLAY_AGAIN}",
        )

    def _switch_while_paused(
        self, rebuilt_tables: RebuiltTables
    ) -> tuple[RebuiltTables, CutoverResult | None]:
        """Return no result if the pause was too short. The tables keep their progress."""
        hdfs = Hdfs(self.settings.hdfs)
        publisher = HivePublisher(self.settings, hdfs)
        with pause_compactor(
            self.settings.home, self.token, self.is_compactor_running
        ) as resumes_at:
            paused_at = time.monotonic()
            newest = self.versions.newest()
            if not newest.whole:
                raise Unavailable(
                    "a snapshot of Debezium is coming in",
                    f"wait until ./kappa status shows no snapshot, then {REPLAY_AGAIN}",
                )
            if newest.version > rebuilt_tables.manifest.version:
                rebuilt_tables = self.builder.advance(rebuilt_tables, newest)
            publisher.publish(newest)  # so that the publisher knows what Hive has
            if time.monotonic() > resumes_at - LEAST_SECONDS:
                return rebuilt_tables, None
            commit_begin = time.monotonic()
            manifest = next_manifest(newest, rebuilt_tables, self.token)
            self.versions.commit(manifest)
            move_arrivals(hdfs, manifest)
            publisher.publish(manifest)
            end = time.monotonic()
        result = CutoverResult(
            manifest.version, round(end - commit_begin, 3), round(end - paused_at, 3)
        )
        return rebuilt_tables, result


def catch_up(
    versions: ManifestReader, builder: CatchesUp, rebuilt_tables: RebuiltTables
) -> RebuiltTables:
    """Return the tables at the newest version, or close to it: each round has less to do."""
    for _ in range(MOST_ROUNDS):
        newest = versions.newest()
        if newest.version == rebuilt_tables.manifest.version:
            break
        rebuilt_tables = builder.advance(rebuilt_tables, newest)
    return rebuilt_tables


def next_manifest(newest: Manifest, rebuilt_tables: RebuiltTables, token: str) -> Manifest:
    """Return the version after the newest one, at the same cut, with other tables.

    Raises WarehouseError if the tables are at another cut.
    """
    own_manifest = rebuilt_tables.manifest
    if own_manifest.version != newest.version:
        raise WarehouseError(
            f"the tables are at version {own_manifest.version}, and version {newest.version} is "
            "published",
            REPLAY_AGAIN,
        )
    version = newest.version + 1
    tables = dict(newest.tables)
    for name, table in own_manifest.tables.items():
        tables[name] = replace(table, version=version)
    statements = {**(newest.ddl_positions or {}), **(own_manifest.ddl_positions or {})}
    manifest = replace(
        newest,
        version=version,
        previous=newest.version,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        owner=token,
        changes=0,
        tables=tables,
        arrivals=tuple(rebuilt_tables.arrivals),
        dropped_tables=(),
        rebuilt_tables=tuple(sorted(own_manifest.tables)),
        ddl_positions=statements,
    )
    replaced_folders = newest.locations() - manifest.locations()
    return replace(manifest, replaced_folders=tuple(sorted(replaced_folders)))


def tables_before_cutover(versions: ManifestReader) -> RebuiltTables:
    """Return the tables that the last cutover replaced, as they were then.

    Raises Refused if there was no cutover, or the tables' version is no longer retained.
    """
    numbers = versions.numbers()
    last_cutover = _last_cutover(versions, numbers)
    if last_cutover is None:
        raise Refused(
            "no kept version was made by a replay: there is nothing to go back to",
            "./kappa versions lists the kept versions",
        )
    if last_cutover.previous not in numbers:
        raise Refused(
            f"version {last_cutover.previous}, before the replay's version "
            f"{last_cutover.version}, is no longer kept",
            "spark.grace_seconds says how long versions are kept; ./kappa replay warehouse "
            "rebuilds the tables",
        )
    before = versions.read(last_cutover.previous)
    tables = {
        name: before.tables[name]
        for name in last_cutover.rebuilt_tables
        if name in before.tables
    }
    all_statements = before.ddl_positions or {}
    statements = {name: start for name, start in all_statements.items() if name in tables}
    return RebuiltTables(replace(before, tables=tables, ddl_positions=statements))


def _last_cutover(versions: ManifestReader, numbers: list[int]) -> Manifest | None:
    for number in reversed(numbers):
        manifest = versions.read(number)
        if manifest.rebuilt_tables:
            return manifest
    return None
