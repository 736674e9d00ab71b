"""Files in the warehouse's folders that no version names: Hive would read them as rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from connectors.hadoop.folder_contents import (
    HIDDEN_PREFIXES,
    StatedFiles,
    match_folder,
    stated_folders,
)
from connectors.hadoop.hdfs import Entry
from connectors.hadoop.set_aside import FileMover, set_aside
from schemas.manifest import Manifest
from schemas.warehouse_layout import LAKE_PARTITION, lake_folder, table_folder

# The folders of versions, which older versions may need.
VERSION_PREFIX = "v="


class Folders(FileMover, Protocol):
    """HDFS, as far as folders are looked through."""

    def list_all(self, folders: Iterable[str]) -> Mapping[str, Sequence[Entry] | None]:
        """Return the entries of folders; None for one that does not exist."""


class ForeignFiles:
    """Finds files of others, and moves them where Hive does not read them."""

    def __init__(self, hdfs: Folders, root: str) -> None:
        self._hdfs = hdfs
        self._root = root

    def set_aside(
        self, manifest: Manifest, folders: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Set the foreign files in some folders aside; None means all folders of the version.

        The version must be published: before, its new files are not all in their places. A folder
        that is neither the version's nor the default folder of a partition of its tables stays as
        it is. Returns the new paths by the old ones. Raises Unavailable, Refused.
        """
        stated_files = stated_folders(manifest)
        new_paths: dict[str, str] = {}
        listings = self._hdfs.list_all(stated_files if folders is None else folders)
        for folder, entries in listings.items():
            foreign = self._foreign(manifest, folder, entries or (), stated_files)
            new_paths |= set_aside(self._hdfs, self._root, folder, foreign)
        return new_paths

    def _foreign(
        self,
        manifest: Manifest,
        folder: str,
        entries: Sequence[Entry],
        stated_files: Mapping[str, StatedFiles],
    ) -> Sequence[Entry]:
        if folder in stated_files:
            return match_folder(stated_files[folder], entries).foreign
        if not self._is_default_folder(manifest, folder):
            return ()
        hidden_or_ours = (*HIDDEN_PREFIXES, VERSION_PREFIX)
        return [entry for entry in entries if not entry.name.startswith(hidden_or_ours)]

    def _is_default_folder(self, manifest: Manifest, folder: str) -> bool:
        """Whether Hive puts the rows of a partition that it creates itself into the folder."""
        parent, _, name = folder.rpartition("/")
        column = name.partition("=")[0]
        columns = {}
        for table_name, table in manifest.tables.items():
            columns[table_folder(self._root, table_name)] = table.partition_column
        for archive in manifest.archives.values():
            columns[lake_folder(self._root, archive.topic)] = LAKE_PARTITION
        return columns.get(parent) == column
