"""The files of a version for DuckDB: exactly those that it was given, read from HDFS in ranges.

DuckDB sees each file under a virtual path. The path says the value of the hive partition, from the
manifest, so that DuckDB skips the partitions that a statement excludes. It lists no folder and
opens no other file.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fsspec.spec import AbstractFileSystem

from connectors.hadoop.file_reader import FileReader, MissingFile
from infra.cli.sql.files.parquet_footer import TRAILER_BYTES, footer_length, without_zones
from schemas.errors import KappaError, WarehouseError

PROTOCOL = "kappa"
PREFIX = f"{PROTOCOL}://"
# Most footers are smaller, and so one request reads them.
TAIL_BYTES = 32 * 1024
# What is kept of the files for the next statement, which asks for the same ranges.
KEPT_BYTES = 256 * 2**20
# The content under a path never changes: a new version has new paths.
UNCHANGED_SINCE = datetime(2000, 1, 1, tzinfo=UTC)
EXPIRED_HINT = (
    "./kappa versions lists those that can be read; spark.grace_seconds is how long"
)
RESTORE_HINT = "./kappa verify warehouse says what else is damaged"


@dataclass(frozen=True)
class DataFile:
    """A file of a table; `size` is in bytes.

    `paths` are where it can be, the likeliest first: a version's newest files are moved after its
    commit, perhaps at this moment. `partition` is the name of the hive partition's column and its
    value, None for a table without.
    """

    paths: tuple[str, ...]
    size: int
    partition: tuple[str, str] | None = None

    @property
    def virtual_path(self) -> str:
        """The path for DuckDB, without the protocol: different for different content."""
        name = quote(self.paths[0], safe="")
        if self.partition is None:
            return name
        column, value = self.partition
        return f"{quote(column, safe='')}={quote(value, safe='')}/{name}"


@dataclass
class ReadFigures:
    """How much was read from HDFS so far."""

    requests: int = 0
    bytes: int = 0


class KeptRanges:
    """The ranges of files that were read last, up to a number of bytes. Safe to share."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._ranges: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str, offset: int, length: int) -> bytes | None:
        """Return a range that was kept with the same bounds, None if it was not."""
        key = (path, offset, length)
        with self._lock:
            data = self._ranges.get(key)
            if data is not None:
                self._ranges.move_to_end(key)
            return data

    def keep(self, path: str, offset: int, length: int, data: bytes) -> None:
        """Keep a range, in place of those that were not read for the longest time."""
        key = (path, offset, length)
        with self._lock:
            if key not in self._ranges:
                self._ranges[key] = data
                self._bytes += len(data)
            while self._bytes > self._max_bytes:
                _, oldest = self._ranges.popitem(last=False)
                self._bytes -= len(oldest)


