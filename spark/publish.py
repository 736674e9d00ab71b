"""Hive brought to a version: tables made, partitions switched. Repeatable: only what differs from the manifest is changed."""

from collections.abc import Mapping
from dataclasses import replace

from connectors.hdfs import Hdfs
from connectors.hive import HiveTable, Metastore
from infra.settings import Settings
from schemas.warehouse import LAKE_PARTITION, WHOLE, lake_folder, table_folder
from spark.manifest import Archive, Manifest, Table

Wanted = tuple[HiveTable, dict[str, str]]  # a table, and where each of its partitions lies


class Publisher:
    """Publishes manifests, and remembers what Hive shows, so that a quiet table costs no call."""

    def __init__(self, settings: Settings, hdfs: Hdfs) -> None:
        self._settings, self._hdfs = settings, hdfs
        self._shown: dict[tuple[str, str], Wanted] = {}

    def forget(self) -> None:
        """Look at Hive anew next time: somebody else may have changed it."""
        self._shown.clear()

    def publish(self, manifest: Manifest) -> None:
        """Make Hive show a version. Raises Unavailable or Refused; then it is to be called again, and goes on where it stopped."""
        changed = [wanted for wanted in self._wanted(manifest) if self._shown.get(_name(wanted[0])) != wanted]
        dropped = [(self._settings.hive.warehouse_database, name) for name in manifest.dropped]
        if not changed and not dropped:
            return
        with Metastore(self._settings.hive.metastore_uris) as metastore:
            for gone in dropped:
                metastore.drop_table(*gone)
                self._shown.pop(gone, None)
            for table, locations in changed:
                name = _name(table)
                shown = self._shown.pop(name, None) or _shown(metastore, table)
                self._switch(metastore, shown, table, locations)
                self._shown[name] = (table, locations)

    def _switch(self, metastore: Metastore, shown: Wanted | None, table: HiveTable, locations: Mapping[str, str]) -> None:
        """From what Hive shows to what is wanted. The properties, which name the version, come last: they never promise too much."""
        if table.partition_column is None:
            if shown is None or shown[0] != table:
                metastore.ensure_table(table)
            return
        if shown is None or shown[0].columns != table.columns or shown[0].location != table.location:
            metastore.ensure_table(replace(table, properties={}))
        self._switch_partitions(metastore, shown, table, locations)
        if shown is None or shown[0] != table:
            metastore.ensure_table(table)

    def _switch_partitions(self, metastore: Metastore, shown: Wanted | None, table: HiveTable, locations: Mapping[str, str]) -> None:
        """One call switches them all: new partitions are added empty before it, and emptied ones dropped after it."""
        before = shown[1] if shown else {}
        recast = shown is not None and shown[0].columns != table.columns
        nowhere = self._hdfs.uri(f"{self._settings.hdfs.root}/_hive/_empty")
        new = [value for value in locations if value not in before]
        emptied = [value for value in before if value not in locations]
        if new or emptied:
            self._hdfs.mkdirs(f"{self._settings.hdfs.root}/_hive/_empty")
        metastore.add_partitions(table, dict.fromkeys(new, nowhere))
        switched = {value: location for value, location in locations.items() if recast or before.get(value) != location}
        metastore.alter_partitions(table, switched | dict.fromkeys(emptied, nowhere))
        metastore.drop_partitions(table, emptied)

    def _wanted(self, manifest: Manifest) -> list[Wanted]:
        hive = self._settings.hive
        tables = [self._table(hive.warehouse_database, name, table) for name, table in manifest.tables.items()]
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
