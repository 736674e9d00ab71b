"""Files of others in folders of the warehouse are moved away, and never deleted."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from connectors.hadoop.hdfs import Entry


class FileMover(Protocol):
    """HDFS, as far as files are moved."""

    def mkdirs(self, folder: str) -> None:
        """Create a folder and those above it."""

    def rename(self, source: str, target: str) -> bool:
        """Move a file or folder. Return False if the source is missing or the target exists."""


def set_aside(
    hdfs: FileMover, root: str, folder: str, entries: Iterable[Entry]
) -> dict[str, str]:
    """Move entries of a folder to `<root>/_set_aside/<UTC date>/<token>/<their path>`.

    The token keeps files of one name apart. Returns the new paths by the old ones, without entries
    that no longer exist. Raises Unavailable, Refused.
    """
    today = datetime.now(UTC).date().isoformat()
    relative = folder.removeprefix(f"{root}/").lstrip("/")
    target_folder = f"{root}/_set_aside/{today}/{uuid4().hex[:8]}/{relative}"
    new_paths = {}
    for entry in entries:
        hdfs.mkdirs(target_folder)
        source = f"{folder}/{entry.name}"
        target = f"{target_folder}/{entry.name}"
        if hdfs.rename(source, target):
            new_paths[source] = target
    return new_paths