@dataclass
class VirtualFiles:
    """The content of the files that DuckDB may read. Safe to share between threads.

    `error` is the first failure of a read since it was last emptied: DuckDB itself reports only its
    text. `is_cancelled` ends reads.
    """

    reader: FileReader
    is_cancelled: Callable[[], bool] = lambda: False
    figures: ReadFigures = field(default_factory=ReadFigures)
    error: KappaError | None = None
    _files: dict[str, DataFile] = field(default_factory=dict)
    _tables: dict[str, list[str]] = field(default_factory=dict)
    _known_paths: dict[DataFile, str] = field(default_factory=dict)
    _kept_ranges: KeptRanges = field(default_factory=lambda: KeptRanges(KEPT_BYTES))

    def add_table(self, name: str, files: Iterable[DataFile]) -> str:
        """Let DuckDB read the files of a table. Returns the path that stands for all of them."""
        paths = []
        for file in files:
            self._files[file.virtual_path] = file
            paths.append(file.virtual_path)
        self._tables[name] = paths
        return f"{PREFIX}{name}"

    def forget_tables(self) -> None:
        """Let DuckDB read no file, until tables are added again."""
        self._files.clear()
        self._tables.clear()

    def matching(self, path: str) -> list[str]:
        """Return the paths that a path stands for."""
        if path in self._files:
            return [path]
        return self._tables.get(path, [])

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        return self._file(path).size

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Return a range of a file. Raises KappaError."""
        try:
            return self._read(self._file(path), path, offset, length)
        except KappaError as error:
            self.error = self.error or error
            raise

    def _file(self, path: str) -> DataFile:
        if path not in self._files:
            raise FileNotFoundError(f"{path} is no file of the version")
        return self._files[path]

    def _read(self, file: DataFile, path: str, offset: int, length: int) -> bytes:
        end = min(offset + length, file.size)
        if end <= offset:
            return b""
        tail = self._tail(file, path)
        tail_offset = file.size - len(tail)
        if offset >= tail_offset:
            return tail[offset - tail_offset : end - tail_offset]
        data = self._kept(file, path, offset, min(end, tail_offset) - offset)
        return data + tail[: end - tail_offset] if end > tail_offset else data

    def _kept(self, file: DataFile, path: str, offset: int, length: int) -> bytes:
        data = self._kept_ranges.get(path, offset, length)
        if data is None:
            data = self._fetch(file, offset, length)
            self._kept_ranges.keep(path, offset, length, data)
        return data

    def _tail(self, file: DataFile, path: str) -> bytes:
        """Return the end of a file with all of its footer, in which timestamps have no zone."""
        tail = self._kept_ranges.get(path, file.size, 0)
        if tail is None:
            tail = self._fetch_tail(file)
            self._kept_ranges.keep(path, file.size, 0, tail)
        return tail

    def _fetch_tail(self, file: DataFile) -> bytes:
        length = min(TAIL_BYTES, file.size)
        tail = self._fetch(file, file.size - length, length)
        footer_bytes = footer_length(tail)
        if footer_bytes is None or not TRAILER_BYTES < footer_bytes <= file.size:
            raise _damaged(file, "it does not end with a footer")
        if footer_bytes > length:
            start = file.size - footer_bytes
            tail = self._fetch(file, start, footer_bytes - length) + tail
        try:
            footer = without_zones(tail[-footer_bytes:])
        except ValueError as error:
            raise _damaged(file, str(error)) from error
        return tail[:-footer_bytes] + footer

    def _fetch(self, file: DataFile, offset: int, length: int) -> bytes:
        if self.is_cancelled():
            raise KappaError("cancelled")
        data = self._fetch_from_any_path(file, offset, length)
        self.figures.requests += 1
        self.figures.bytes += len(data)
        if len(data) != length:
            raise _damaged(file, f"it has fewer than the {file.size} bytes of the manifest")
        return data

    def _fetch_from_any_path(self, file: DataFile, offset: int, length: int) -> bytes:
        known_path = self._known_paths.get(file)
        if known_path is None:
            return self._find(file, offset, length)
        try:
            return self.reader.read_bytes(known_path, offset, length)
        except MissingFile:
            return self._find(file, offset, length)

    def _find(self, file: DataFile, offset: int, length: int) -> bytes:
        missing: MissingFile | None = None
        # The last look is for a file that was moved from one place to the other meanwhile.
        for path in (*file.paths, file.paths[0]):
            try:
                data = self.reader.read_bytes(path, offset, length)
            except MissingFile as error:
                missing = missing or error
                continue
            self._known_paths[file] = path
            return data
        raise WarehouseError(
            f"{file.paths[0]} is missing: its version may have expired", EXPIRED_HINT
        ) from missing


def _damaged(file: DataFile, reason: str) -> WarehouseError:
    return WarehouseError(
        f"{file.paths[0]} is no whole Parquet file: {reason}", RESTORE_HINT
    )


class VirtualFileSystem(AbstractFileSystem):
    """`VirtualFiles` as DuckDB asks for them."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, files: VirtualFiles) -> None:
        super().__init__()
        self._virtual_files = files

    def open(self, path: str, *_: Any, **__: Any) -> "OpenFile":
        """Open a file for reading. Raises FileNotFoundError."""
        return OpenFile(self._virtual_files, _plain_path(path))

    def glob(self, path: str, *_: Any, **__: Any) -> Sequence[str]:
        """Return the paths that a path stands for, in the manifest's order."""
        return self._virtual_files.matching(_plain_path(path))

    def exists(self, path: str, *_: Any, **__: Any) -> bool:
        """Whether a path stands for a file."""
        return bool(self._virtual_files.matching(_plain_path(path)))

    def info(self, path: str, *_: Any, **__: Any) -> dict[str, Any]:
        """Return the name and the size of a file. Raises FileNotFoundError."""
        plain_path = _plain_path(path)
        size = self._virtual_files.size(plain_path)
        return {"name": plain_path, "size": size, "type": "file"}

    def modified(self, _path: str) -> datetime:
        """Return the same time for every file: its content never changes."""
        return UNCHANGED_SINCE


class OpenFile(io.RawIOBase):
    """A file that DuckDB reads."""

    mode = "rb"

    def __init__(self, files: VirtualFiles, path: str) -> None:
        self._files = files
        self._path = path
        self.size = files.size(path)
        self.loc = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte, and return its position."""
        if whence == io.SEEK_CUR:
            offset += self.loc
        elif whence == io.SEEK_END:
            offset += self.size
        self.loc = offset
        return offset

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self.loc

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, fewer at the end. Raises KappaError."""
        length = self.size - self.loc if size < 0 else size
        data = self._files.read(self._path, self.loc, length)
        self.loc += len(data)
        return data


def _plain_path(path: str) -> str:
    return path.removeprefix(PREFIX)
