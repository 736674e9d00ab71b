"""What readers of HDFS need of it: ranges of files, and listings. Imports no client."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.errors import Refused


class MissingFile(Refused):
    """There is no such file."""


@dataclass(frozen=True)
class Entry:
    """A file or folder; `size` is in bytes, `changed_at` in seconds since the epoch."""

    name: str
    is_folder: bool
    size: int
    changed_at: float


class FileReader(Protocol):
    """Reads files. Every call raises Unavailable when trying again can help, else Refused."""

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return the content of a file, or of a range of its bytes."""

    def list(self, folder: str) -> Sequence[Entry]:
        """Return the entries of a folder by name; none if the folder does not exist."""


def file_entry(name: str, status: Mapping[str, Any]) -> Entry:
    """Return an entry of WebHDFS's FileStatus."""
    return Entry(
        name=name,
        is_folder=status["type"] == "DIRECTORY",
        size=int(status["length"]),
        changed_at=status["modificationTime"] / 1000,
    )
