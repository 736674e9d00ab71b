"""The files of a version after its commit, and the removal of folders that no version needs."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Protocol

from connectors.hadoop.folder_contents import StatedFiles, match_folder, stated_folders
from connectors.hadoop.hive_metastore import Metastore
from connectors.hadoop.manifest_store import ManifestReader
from connectors.hadoop.set_aside import set_aside
from connectors.runtime.settings import Settings
from schemas.errors import Unavailable
from schemas.manifest import Manifest
from schemas.warehouse_layout import pinned_database
from spark.storage.file_system import FileSystem


class Versions(ManifestReader, Protocol):
    """The kept versions."""

    def forget(self, number: int) -> None:
        """Remove a version's manifest."""


def move_arrivals(files: FileSystem, manifest: Manifest) -> None:
    """Move a version's new files of the archive and of facts to where Hive reads them. Repeatable.

    Raises Unavailable if HDFS does not answer, or if a file is in neither place.
    """
    final_folders = [_folder_of(final_path) for _, final_path in manifest.arrivals]
    for folder in dict.fromkeys(final_folders):
        files.mkdirs(folder)
    for waiting_path, final_path in manifest.arrivals:
        if not files.rename(waiting_path, final_path) and not files.exists(final_path):
            raise Unavailable(
                f"version {manifest.version}: the file {waiting_path} can be neither moved to "
                f"{final_path} nor found there"
            )
    for folder in _waiting_folders(manifest):
        files.delete(folder)


def _waiting_folders(manifest: Manifest) -> set[str]:
    return {_folder_of(waiting_path) for waiting_path, _ in manifest.arrivals}


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


class VersionExpiry:
    """Removes folders that the kept versions do not need, after the grace time in which queries may
    still read them.

    `is_in_use` tells of a folder whether queries may begin to read it, although the newest version
    does not have it.
    """

    def __init__(
        self,
        settings: Settings,
        files: FileSystem,
        versions: Versions,
        is_in_use: Callable[[str], bool] = lambda _folder: False,
    ) -> None:
        self._files = files
        self._versions = versions
        self._grace_seconds = settings.spark.grace_seconds
        self._root = settings.hdfs.root
        self._hive = settings.hive
        self._is_in_use = is_in_use

    def expire_versions(self) -> int:
        """Remove versions older than the grace time, with the folders that their successors
        replaced. The newest version stays.

        Returns how many versions were removed. Raises Unavailable.
        """
        numbers = self._versions.numbers()
        expired_versions = 0
        manifest: Manifest | None = None
        for number, next_number in pairwise(numbers):
            successor = self._versions.read(next_number)
            # Since the successor's commit, no new query reads the old version; unless the successor
            # holds a part of a snapshot, and Hive does not show it.
            if not successor.whole or self._is_in_grace_time(successor):
                break
            self._drop_pinned_database(number)
            needed_folders = set[str]()
            if successor.rebuilt_tables:
                # Folders that a replay replaced may be in use again after a rollback.
                needed_folders = self._folders_after(numbers, number)
            stated_files = stated_folders(manifest or self._versions.read(number))
            for folder in successor.replaced_folders:
                if folder not in needed_folders and not self._is_in_use(folder):
                    self._delete_folder(folder, stated_files.get(folder))
            self._versions.forget(number)
            manifest = successor
            expired_versions += 1
        return expired_versions

    def orphan_removal(self) -> Iterator[int]:
        """Remove the folders of killed runs: older than the grace time, and in no version.

        There may be hundreds of versions to read, so it can pause at each yield: 0, and at last how
        many folders were removed. Raises Unavailable.
        """
        old_folders = []
        for root in (f"{self._root}/data_warehouse", f"{self._root}/data_lake"):
            for folder, changed_at in self._leaf_folders(root):
                if time.time() - changed_at > self._grace_seconds:
                    old_folders.append(folder)
                yield 0
        needed_folders = set[str]()
        read_numbers = set[int]()
        # Versions that came in the pauses may need an old folder, after a replay or a rollback.
        while unread_numbers := set(self._versions.numbers()) - read_numbers:
            number = min(unread_numbers)
            manifest = self._versions.read(number)
            read_numbers.add(number)
            needed_folders |= manifest.locations() | _waiting_folders(manifest)
            yield 0
        orphans = [
            folder
            for folder in old_folders
            if folder not in needed_folders and not self._is_in_use(folder)
        ]
        for folder in orphans:
            self._files.delete(folder)
        yield len(orphans)

    def _delete_folder(self, folder: str, stated_files: StatedFiles | None) -> None:
        """Delete a folder. Foreign files in it are set aside before."""
        if stated_files is not None:
            match = match_folder(stated_files, self._files.list(folder))
            if not match.damage:
                set_aside(self._files, self._root, folder, match.foreign)
        self._files.delete(folder)

    def _is_in_grace_time(self, manifest: Manifest) -> bool:
        created_at = datetime.fromisoformat(manifest.created_at).timestamp()
        return time.time() - created_at < self._grace_seconds

    def _folders_after(self, numbers: list[int], version: int) -> set[str]:
        """The folders of all versions after one."""
        folders: set[str] = set()
        for number in numbers:
            if number > version:
                folders |= self._versions.read(number).locations()
        return folders

    def _drop_pinned_database(self, version: int) -> None:
        name = pinned_database(self._hive.warehouse_database, version)
        with Metastore(self._hive.metastore_uris) as metastore:
            metastore.drop_database(name)
        self._files.delete(f"{self._root}/_hive/{name}")

    def _leaf_folders(self, folder: str) -> Iterator[tuple[str, float]]:
        """The folders below that hold no folders, and when each last changed."""
        for entry in self._files.list(folder):
            if not entry.is_folder:
                continue
            path = f"{folder}/{entry.name}"
            if any(child.is_folder for child in self._files.list(path)):
                yield from self._leaf_folders(path)
            else:
                yield path, entry.changed_at
