"""The warehouse's side of a proof: the Parquet files of a version, read straight from HDFS.

Files are read row group by row group, and by other code than the code that wrote them
(pyproject.toml keeps it so).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.hadoop.hdfs import Hdfs
from infra.verify.warehouse.canonical_values import row_text
from infra.verify.warehouse.table_shape import TableShape
from schemas.errors import ContractError, KappaError
from schemas.hive.names import column_names
from schemas.manifest import PublishedTable
from schemas.warehouse_layout import NO_DATE, PARTITIONING, WHOLE

DATE_LENGTH = len("2026-11-26")
HIDDEN_PREFIXES = (".", "_")


@dataclass(frozen=True)
class Rows:
    """Rows of a file: columns in the order of the table's shape, and the texts of the keys."""

    path: str
    hive_partition: str
    columns: tuple[pa.Array, ...]
    keys: pa.Array


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read as rows of the table, and why."""

    path: str
    reason: str


class WarehouseTable:
    """A table of one version."""

    def __init__(self, hdfs: Hdfs, shape: TableShape, table: PublishedTable) -> None:
        self._hdfs = hdfs
        self._shape = shape
        self._table = table

    @property
    def manifest_rows(self) -> int:
        """The number of rows in the manifest."""
        return sum(partition.rows for partition in self._table.partitions.values())

    def rows(self) -> Iterator[Rows | Unreadable]:
        """Yield all rows of all files.

        A partition whose number of rows is not the manifest's is reported as unreadable. Raises
        Unavailable if HDFS does not answer.
        """
        for hive_partition, partition in self._table.partitions.items():
            row_count = 0
            for path in self._data_files(partition.location):
                for rows in self._file_rows(path, hive_partition):
                    row_count += len(rows.keys) if isinstance(rows, Rows) else 0
                    yield rows
            if row_count != partition.rows:
                reason = f"holds {row_count} rows, and the manifest states {partition.rows}"
                yield Unreadable(partition.location, reason)

    def _data_files(self, folder: str) -> Iterator[str]:
        for entry in self._hdfs.list(folder):
            if not entry.name.startswith(HIDDEN_PREFIXES):
                yield f"{folder}/{entry.name}"

    def _file_rows(self, path: str, hive_partition: str) -> Iterator[Rows | Unreadable]:
        data = self._hdfs.read_bytes(path)
        try:
            file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=False)
            for number in range(file.num_row_groups):
                row_group = file.read_row_group(number).combine_chunks()
                yield self._row_group_rows(row_group, path, hive_partition)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            first_line = str(error).splitlines()[0]
            yield Unreadable(path, f"is no whole Parquet file: {first_line}")
        except KappaError as error:
            yield Unreadable(path, str(error))

    def _row_group_rows(self, row_group: pa.Table, path: str, hive_partition: str) -> Rows:
        file_names = {name.lower(): name for name in row_group.column_names}
        by_name = {}
        names = self._shape.column_names
        for name, hive_name in zip(names, column_names(names), strict=True):
            if hive_name.lower() not in file_names:
                raise ContractError(f"has no column {hive_name}")
            by_name[name] = _array(row_group.column(file_names[hive_name.lower()]))
        key_texts = [self.texts(name, by_name[name]) for name in self._shape.identity]
        keys = row_text(key_texts) if key_texts else pa.array([""] * row_group.num_rows)
        return Rows(path, hive_partition, tuple(by_name.values()), keys)

    def texts(self, column: str, values: pa.Array) -> pa.Array:
        """Return the canonical texts of a column.

        Raises ContractError if the column has another type than it should.
        """
        try:
            return self._shape.forms[column].text(values)
        except (ContractError, pa.ArrowException, TypeError, ValueError) as error:
            raise ContractError(f"column {column} {error}") from error

    def row_texts(self, rows: Rows) -> pa.Array:
        """Return the texts of whole rows. Raises ContractError as `texts` does."""
        pairs = zip(self._shape.column_names, rows.columns, strict=True)
        return row_text([self.texts(name, values) for name, values in pairs])

    def misplaced_rows(self, rows: Rows) -> pa.BooleanArray | None:
        """Return a mask of rows in a hive partition of another date than theirs, None for none."""
        partitioning = PARTITIONING.get(self._shape.name.lower())
        if rows.hive_partition == WHOLE or partitioning is None:
            return None
        if self._table.partition_column != partitioning.hive_column:
            return None
        index = self._shape.column_names.index(partitioning.column)
        texts = self.texts(partitioning.column, rows.columns[index])
        dates = pc.utf8_slice_codeunits(texts, 0, DATE_LENGTH).fill_null(NO_DATE)
        is_misplaced = pc.not_equal(dates, rows.hive_partition)
        return is_misplaced if pc.any(is_misplaced).as_py() else None


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
