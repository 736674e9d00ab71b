"""The folders of tables that were read from MySQL, in HDFS.

`_bases/<topic>/<request>-<attempt>/` holds the Hive partitions of one attempt; a topic that cannot
be a folder's name in HDFS has another one there, with its digest. `base.json` is created last: an
attempt without it was killed, and is not used.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable

from connectors.hadoop.hdfs import Hdfs, read_json
from schemas.errors import Unavailable
from schemas.manifest import TableBase, table_base
from schemas.topics import kafka_topic
from schemas.warehouse_layout import bases_folder

DESCRIPTION = "base.json"
# HDFS: dfs.namenode.fs-limits.max-component-length, and DFSUtil.isValidName.
MAX_NAME_BYTES = 255
REFUSED_CHARACTERS = frozenset(":/")


class BaseStore:
    """The bases of a warehouse."""

    def __init__(self, hdfs: Hdfs, root: str) -> None:
        self._hdfs = hdfs
        self._root = root

    def folder(self, topic: str, request: str, attempt: str) -> str:
        """Return the folder of an attempt."""
        return f"{self._topic_folder(topic)}/{request}-{attempt}"

    def commit(self, folder: str, base: TableBase) -> None:
        """Make a base usable: all its files are written. Raises Unavailable."""
        content = json.dumps(dataclasses.asdict(base)).encode()
        if not self._hdfs.create(f"{folder}/{DESCRIPTION}", content):
            raise Unavailable(f"{folder} is the folder of another attempt")

    def find(self, topic: str, request: str) -> TableBase | None:
        """Return what was read for a request, None if that is not complete. Raises Unavailable."""
        for folder in self._attempts(topic, request):
            path = f"{folder}/{DESCRIPTION}"
            if self._hdfs.exists(path):
                return table_base(read_json(self._hdfs, path))
        return None

    def remove_attempts(
        self, topic: str, request: str, needed_paths: Iterable[str]
    ) -> None:
        """Remove the attempts at a request that hold no folder of `needed_paths`.

        Raises Unavailable.
        """
        needed_folders = set(needed_paths)
        for folder in self._attempts(topic, request):
            if not any(path.startswith(f"{folder}/") for path in needed_folders):
                self._hdfs.delete(folder)

    def _attempts(self, topic: str, request: str) -> list[str]:
        folder = self._topic_folder(topic)
        return [
            f"{folder}/{entry.name}"
            for entry in self._hdfs.list(folder)
            if entry.name.startswith(f"{request}-")
        ]

    def _topic_folder(self, topic: str) -> str:
        return f"{bases_folder(self._root)}/{_folder_name(topic)}"


def _folder_name(topic: str) -> str:
    """Return the name of a topic's folder: a digest distinguishes what HDFS would refuse."""
    if len(topic.encode()) <= MAX_NAME_BYTES and not REFUSED_CHARACTERS.intersection(topic):
        return topic
    digest = hashlib.sha256(topic.encode()).hexdigest()
    return f"{kafka_topic(topic)[: MAX_NAME_BYTES - len(digest) - 1]}-{digest}"
