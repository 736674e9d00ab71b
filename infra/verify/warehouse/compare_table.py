"""One table of the warehouse against MySQL: checksums by bucket, then the rows that differ.

Both sides compute their checksums at the same time. Then the rows of the buckets that differ are
read and compared one by one.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connectors.mysql.client import Connection
from infra.verify.warehouse import mysql_rows
from infra.verify.warehouse.bucket_checksums import (
    BucketChecksums,
    bucket_count,
    bucket_numbers,
)
from infra.verify.warehouse.differences import (
    ColumnTexts,
    Key,
    RowDifference,
    RowDifferenceKind,
    TableOutcome,
)
from infra.verify.warehouse.hdfs_rows import Rows, Unreadable, WarehouseTable
from infra.verify.warehouse.mysql_rows import Row
from infra.verify.warehouse.table_shape import TableShape

# Of a table that differs everywhere, so many buckets are read row by row.
MAX_READ_BUCKETS = 256
MYSQL = "MySQL"
WAREHOUSE = "the warehouse"

Progress = Callable[[str, int], None]  # a side, and how many more rows it has read


@dataclass(frozen=True)
class WarehouseRow:
    """A row as the warehouse has it, and the file that it is in."""

    row: Row
    path: str


def compare(
    readers: Sequence[Connection],
    shape: TableShape,
    warehouse: WarehouseTable | None,
    progress: Progress,
) -> TableOutcome:
    """Compare a table; `warehouse` is None for one that the version does not have.

    Raises Unavailable, SqlRefused.
    """
    begin = time.monotonic()
    comparison = TableComparison(shape, warehouse, progress)
    comparison.compare_checksums(readers)
    comparison.compare_rows(readers[0])
    outcome = comparison.outcome
    outcome.seconds = round(time.monotonic() - begin, 2)
    return outcome


class TableComparison:
    """The comparison of one table, in two steps; `outcome` collects what they find."""

    def __init__(
        self, shape: TableShape, warehouse: WarehouseTable | None, progress: Progress
    ) -> None:
        self._shape = shape
        self._warehouse = warehouse
        self._progress = progress
        self._buckets = bucket_count(warehouse.manifest_rows if warehouse else 0)
        self._differing_buckets: list[int] = []
        self.outcome = TableOutcome(shape.name, buckets=self._buckets)

    def compare_checksums(self, readers: Sequence[Connection]) -> None:
        """Compare the buckets; unreadable files and misplaced rows become differences."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self._mysql_checksums, readers)
            warehouse_checksums = self._warehouse_checksums()
            mysql_checksums = future.result()
        self.outcome.mysql_rows = mysql_checksums.rows
        self.outcome.zero_dates = mysql_checksums.zero_dates
        self.outcome.warehouse_rows = warehouse_checksums.rows
        self._differing_buckets = mysql_checksums.differing_buckets(warehouse_checksums)

    def compare_rows(self, reader: Connection) -> None:
        """Read the rows of differing buckets on both sides, and add what differs."""
        numbers = self._differing_buckets[:MAX_READ_BUCKETS]
        self.outcome.unread = len(self._differing_buckets) - len(numbers)
        if not numbers:
            return
        warehouse_rows = self._warehouse_bucket_rows(numbers)
        mysql_bucket_rows = mysql_rows.bucket_rows(
            reader, self._shape, self._buckets, numbers
        )
        for key, row in mysql_bucket_rows:
            if self._shape.has_distinct_keys:
                self._compare_row(row, warehouse_rows.pop(key, []))
            else:
                self._pair_row(row, warehouse_rows.get(key, []))
        for ghosts in warehouse_rows.values():
            for ghost in ghosts:
                self._add("ghost", self._key(ghost.row), file=ghost.path)

    def _mysql_checksums(self, readers: Sequence[Connection]) -> BucketChecksums:
        return mysql_rows.table_checksums(
            readers, self._shape, self._buckets, lambda rows: self._progress(MYSQL, rows)
        )

    def _warehouse_checksums(self) -> BucketChecksums:
        checksums = BucketChecksums(self._buckets)
        if self._warehouse is None:
            return checksums
        for rows in self._warehouse.rows():
            if isinstance(rows, Unreadable):
                self._add("file", {}, file=rows.path, detail=rows.reason)
                continue
            checksums.add_rows(rows.keys, self._warehouse.row_texts(rows))
            is_misplaced = self._warehouse.misplaced_rows(rows)
            if is_misplaced is not None:
                for key in self._keys(self._warehouse, rows, is_misplaced):
                    self._add("partition", key, file=rows.path, detail=rows.hive_partition)
            self._progress(WAREHOUSE, len(rows.keys))
        return checksums

    def _warehouse_bucket_rows(self, numbers: list[int]) -> dict[str, list[WarehouseRow]]:
        """Return the warehouse's rows of some buckets by the text of their key."""
        by_key: defaultdict[str, list[WarehouseRow]] = defaultdict(list)
        for rows in self._warehouse.rows() if self._warehouse else ():
            if isinstance(rows, Unreadable):
                continue
            in_buckets = np.isin(bucket_numbers(rows.keys, self._buckets), numbers)
            mask = pa.array(in_buckets)
            columns = self._compared_columns(rows, mask)
            keys = rows.keys.filter(mask).to_pylist()
            for key, row in zip(keys, zip(*columns, strict=True), strict=True):
                by_key[key].append(WarehouseRow(row, rows.path))
        return by_key

    def _compared_columns(
        self, rows: Rows, mask: pa.BooleanArray
    ) -> list[list[str | None]]:
        columns = []
        for name, values in zip(self._shape.column_names, rows.columns, strict=True):
            compared_values = self._shape.forms[name].compared_values(values.filter(mask))
            columns.append(compared_values.to_pylist())
        return columns

    def _compare_row(self, row: Row, candidates: list[WarehouseRow]) -> None:
        """Compare a row of MySQL with the warehouse's rows of that key."""
        key = self._key(row)
        if not candidates:
            self._add("lost", key)
        if len(candidates) > 1:
            files = ", ".join(dict.fromkeys(candidate.path for candidate in candidates))
            self._add("doubled", key, file=files, detail=str(len(candidates)))
        for candidate in candidates:
            columns = self._differing_columns(row, candidate.row)
            if columns:
                self._add("value", key, file=candidate.path, columns=columns)

    def _pair_row(self, row: Row, candidates: list[WarehouseRow]) -> None:
        """Take one of the warehouse's rows that equal a row of MySQL: each has its own."""
        for number, candidate in enumerate(candidates):
            if not self._differing_columns(row, candidate.row):
                del candidates[number]
                return
        self._add("lost", self._key(row))

    def _differing_columns(self, row: Row, warehouse_row: Row) -> dict[str, ColumnTexts]:
        columns = {}
        for name, text, other_text in zip(
            self._shape.column_names, row, warehouse_row, strict=True
        ):
            if not self._is_same(name, text, other_text):
                mysql_value = self._shown(name, text)
                warehouse_value = self._shown(name, other_text)
                columns[name] = (mysql_value, warehouse_value)
        return columns

    def _is_same(self, column: str, text: str | None, other_text: str | None) -> bool:
        if text == other_text:
            return True
        if text is None or other_text is None:
            return False
        return self._shape.forms[column].same(text, other_text)

    def _keys(
        self, warehouse: WarehouseTable, rows: Rows, mask: pa.BooleanArray
    ) -> Iterator[Key]:
        """Yield the keys of the rows of a mask."""
        columns = dict(zip(self._shape.column_names, rows.columns, strict=True))
        key_columns = []
        for name in self._shape.identity:
            texts = warehouse.texts(name, columns[name]).filter(mask)
            key_columns.append(texts.to_pylist())
        for key in zip(*key_columns, strict=True):
            pairs = zip(self._shape.identity, key, strict=True)
            yield {name: self._shown(name, text) for name, text in pairs}

    def _key(self, row: Row) -> Key:
        """Return the key of a row that has all columns."""
        pairs = zip(self._shape.column_names, row, strict=True)
        return {
            name: self._shown(name, text)
            for name, text in pairs
            if name in self._shape.identity
        }

    def _shown(self, column: str, text: str | None) -> str | None:
        return None if text is None else self._shape.forms[column].shown(text)

    def _add(
        self,
        kind: RowDifferenceKind,
        key: Key,
        *,
        columns: dict[str, ColumnTexts] | None = None,
        file: str = "",
        detail: str = "",
    ) -> None:
        difference = RowDifference(
            table=self._shape.name,
            wrong=kind,
            key=key,
            columns=columns or {},
            file=file,
            detail=detail,
        )
        self.outcome.add_difference(difference)
