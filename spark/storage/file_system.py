"""The file system that tasks need: HDFS, or a double of it in tests."""

from typing import Protocol

from connectors.hadoop.file_reader import FileReader as FileReader


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
