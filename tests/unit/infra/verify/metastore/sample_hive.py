"""Hive and HDFS in memory, which a publisher of the test changes while a look is under way."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from connectors.hadoop.hdfs import Entry
from connectors.hadoop.hive_metastore import HiveTable, PartitionDefinition
from infra.verify.metastore.compare import FoundTable
from infra.verify.metastore.expected_tables import TableName, expected_versions
from infra.verify.metastore.look import Sources
from schemas.manifest import Manifest
from tests.unit.infra.verify.metastore.sample_tables import (
    DATABASE,
    SETTINGS,
    entries,
    shown,
    uri,
)


@dataclass
class SampleHive:
    """Versions, the metastore and the folders. `on_call` runs before each call, with its name."""

    manifests: dict[int, Manifest] = field(default_factory=dict)
    tables: dict[TableName, FoundTable] = field(default_factory=dict)
    folders: dict[str, Sequence[Entry]] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    shown_version: int | None = None
    calls: list[str] = field(default_factory=list)
    on_call: Callable[[str], object] = lambda _: None

    def commit(self, manifest: Manifest) -> None:
        """Add a version and its files; Hive does not show it yet."""
        self.manifests[manifest.version] = manifest
        versions = expected_versions([manifest], SETTINGS, uri)
        for (state,) in versions.tables.values():
            for folder in state.folders.values():
                size = folder.files.size or 10 * folder.files.count
                sizes = [size // (folder.files.count or 1)] * folder.files.count
                self.folders.setdefault(folder.path, entries(*sizes))

    def publish(self, manifest: Manifest) -> None:
        """Commit a version, and show it."""
        self.commit(manifest)
        versions = expected_versions([manifest], SETTINGS, uri)
        for name, (state,) in versions.tables.items():
            self.tables[name] = shown(state)
        if manifest.whole:
            self.properties = {
                "kappa.version": str(manifest.version),
                "kappa.gtid": manifest.gtid,
            }
            self.shown_version = manifest.version

    def sources(self) -> Sources:
        return Sources(
            versions=self,
            hdfs=self,
            connect=self.connect,
            shown_version=lambda: self.shown_version,
            sleep=lambda _: self._call("sleep"),
        )

    @contextmanager
    def connect(self, _uris: str) -> Iterator["SampleHive"]:
        yield self

    def numbers(self) -> list[int]:
        self._call("numbers")
        return sorted(self.manifests)

    def read(self, number: int) -> Manifest:
        self._call("read")
        return self.manifests[number]

    def newest(self) -> Manifest:
        return self.manifests[max(self.manifests)]

    def table(self, database: str, name: str) -> HiveTable | None:
        self._call("table")
        return self.tables.get((database, name), FoundTable(None)).table

    def partitions(self, database: str, name: str) -> dict[str, PartitionDefinition]:
        self._call("partitions")
        return dict(self.tables[database, name].partitions)

    def database_properties(self, name: str) -> dict[str, str]:
        self._call("database_properties")
        assert name == DATABASE
        return dict(self.properties)

    def uri(self, path: str) -> str:
        return uri(path)

    def list_all(self, folders: Iterable[str]) -> Mapping[str, Sequence[Entry] | None]:
        self._call("list_all")
        return {folder: self.folders.get(folder) for folder in folders}

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.on_call(name)
