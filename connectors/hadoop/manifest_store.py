"""The manifests of all versions in HDFS: one file each, created atomically."""

import json
from typing import TYPE_CHECKING, Protocol

from connectors.hadoop.file_reader import FileReader
from schemas.errors import WarehouseError
from schemas.manifest import EMPTY_MANIFEST, Manifest, from_json, to_json
from schemas.warehouse_layout import versions_folder

if TYPE_CHECKING:  # its client takes a quarter of a second to import: only writers need it
    from connectors.hadoop.hdfs import Hdfs


class ManifestReader(Protocol):
    """The manifests of the versions that are kept, for reading."""

    def numbers(self) -> list[int]:
        """Return the versions that are kept, oldest first."""

    def read(self, number: int) -> Manifest:
        """Return the manifest of one version."""

    def newest(self) -> Manifest:
        """Return the newest version's manifest, or `EMPTY_MANIFEST`."""


class StoredManifests:
    """The manifests in HDFS, for reading."""

    def __init__(self, files: FileReader, root: str) -> None:
        self._files = files
        self._folder = versions_folder(root)

    def numbers(self) -> list[int]:
        """Return the versions that are kept, oldest first."""
        return sorted(
            int(entry.name.removesuffix(".json"))
            for entry in self._files.list(self._folder)
            if not entry.name.startswith(".")
        )

    def read(self, number: int) -> Manifest:
        """Return the manifest of one version."""
        return from_json(json.loads(self._files.read_bytes(self._path(number))))

    def newest(self) -> Manifest:
        """Return the newest version's manifest; `EMPTY_MANIFEST` if there is none yet."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else EMPTY_MANIFEST

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:020d}.json"


class ManifestStore(StoredManifests):
    """The manifests in HDFS, for the compactor too."""

    def __init__(self, hdfs: "Hdfs", root: str) -> None:
        super().__init__(hdfs, root)
        self._hdfs = hdfs

    def commit(self, manifest: Manifest) -> None:
        """Make a version the newest.

        Raises WarehouseError if another compactor has committed that number.
        """
        path = self._path(manifest.version)
        if self._hdfs.create(path, to_json(manifest)):
            return
        # A lost answer to our own creation looks like a refusal. The file says who committed.
        committed_manifest = self.read(manifest.version)
        if committed_manifest.owner != manifest.owner:
            raise WarehouseError(
                f"version {manifest.version} was committed by another compactor "
                f"({committed_manifest.owner}) at {committed_manifest.created_at}",
                "only one compactor may run per warehouse: stop the other one",
            )

    def forget(self, number: int) -> None:
        """Remove a manifest."""
        self._hdfs.delete(self._path(number))
