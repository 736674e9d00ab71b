"""Publishing of a version in Hive: tables are created and partitions are switched.

Repeatable: only differences between Hive and the manifest are changed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Protocol

from connectors.hadoop.hive_metastore import (
    EXTERNAL,
    HiveTable,
    Metastore,
    PartitionDefinition,
)
from connectors.runtime.settings import Settings
from schemas.hive.names import hive_columns
from schemas.hive.properties import gtid_property
from schemas.manifest import LakeTable, Manifest
from schemas.warehouse_layout import LAKE_PARTITION, Kind, lake_folder
from spark.publish.hive_tables import TableState, UriResolver, warehouse_table
from spark.publish.refused_tables import RefusedTables, TableName

# A table property: "true" from the change of a table's columns until its partitions have them too.
SWITCHING = "kappa.switching"
# The metastore has a thread per connection, 64 in all, and Hive's queries need some of them.
MAX_CONNECTIONS = 8
# Types that can be changed into ours in place; another one (a view) is dropped.
TABLE_TYPES = (EXTERNAL, "MANAGED_TABLE")


class FileSystem(UriResolver, Protocol):
    """HDFS, as far as the publisher needs it."""

    def mkdirs(self, folder: str) -> None:
        """Create a folder if it does not exist."""


class MetastoreConnection(Protocol):
    """One connection to the metastore, as far as the publisher needs it."""

    def table(self, database: str, name: str) -> HiveTable | None:
        """Return a table, None if it does not exist."""

    def ensure_table(self, table: HiveTable) -> None:
        """Create a table, or give the existing one these columns, location and properties."""

    def drop_table(self, database: str, name: str) -> None:
        """Drop a table if it exists."""

    def partitions(self, database: str, name: str) -> dict[str, PartitionDefinition]:
        """Return the partitions by their values."""

    def add_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        """Add partitions in one call."""

    def alter_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        """Switch the locations of partitions in one call."""

    def drop_partitions(self, table: HiveTable, values: Sequence[str]) -> None:
        """Drop partitions in one call."""

    def describe_database(self, name: str, properties: Mapping[str, str]) -> None:
        """Set further properties of a database."""


Connect = Callable[[str], AbstractContextManager[MetastoreConnection]]


@dataclass(frozen=True)
class TableUpdate:
    """The state of a table in Hive (None if it does not exist) and the one to reach.

    `was_interrupted`: an earlier update changed the table's columns, and maybe not its partitions'.
    `altered_values` are partitions that Hive reads by other columns or classes than the target's.
    """

    current: TableState | None
    target: TableState
    was_interrupted: bool = False
    altered_values: frozenset[str] = frozenset()

    @property
    def current_locations(self) -> Mapping[str, str]:
        """The location of each partition in Hive."""
        return self.current.locations if self.current else {}

    @property
    def has_other_columns(self) -> bool:
        """Whether the table exists with other columns."""
        return (
            self.current is not None
            and self.current.table.columns != self.target.table.columns
        )

    @property
    def changes_table(self) -> bool:
        """Whether the table must be created, or changed before its partitions are."""
        if self.current is None or self.was_interrupted or self.has_other_columns:
            return True
        current = self.current.table
        target = self.target.table
        return (current.location, current.storage, current.table_type) != (
            target.location,
            target.storage,
            target.table_type,
        )

    @property
    def new_values(self) -> list[str]:
        """The partitions that Hive does not have yet."""
        current = self.current_locations
        return [value for value in self.target.locations if value not in current]

    @property
    def removed_values(self) -> list[str]:
        """The partitions that have no rows any longer."""
        target = self.target.locations
        return [value for value in self.current_locations if value not in target]

    @property
    def switched_locations(self) -> dict[str, str]:
        """The new locations. All of them if columns changed, since partitions have columns too."""
        target = self.target.locations
        if self.has_other_columns or self.was_interrupted:
            return dict(target)
        current = self.current_locations
        switched_locations = {}
        for value, location in target.items():
            if current.get(value) != location or value in self.altered_values:
                switched_locations[value] = location
        return switched_locations


class HivePublisher:
    """Publishes versions. Remembers what Hive has, so that an unchanged table costs no call."""

    def __init__(
        self, settings: Settings, hdfs: FileSystem, connect: Connect = Metastore
    ) -> None:
        self._settings = settings
        self._hdfs = hdfs
        self._connect = connect
        self._published_tables: dict[TableName, TableState] = {}
        self.refused_tables = RefusedTables()
        self._tables_to_drop: set[TableName] = set()
        # New and removed partitions point here, where no file is.
        self._empty_folder = f"{settings.hdfs.root}/_hive/_empty"

    def forget(self) -> None:
        """Read Hive's state again next time, since another process may have changed it."""
        self._published_tables.clear()

    def is_read_by_refused_table(self, folder: str) -> bool:
        """Return whether a table that the metastore refuses still shows a folder's files."""
        return self.refused_tables.is_read(self._hdfs.uri(folder))

    def publish(self, manifest: Manifest) -> float:
        """Make Hive show a version. Returns the seconds during which versions could be mixed.

        Three steps: what readers cannot see; the switches of MySQL's tables, one call each, all
        in parallel; what readers do not see again. A table that the metastore refuses stays as it
        is (`refused_tables`). Raises Unavailable, or Refused if the metastore refuses more than a
        table: call it again, and it continues where it stopped.
        """
        self.refused_tables.begin()
        targets = self._target_states(manifest)
        changed_targets = [
            target
            for target in targets
            if self._published_tables.get(target.name) != target
        ]
        mysql_tables = self._mysql_tables(manifest)
        with self._connect(self._settings.hive.metastore_uris) as metastore:
            updates = self._prepared_updates(metastore, changed_targets)
            mysql_updates = [u for u in updates if u.target.name in mysql_tables]
            other_updates = [u for u in updates if u.target.name not in mysql_tables]
            seconds = self._switch_in_parallel(mysql_updates)
            self._switch_all(metastore, other_updates)
            for update in updates:
                self._finish_unless_refused(metastore, update)
            self._drop_tables(metastore, manifest)
            self._describe_database(metastore, manifest)
        return seconds

    def _mysql_tables(self, manifest: Manifest) -> set[TableName]:
        """The tables that one consistent cut is for."""
        database = self._settings.hive.warehouse_database
        return {
            (database, name)
            for name, table in manifest.tables.items()
            if table.kind == Kind.CHANGES.value
        }

    def _update(self, metastore: MetastoreConnection, target: TableState) -> TableUpdate:
        """Forget the table's state: if the update fails, Hive is read again."""
        current = self._published_tables.pop(target.name, None)
        if current is not None:
            return TableUpdate(current, target)
        return _update_from_hive(metastore, target)

    def _prepared_updates(
        self, metastore: MetastoreConnection, targets: Sequence[TableState]
    ) -> list[TableUpdate]:
        """Return the updates of tables that can be switched now."""
        updates = []
        for target in targets:
            with self._isolated(target):
                update = self._update(metastore, target)
                with self._isolated(target, update.current):
                    self._prepare(metastore, update)
                    updates.append(update)
        return updates

    def _isolated(
        self, target: TableState, current: TableState | None = None
    ) -> AbstractContextManager[None]:
        """Keep a refusal of this table from the others.

        `current` is the table in Hive; if it is not known, Hive may read any folder of the table.
        """
        location = target.table.location
        if current is not None:
            folders = [current.table.location, *current.locations.values()]
        elif target.table.partition_column is None:
            folders = [location.rpartition("/")[0]]
        else:
            folders = [location]
        return self.refused_tables.isolated(target.name, folders)

    def _prepare(self, metastore: MetastoreConnection, update: TableUpdate) -> None:
        """Create new partitions empty, where readers cannot see them."""
        table = update.target.table
        if table.partition_column is None:
            return
        if update.changes_table:
            metastore.ensure_table(replace(table, properties={SWITCHING: "true"}))
        if update.new_values or update.removed_values:
            self._hdfs.mkdirs(self._empty_folder)
        empty_locations = dict.fromkeys(
            update.new_values, self._hdfs.uri(self._empty_folder)
        )
        metastore.add_partitions(table, empty_locations)

    def _switch(self, metastore: MetastoreConnection, update: TableUpdate) -> None:
        """Make readers see the new state, in one call."""
        table = update.target.table
        if table.partition_column is None:
            metastore.ensure_table(table)
            return
        empty_locations = dict.fromkeys(
            update.removed_values, self._hdfs.uri(self._empty_folder)
        )
        metastore.alter_partitions(table, update.switched_locations | empty_locations)

    def _finish(self, metastore: MetastoreConnection, update: TableUpdate) -> None:
        """Drop the removed partitions, then set the properties.

        The properties name the version. They are last, so that they never claim too much.
        """
        table = update.target.table
        if table.partition_column is None:
            return
        metastore.drop_partitions(table, update.removed_values)
        if update.changes_table or update.current is None or update.current.table != table:
            properties = {**table.properties, SWITCHING: "false"}
            metastore.ensure_table(replace(table, properties=properties))

    def _switch_in_parallel(self, updates: Sequence[TableUpdate]) -> float:
        """Switch tables over several connections: the metastore has no call for several tables.

        Returns the seconds from the first switch to the last.
        """
        if not updates:
            return 0.0
        uris = self._settings.hive.metastore_uris
        workers = min(len(updates), MAX_CONNECTIONS)
        shares = [updates[number::workers] for number in range(workers)]
        with ExitStack() as stack, ThreadPoolExecutor(workers) as pool:
            connections = [stack.enter_context(self._connect(uris)) for _ in shares]
            begin = time.monotonic()
            list(pool.map(self._switch_all, connections, shares))
            return time.monotonic() - begin

    def _switch_all(
        self, metastore: MetastoreConnection, updates: Sequence[TableUpdate]
    ) -> None:
        for update in updates:
            with self._isolated(update.target, update.current):
                self._switch(metastore, update)

    def _finish_unless_refused(
        self, metastore: MetastoreConnection, update: TableUpdate
    ) -> None:
        name = update.target.name
        if name in self.refused_tables:
            return
        with self._isolated(update.target, update.current):
            self._finish(metastore, update)
            self._published_tables[name] = update.target

    def _drop_tables(self, metastore: MetastoreConnection, manifest: Manifest) -> None:
        """Drop the tables that a version drops, and those of earlier ones that were refused."""
        database = self._settings.hive.warehouse_database
        self._tables_to_drop |= {(database, name) for name in manifest.dropped_tables}
        self._tables_to_drop -= {(database, name) for name in manifest.tables}
        for name in sorted(self._tables_to_drop):
            with self.refused_tables.isolated(name, ()):
                metastore.drop_table(*name)
                self._published_tables.pop(name, None)
                self._tables_to_drop.discard(name)

    def _describe_database(
        self, metastore: MetastoreConnection, manifest: Manifest
    ) -> None:
        if manifest.whole and manifest.version >= 0:
            properties = {
                "kappa.version": str(manifest.version),
                "kappa.gtid": gtid_property(manifest.gtid),
            }
            metastore.describe_database(self._settings.hive.warehouse_database, properties)

    def _target_states(self, manifest: Manifest) -> list[TableState]:
        """The tables to show.

        A version with a part of a snapshot equals no point of MySQL's history: MySQL's tables stay
        as they are. Clicks and the archive do not depend on such a point.
        """
        root = self._settings.hdfs.root
        database = self._settings.hive.warehouse_database
        states = []
        for name, table in manifest.tables.items():
            if manifest.whole or table.kind == Kind.FACTS.value:
                states.append(warehouse_table(self._hdfs, root, database, name, table))
        for name, archive in manifest.archives.items():
            states.append(self._lake_table(name, archive))
        return states

    def _lake_table(self, name: str, archive: LakeTable) -> TableState:
        folder = self._hdfs.uri(lake_folder(self._settings.hdfs.root, archive.topic))
        locations = {
            date: self._hdfs.uri(lake_day.location)
            for date, lake_day in archive.days.items()
        }
        hive_table = HiveTable(
            database=self._settings.hive.lake_database,
            name=name,
            columns=hive_columns(archive.columns),
            partition_column=LAKE_PARTITION,
            location=folder,
        )
        return TableState(hive_table, locations)


