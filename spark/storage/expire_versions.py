"""What a version needs after its commit, and the removal of what no version needs."""

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from connectors.hdfs import Hdfs
from connectors.hive import Metastore
from infra.errors import Unavailable
from infra.settings import Settings
from schemas.warehouse import pinned_database
from spark.manifest import Manifest, Versions


def settle_arrivals(hdfs: Hdfs, manifest: Manifest) -> None:
    """Move a version's new files of the archive and of facts to where Hive reads them. Repeatable. Raises Unavailable if one is nowhere."""
    for folder in dict.fromkeys(final.rpartition("/")[0] for _, final in manifest.arrivals):
        hdfs.mkdirs(folder)
    for staged, final in manifest.arrivals:
        if not hdfs.rename(staged, final) and not hdfs.exists(final):
            raise Unavailable(f"version {manifest.version}: the file {staged} can be neither moved to {final} nor found there")
    for folder in {staged.rpartition("/")[0] for staged, _ in manifest.arrivals}:
        hdfs.delete(folder)


class Housekeeper:
    """Removes folders that the kept versions no longer need, after the grace time in which queries may still read them."""

    def __init__(self, settings: Settings, hdfs: Hdfs, versions: Versions) -> None:
        self._hdfs, self._versions = hdfs, versions
        self._grace_seconds = settings.spark.grace_seconds
        self._root = settings.hdfs.root
        self._hive = settings.hive

    def tidy(self) -> int:
        """Remove versions older than the grace time, except the newest one, with the folders that their successors replaced. How many."""
        numbers = self._versions.numbers()
        gone = 0
        for old, successor in pairwise(numbers):
            following = self._versions.read(successor)
            # From the successor's commit on, no new query reads the old version; unless it holds a part of a snapshot, and Hive does not show it.
            if not following.whole or time.time() - datetime.fromisoformat(following.created_at).timestamp() < self._grace_seconds:
                break
            self._unpin(old)
            # What a replay replaced may be in use again: rolled back.
            kept = self._needed(numbers, old) if following.rebuilt else ()
            for location in (place for place in following.replaced if place not in kept):
                self._hdfs.delete(location)
            self._versions.forget(old)
            gone += 1
        return gone

    def _needed(self, numbers: list[int], old: int) -> set[str]:
        """The folders of all versions after one."""
        return {location for number in numbers if number > old for location in self._versions.read(number).locations()}

    def _unpin(self, version: int) -> None:
        name = pinned_database(self._hive.warehouse_database, version)
        with Metastore(self._hive.metastore_uris) as metastore:
            metastore.drop_database(name)
        self._hdfs.delete(f"{self._root}/_hive/{name}")

    def sweep(self) -> int:
        """Remove the folders of killed runs: older than the grace time, and named by no version. How many."""
        kept = [self._versions.read(number) for number in self._versions.numbers()]
        named = {location for manifest in kept for location in manifest.locations()}
        named |= {staged.rpartition("/")[0] for manifest in kept for staged, _ in manifest.arrivals}
        left = [
            folder
            for root in (f"{self._root}/data_warehouse", f"{self._root}/data_lake")
            for folder, changed_at in self._innermost(root)
            if folder not in named and time.time() - changed_at > self._grace_seconds
        ]
        for folder in left:
            self._hdfs.delete(folder)
        return len(left)

    def _innermost(self, folder: str) -> Iterator[tuple[str, float]]:
        """The folders below that hold no folders, and when each last changed."""
        for entry in self._hdfs.list(folder):
            inner = f"{folder}/{entry.name}"
            if entry.is_folder and any(below.is_folder for below in self._hdfs.list(inner)):
                yield from self._innermost(inner)
            elif entry.is_folder:
                yield inner, entry.changed_at
