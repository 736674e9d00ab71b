"""The file system that tasks need: HDFS, or a double of it in tests."""

from collections.abc import Sequence
from typing import Protocol

from connectors.hadoop.hdfs import Entry


class FileReader(Protocol):
    """Reads files. Every call raises Unavailable when trying again can help, else Refused."""

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return the content of a file, or of a range of its bytes."""

    def list(self, folder: str) -> Sequence[Entry]:
        """Return the entries of a folder by name; none if the folder does not exist."""


class FileSystem(FileReader, Protocol):
    """Reads, writes and moves files."""

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file."""

    def rename(self, source: str, target: str) -> bool:
        """Move a file. Return False if the source is missing or the target exists."""

    def exists(self, path: str) -> bool:
        """Return whether there is a file or folder of that name."""

    def delete(self, path: str) -> None:
        """Remove a file or a folder with its content, if it exists."""

    def mkdirs(self, folder: str) -> None:
        """Create a folder and those above it."""
