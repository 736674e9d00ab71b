"""Few rows out of large Parquet files in HDFS.

Only the row groups that can hold them are read, and of these first the columns that decide.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spark.storage.file_system import FileReader
from spark.storage.parquet import damage_as_error
from spark.storage.stored_names import StoredNames

# A smaller file is fetched in one piece: fetching its footer first would take as long.
SMALL_BYTES = 1 << 20

Span = tuple[Any, Any]


class RangeFile(io.RawIOBase):
    """A file of HDFS, of which only the ranges that are read are fetched."""

    def __init__(self, files: FileReader, path: str, size: int) -> None:
        self._files = files
        self._path = path
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Return True, as io.RawIOBase defines it."""
        return True

    def seekable(self) -> bool:
        """Return True, as io.RawIOBase defines it."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte, and return its position."""
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._size
        self._position = offset
        return offset

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, fewer at the end. Raises Unavailable, Refused."""
        remaining = max(self._size - self._position, 0)
        length = remaining if size is None or size < 0 else min(size, remaining)
        if not length:
            return b""
        data = self._files.read_bytes(self._path, self._position, length)
        self._position += len(data)
        return data


@dataclass(frozen=True)
class RowGroup:
    """A row group by its file's footer: number of rows, and least and greatest value by column.

    Columns are named by path, such as `after.id`. `empty` are the columns without a value. A column
    whose span is not known is in neither.
    """

    rows: int
    spans: Mapping[str, Span]
    empty: frozenset[str]

    def may_hold(self, path: str, value: Any) -> bool:
        """Return whether a column may hold a value."""
        if path in self.empty:
            return False
        span = self.spans.get(path)
        if span is None:
            return True
        lowest, highest = span
        try:
            return bool(lowest <= value <= highest)
        except TypeError:
            return True  # written as another type than the value now has


RowGroupFilter = Callable[[RowGroup], bool]
RowMask = Callable[[pa.Table], pa.BooleanArray | pa.ChunkedArray]


@dataclass
class FooterCache:
    """Reads rows of files, and keeps the files' footers: later reads do not fetch them again."""

    files: FileReader
    footers: dict[str, pq.FileMetaData] = field(default_factory=dict)

    def rows(self, path: str) -> int:
        """Return the number of rows in a file that was read before."""
        return int(self.footers[path].num_rows)

    def read_rows(
        self,
        path: str,
        size: int,
        may_match: RowGroupFilter,
        filter_columns: Sequence[str],
        mask: RowMask,
        omitted_columns: Sequence[str] = (),
    ) -> list[pa.Table]:
        """Return the rows of a file that `mask` selects, from the row groups that `may_match`.

        `mask` receives the `filter_columns`, by path; those that the file lacks are left out.
        Raises WarehouseError for a damaged file, Unavailable, Refused if the file is gone.
        """
        footer = self.footers.get(path)
        if footer is not None and not any(map(may_match, row_groups(footer))):
            return []
        source = self._open(path, size)
        tables = []
        with damage_as_error(path):
            file = pq.ParquetFile(source, metadata=footer)
            self.footers[path] = file.metadata
            stored_names = StoredNames.of_file(file.metadata.metadata)
            wanted_columns = stored_names.stored_columns(filter_columns)
            names = [
                name for name in file.schema_arrow.names if name not in omitted_columns
            ]
            for number, row_group in enumerate(row_groups(file.metadata)):
                if not may_match(row_group):
                    continue
                candidates = file.read_row_group(number, columns=wanted_columns)
                selected = mask(stored_names.with_original_names(candidates))
                if pc.any(selected).as_py():
                    rows = file.read_row_group(number, columns=names)
                    selected_rows = rows.filter(selected)
                    tables.append(stored_names.with_original_names(selected_rows))
        return tables

    def _open(self, path: str, size: int) -> pa.NativeFile:
        if size <= SMALL_BYTES:
            return pa.BufferReader(self.files.read_bytes(path))
        return pa.PythonFile(RangeFile(self.files, path, size), "r")


def row_groups(footer: pq.FileMetaData) -> list[RowGroup]:
    """Return the row groups that a footer describes."""
    names = StoredNames.of_file(footer.metadata)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return [_row_group(group, names) for group in groups]


def _row_group(metadata: pq.RowGroupMetaData, names: StoredNames) -> RowGroup:
    spans: dict[str, Span] = {}
    empty = set()
    for number in range(metadata.num_columns):
        column = metadata.column(number)
        statistics = column.statistics
        if statistics is None:
            continue
        path = names.original_path(column.path_in_schema)
        if statistics.has_null_count and statistics.null_count == metadata.num_rows:
            empty.add(path)
        elif statistics.has_min_max:
            spans[path] = statistics.min, statistics.max
    return RowGroup(metadata.num_rows, spans, frozenset(empty))
