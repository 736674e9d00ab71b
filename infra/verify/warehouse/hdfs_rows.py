"""The warehouse's side of a proof: the Parquet files that a version names, read straight from HDFS, row group by row group.

What is shown here is read by other code than what wrote it (pyproject.toml keeps it so).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.hdfs import Hdfs
from infra.canonical import row_text
from infra.errors import ContractError, KappaError
from infra.table_shape import TableShape
from schemas.warehouse import NO_DATE, PARTITIONING, WHOLE
from spark.manifest import Table

DATE_LENGTH = len("2026-11-26")


@dataclass(frozen=True)
class Rows:
    """Rows of a file: their columns in the order of the table's shape, and the texts of their keys."""

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

    def __init__(self, hdfs: Hdfs, shape: TableShape, table: Table) -> None:
        self._hdfs, self._shape, self._table = hdfs, shape, table

    @property
    def stated_rows(self) -> int:
        """The rows that the manifest states."""
        return sum(partition.rows for partition in self._table.partitions.values())

    def rows(self) -> Iterator[Rows | Unreadable]:
        """All rows of all files. Raises Unavailable if HDFS is away."""
        for value, partition in self._table.partitions.items():
            found = 0
            for entry in self._hdfs.list(partition.location):
                if not entry.name.startswith((".", "_")):
                    for rows in self._file(f"{partition.location}/{entry.name}", value):
                        found += len(rows.keys) if isinstance(rows, Rows) else 0
                        yield rows
            if found != partition.rows:
                yield Unreadable(partition.location, f"holds {found} rows, and the manifest states {partition.rows}")

    def _file(self, path: str, value: str) -> Iterator[Rows | Unreadable]:
        data = self._hdfs.read_bytes(path)
        try:
            file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=False)
            for number in range(file.num_row_groups):
                yield self._rows(file.read_row_group(number).combine_chunks(), path, value)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            yield Unreadable(path, f"is no whole Parquet file: {str(error).splitlines()[0]}")
        except KappaError as error:
            yield Unreadable(path, str(error))

    def _rows(self, group: pa.Table, path: str, value: str) -> Rows:
        here = {name.lower(): name for name in group.column_names}
        if missing := [column.name for column in self._shape.columns if column.name.lower() not in here]:
            raise ContractError(f"has no column {missing[0]}")
        columns = tuple(_array(group.column(here[column.name.lower()])) for column in self._shape.columns)
        by_name = dict(zip((column.name for column in self._shape.columns), columns, strict=True))
        return Rows(path, value, columns, row_text([self.text(name, by_name[name]) for name in self._shape.key]))

    def text(self, column: str, values: pa.Array) -> pa.Array:
        """The canonical texts of a column. Raises ContractError if it is not of the type that it should be."""
        try:
            return self._shape.forms[column].text(values)
        except (ContractError, pa.ArrowException, TypeError, ValueError) as error:
            raise ContractError(f"column {column} {error}") from error

    def row_texts(self, rows: Rows) -> pa.Array:
        """The texts of whole rows."""
        return row_text([self.text(column.name, values) for column, values in zip(self._shape.columns, rows.columns, strict=True)])

    def misplaced(self, rows: Rows) -> pa.BooleanArray | None:
        """Which rows lie in a hive partition of another date than theirs; None if none does."""
        cut = PARTITIONING.get(self._shape.name.lower())
        if rows.hive_partition == WHOLE or cut is None or self._table.partition_column != cut.hive_column:
            return None
        column = next(place for place, column in enumerate(self._shape.columns) if column.name == cut.column)
        dates = pc.utf8_slice_codeunits(self.text(cut.column, rows.columns[column]), 0, DATE_LENGTH).fill_null(NO_DATE)
        wrong = pc.not_equal(dates, rows.hive_partition)
        return wrong if pc.any(wrong).as_py() else None


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
