"""A look at Hive and its folders beside the manifest, while new versions are published.

A look takes seconds, in which versions are published. So it compares with every version
that Hive may have shown, and what it finds counts only if further looks find it too.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from connectors.hadoop.hdfs import Entry, Hdfs
from connectors.hadoop.hive_metastore import HiveTable, Metastore, PartitionDefinition
from connectors.hadoop.manifest_store import ManifestReader, ManifestStore
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.verify.metastore.compare import FoundTable, TableComparison
from infra.verify.metastore.drift import Drift
from infra.verify.metastore.expected_tables import (
    ExpectedVersions,
    TableName,
    expected_versions,
)
from schemas.manifest import Manifest

COMPACTOR = "compactor"
LOOKS = 3
PAUSE_SECONDS = 1.0


class MetastoreReader(Protocol):
    """One connection to the metastore, for reading."""

    def table(self, database: str, name: str) -> HiveTable | None:
        """Return a table, None if it does not exist."""

    def partitions(self, database: str, name: str) -> dict[str, PartitionDefinition]:
        """Return a table's partitions by value."""

    def database_properties(self, name: str) -> dict[str, str]:
        """Return the properties of a database."""


class FolderReader(Protocol):
    """HDFS, as far as a look needs it."""

    def uri(self, path: str) -> str:
        """Return the URI of a path."""

    def list_all(self, folders: Iterable[str]) -> Mapping[str, Sequence[Entry] | None]:
        """Return the entries of folders; None for one that does not exist."""


Connect = Callable[[str], AbstractContextManager[MetastoreReader]]


@dataclass(frozen=True)
class Sources:
    """The sources of a look. `shown_version` returns the version that Hive is said to show."""

    versions: ManifestReader
    hdfs: FolderReader
    connect: Connect
    shown_version: Callable[[], int | None]
    sleep: Callable[[float], object] = time.sleep

    @classmethod
    def of(cls, settings: Settings) -> "Sources":
        """Return the sources of a stack."""
        hdfs = Hdfs(settings.hdfs)
        versions = ManifestStore(hdfs, settings.hdfs.root)

        def shown_version() -> int | None:
            state = read_state(settings.home, COMPACTOR) or {}
            return state.get("version")

        return cls(
            versions=versions, hdfs=hdfs, connect=Metastore, shown_version=shown_version
        )


class Look:
    """Looks for drifts in all tables, or in those whose names in MySQL are given."""

    def __init__(
        self, settings: Settings, sources: Sources, mysql_tables: Sequence[str] = ()
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._mysql_tables = frozenset(mysql_tables)

    def lasting_drifts(self) -> list[Drift]:
        """Return the drifts that each of LOOKS looks finds. Raises Unavailable, Refused."""
        drifts = self._drifts(None)
        for _ in range(LOOKS - 1):
            if not drifts:
                break
            self._sources.sleep(PAUSE_SECONDS)
            earlier = {drift.identity for drift in drifts}
            tables = frozenset(drift.table for drift in drifts)
            drifts = [drift for drift in self._drifts(tables) if drift.identity in earlier]
        return drifts

    def _drifts(self, only: frozenset[str] | None) -> list[Drift]:
        """Look once, at the tables (`database.table`) of `only`, at all for None."""
        versions = self._sources.versions
        numbers_before = versions.numbers()
        if not numbers_before:
            return []
        with self._sources.connect(self._settings.hive.metastore_uris) as metastore:
            database = self._settings.hive.warehouse_database
            properties = metastore.database_properties(database)
            number = self._sources.shown_version()
            if number is None:
                number = _number(properties.get("kappa.version", ""))
            manifests: dict[int, Manifest] = {}
            self._read_versions(manifests, number, numbers_before, numbers_before)
            expected = self._expected(manifests)
            tables = {}
            for name in expected.tables:
                if only is None or ".".join(name) in only:
                    tables[name] = _read_table(metastore, name)
        folders = self._folders(expected, tables)
        listings = self._sources.hdfs.list_all(folders)
        self._read_versions(manifests, number, numbers_before, versions.numbers())
        expected = self._expected(manifests)
        drifts = []
        if not self._mysql_tables and (only is None or database in only):
            drifts += database_drifts(database, properties, expected)
        for name in expected.tables:
            if name in tables:
                comparison = self._comparison(expected, name, tables[name])
                drifts += comparison.definition_drifts()
                drifts += comparison.folder_drifts(listings)
        return drifts

    def _read_versions(
        self,
        manifests: dict[int, Manifest],
        shown_number: int | None,
        before: Sequence[int],
        after: Sequence[int],
    ) -> None:
        """Add the manifests that Hive may have shown and that are not read yet."""
        for number in possible_versions(shown_number, before, after):
            if number not in manifests:
                manifests[number] = self._sources.versions.read(number)

    def _expected(self, manifests: Mapping[int, Manifest]) -> ExpectedVersions:
        ascending = [manifests[number] for number in sorted(manifests)]
        expected = expected_versions(ascending, self._settings, self._sources.hdfs.uri)
        if not self._mysql_tables:
            return expected
        tables = {}
        for name, states in expected.tables.items():
            if states[-1].mysql_table in self._mysql_tables:
                tables[name] = states
        return replace(expected, tables=tables)

    def _folders(
        self, expected: ExpectedVersions, tables: Mapping[TableName, FoundTable]
    ) -> list[str]:
        folders = set[str]()
        for name, table in tables.items():
            comparison = self._comparison(expected, name, table)
            folders.update(comparison.folders())
        return sorted(folders)

    def _comparison(
        self, expected: ExpectedVersions, name: TableName, table: FoundTable
    ) -> TableComparison:
        uri = self._sources.hdfs.uri
        empty_folder = f"{self._settings.hdfs.root}/_hive/_empty"
        return TableComparison(
            expected.tables[name],
            table,
            is_optional=name in expected.optional_tables,
            empty_uri=uri(empty_folder),
            hdfs_uri=uri(""),
        )


def possible_versions(
    shown_number: int | None, before: Sequence[int], after: Sequence[int]
) -> list[int]:
    """Return the versions that Hive may have shown during a look, ascending.

    `shown_number` is the one that it showed whole before, `before` and `after` are the retained
    versions before and after the look. A version is built when the one before it is published: so
    at most the newest was not published yet.
    """
    newest_before = before[-1]
    numbers = {number for number in after if number >= newest_before}
    if shown_number is not None and shown_number < newest_before:
        numbers |= {shown_number, *before[-2:]}
    return sorted(numbers.intersection(after))


def database_drifts(
    database: str, properties: Mapping[str, str], expected: ExpectedVersions
) -> list[Drift]:
    """Return the properties of the database that name no version that Hive may show."""
    if not expected.numbers:
        return []
    numbers = [str(number) for number in expected.numbers]
    drifts = []
    for name, values in (("kappa.version", numbers), ("kappa.gtid", expected.gtids)):
        value = properties.get(name, "")
        if value in values:
            continue
        drift = Drift(
            table=database,
            what="property",
            place=name,
            expected=values[-1],
            found=value,
        )
        drifts.append(drift)
    return drifts


def _read_table(metastore: MetastoreReader, name: TableName) -> FoundTable:
    table = metastore.table(*name)
    if table is None or table.partition_column is None:
        return FoundTable(table)
    return FoundTable(table, metastore.partitions(*name))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
