"""Hive brought to a version: tables made, partitions switched. Repeatable: only what differs from the manifest is changed."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from connectors.hdfs import Hdfs
from connectors.hive import HiveTable, Metastore
from infra.settings import Settings
from schemas.warehouse import LAKE_PARTITION, WHOLE, Kind, lake_folder, table_folder
from spark.manifest import Archive, Manifest, Table

Wanted = tuple[HiveTable, dict[str, str]]  # a table, and where each of its partitions lies
Switch = Callable[[Metastore], None]


class Publisher:
    """Publishes manifests, and remembers what Hive shows, so that a quiet table costs no call."""

    def __init__(self, settings: Settings, hdfs: Hdfs) -> None:
        self._settings, self._hdfs = settings, hdfs
        self._shown: dict[tuple[str, str], Wanted] = {}

    def forget(self) -> None:
        """Look at Hive anew next time: somebody else may have changed it."""
        self._shown.clear()

    def publish(self, manifest: Manifest) -> float:
        """Make Hive show a version; the seconds during which tables of different versions could be seen.

        Everything that readers do not see is done before and after the switches of MySQL's tables, which are one call each, all at once.
        Raises Unavailable or Refused; then it is to be called again, and goes on where it stopped.
        """
        changed = [wanted for wanted in self._wanted(manifest) if self._shown.get(_name(wanted[0])) != wanted]
        with Metastore(self._settings.hive.metastore_uris) as metastore:
            found = [(self._shown.pop(_name(table), None) or _shown(metastore, table), table, locations) for table, locations in changed]
            switches = {_name(table): self._prepared(metastore, shown, table, locations) for shown, table, locations in found}
            of_mysql = [switches.pop(name) for name in self._of_mysql(manifest) if name in switches]
            seconds = self._all_at_once(of_mysql)
            for switch in switches.values():
                switch(metastore)
            for shown, table, locations in found:
                self._finish(metastore, shown, table, locations)
                self._shown[_name(table)] = (table, locations)
            for gone in ((self._settings.hive.warehouse_database, name) for name in manifest.dropped):
                metastore.drop_table(*gone)
                self._shown.pop(gone, None)
            if manifest.whole and manifest.version >= 0:
                about = {"kappa.version": str(manifest.version), "kappa.gtid": manifest.gtid}
                metastore.describe_database(self._settings.hive.warehouse_database, about)
        return seconds

    def _of_mysql(self, manifest: Manifest) -> list[tuple[str, str]]:
        """The tables that one cut is for."""
        database = self._settings.hive.warehouse_database
        return [(database, name) for name, table in manifest.tables.items() if table.kind == Kind.CHANGES.value]

    def _all_at_once(self, switches: Sequence[Switch]) -> float:
        """Each over a connection of its own, since the metastore has no call for several tables; the seconds from the first to the last."""
        if not switches:
            return 0.0
        with ExitStack() as stack, ThreadPoolExecutor(len(switches)) as pool:
            connections = [stack.enter_context(Metastore(self._settings.hive.metastore_uris)) for _ in switches]
            begin = time.monotonic()
            list(pool.map(lambda switch, connection: switch(connection), switches, connections))
            return time.monotonic() - begin

    def _prepared(self, metastore: Metastore, shown: Wanted | None, table: HiveTable, locations: Mapping[str, str]) -> Switch:
        """Everything but the switch, which is what comes back: new partitions are there, empty."""
        if table.partition_column is None:
            return lambda connection: connection.ensure_table(table)
        if shown is None or shown[0].columns != table.columns or shown[0].location != table.location:
            metastore.ensure_table(replace(table, properties={}))
        before = shown[1] if shown else {}
        recast = shown is not None and shown[0].columns != table.columns
        nowhere = self._hdfs.uri(f"{self._settings.hdfs.root}/_hive/_empty")
        new, emptied = [value for value in locations if value not in before], [value for value in before if value not in locations]
        if new or emptied:
            self._hdfs.mkdirs(f"{self._settings.hdfs.root}/_hive/_empty")
        metastore.add_partitions(table, dict.fromkeys(new, nowhere))
        switched = {value: location for value, location in locations.items() if recast or before.get(value) != location}
        return lambda connection: connection.alter_partitions(table, switched | dict.fromkeys(emptied, nowhere))

    def _finish(self, metastore: Metastore, shown: Wanted | None, table: HiveTable, locations: Mapping[str, str]) -> None:
        """Emptied partitions go. The properties, which name the version, come last: they never promise too much."""
        if table.partition_column is None:
            return
        metastore.drop_partitions(table, [value for value in (shown[1] if shown else {}) if value not in locations])
        if shown is None or shown[0] != table:
            metastore.ensure_table(table)

    def _wanted(self, manifest: Manifest) -> list[Wanted]:
        hive = self._settings.hive
        # What holds a part of a snapshot stands for no point of MySQL's history; clicks and the archive have none to stand for.
        shown = {name: table for name, table in manifest.tables.items() if manifest.whole or table.kind == Kind.FACTS.value}
        tables = [self._table(hive.warehouse_database, name, table) for name, table in shown.items()]
        return tables + [self._archive(hive.lake_database, name, archive) for name, archive in manifest.archives.items()]

    def _table(self, database: str, name: str, table: Table) -> Wanted:
        locations = {value: self._hdfs.uri(partition.location) for value, partition in table.partitions.items()}
        folder = self._hdfs.uri(table_folder(self._settings.hdfs.root, name))
        properties = {"kappa.version": str(table.version), "kappa.gtid": table.gtid}
        hive_table = HiveTable(database, name, _lower(table.columns), table.partition_column, folder, properties)
        if table.partition_column is None:
            return replace(hive_table, location=locations[WHOLE]), {}
        return hive_table, locations

    def _archive(self, database: str, name: str, archive: Archive) -> Wanted:
        folder = self._hdfs.uri(lake_folder(self._settings.hdfs.root, archive.topic))
        locations = {day: self._hdfs.uri(found.location) for day, found in archive.days.items()}
        return HiveTable(database, name, _lower(archive.columns), LAKE_PARTITION, folder, {}), locations


def _shown(metastore: Metastore, table: HiveTable) -> Wanted | None:
    """What Hive shows under a table's name now, with the properties of ours only."""
    found = metastore.table(table.database, table.name)
    if found is None:
        return None
    if found.partition_column != table.partition_column:
        metastore.drop_table(table.database, table.name)
        return None
    ours = {key: found.properties[key] for key in table.properties if key in found.properties}
    partitions = metastore.partitions(table.database, table.name) if found.partition_column else {}
    return replace(found, properties=ours), partitions


def _name(table: HiveTable) -> tuple[str, str]:
    return table.database, table.name


def _lower(columns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), kind) for name, kind in columns)