def _update_from_hive(metastore: MetastoreConnection, target: TableState) -> TableUpdate:
    """Read a table's state with only the properties that the target has.

    A table with another partition column is dropped, and so is what is no table.
    """
    hive_table = metastore.table(*target.name)
    if hive_table is None:
        return TableUpdate(None, target)
    partition_column = target.table.partition_column
    is_table = hive_table.table_type in TABLE_TYPES
    if not is_table or hive_table.partition_column != partition_column:
        metastore.drop_table(*target.name)
        return TableUpdate(None, target)
    definitions = metastore.partitions(*target.name) if partition_column else {}
    properties = {
        key: value
        for key, value in hive_table.properties.items()
        if key in target.table.properties
    }
    locations = {value: part.location for value, part in definitions.items()}
    current = TableState(replace(hive_table, properties=properties), locations)
    was_interrupted = hive_table.properties.get(SWITCHING) == "true"
    altered_values = _altered_values(definitions, target.table)
    return TableUpdate(current, target, was_interrupted, altered_values)


def _altered_values(
    definitions: Mapping[str, PartitionDefinition], table: HiveTable
) -> frozenset[str]:
    altered_values = set()
    for value, part in definitions.items():
        if part.columns != table.columns or part.storage != table.storage:
            altered_values.add(value)
    return frozenset(altered_values)
