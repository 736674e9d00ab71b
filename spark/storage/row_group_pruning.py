"""Few rows out of large Parquet files in HDFS: only the row groups are read that can hold them, and of these first the columns that tell."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.hdfs import Hdfs
from spark.parquet import whole

# A smaller file is fetched in one piece: asking for its footer first would take as long.
SMALL_BYTES = 1 << 20

Span = tuple[Any, Any]


class Ranges(io.RawIOBase):
    """A file of HDFS of which those ranges are fetched that are read."""

    def __init__(self, hdfs: Hdfs, path: str, size: int) -> None:
        self._hdfs, self._path, self._size, self._at = hdfs, path, size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer at the end. Raises what `Hdfs.read_bytes` does."""
        left = max(self._size - self._at, 0)
        length = left if size is None or size < 0 else min(size, left)
        data = self._hdfs.read_bytes(self._path, self._at, length) if length else b""
        self._at += len(data)
        return data


@dataclass(frozen=True)
class Group:
    """What a file's footer says of a row group: its number of rows, and of each column (by path, such as `after.id`) the least and greatest value.

    `empty` are the columns without a value. A column whose span is not known is in neither.
    """

    rows: int
    spans: Mapping[str, Span]
    empty: frozenset[str]

    def may_hold(self, path: str, value: Any) -> bool:
        """Whether a column may hold a value."""
        if path in self.empty:
            return False
        span = self.spans.get(path)
        try:
            return span is None or span[0] <= value <= span[1]
        except TypeError:
            return True  # written as another type than the value now has


Worth = Callable[[Group], bool]
Pick = Callable[[pa.Table], pa.BooleanArray | pa.ChunkedArray]


@dataclass
class Footers:
    """The footers of files that have been opened: a second look at a file needs none of it again."""

    hdfs: Hdfs
    known: dict[str, pq.FileMetaData] = field(default_factory=dict)

    def rows(self, path: str) -> int:
        """The number of rows in a file that was opened."""
        return int(self.known[path].num_rows)

    def read(self, path: str, size: int, worth: Worth, telling: Sequence[str], pick: Pick, left_out: Sequence[str] = ()) -> list[pa.Table]:
        """The picked rows of a file's row groups that are worth reading, with all columns but some.

        `telling` are the columns, by path, from which `pick` makes a mask; those that the file lacks are left out.
        Raises WarehouseError if the file is not whole, Unavailable, or Refused if it is gone.
        """
        held = self.known.get(path)
        if held is not None and not any(worth(group) for group in groups(held)):
            return []
        source = pa.BufferReader(self.hdfs.read_bytes(path)) if size <= SMALL_BYTES else pa.PythonFile(Ranges(self.hdfs, path, size), "r")
        with whole(path):
            file = pq.ParquetFile(source, metadata=held)
            held = self.known[path] = file.metadata
            names = [name for name in file.schema_arrow.names if name not in left_out]
            found = []
            for number, group in enumerate(groups(held)):
                if not worth(group):
                    continue
                mask = pick(file.read_row_group(number, columns=list(telling)))
                if pc.any(mask).as_py():
                    found.append(file.read_row_group(number, columns=names).filter(mask))
            return found


def groups(footer: pq.FileMetaData) -> list[Group]:
    """What a footer says of each row group."""
    return [_group(footer.row_group(number)) for number in range(footer.num_row_groups)]


def _group(held: pq.RowGroupMetaData) -> Group:
    spans: dict[str, Span] = {}
    empty = set()
    for number in range(held.num_columns):
        column = held.column(number)
        said = column.statistics
        if said is not None and said.has_null_count and said.null_count == held.num_rows:
            empty.add(column.path_in_schema)
        elif said is not None and said.has_min_max:
            spans[column.path_in_schema] = said.min, said.max
    return Group(held.num_rows, spans, frozenset(empty))
