"""One table of the warehouse against MySQL: checksums by bucket on both sides at once, then the rows of the buckets that differ."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from connectors.mysql import Connection
from infra import mysql_side
from infra.checksums import Buckets, bucket_numbers, buckets_for
from infra.mysql_side import Row
from infra.row_differences import RowDifference, TableOutcome
from infra.table_shape import TableShape
from infra.warehouse_side import Rows, Unreadable, WarehouseTable

# Of a table that differs everywhere so many buckets are read row by row.
MOST_BUCKETS = 256

Progress = Callable[[str, int], None]  # a side, and how many rows more it has read


def compare(readers: Sequence[Connection], shape: TableShape, warehouse: WarehouseTable | None, progress: Progress) -> TableOutcome:
    """Compare a table; `warehouse` is None for one that the version does not have. Raises Unavailable or SqlRefused."""
    begin = time.monotonic()
    outcome = TableOutcome(shape.name)
    buckets = buckets_for(warehouse.stated_rows if warehouse else 0)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(mysql_side.checksums_of, readers, shape, buckets, lambda rows: progress("MySQL", rows))
        stored = _checksums(shape, warehouse, buckets, outcome, progress)
        source = asked.result()
    outcome.mysql_rows, outcome.warehouse_rows, outcome.buckets = source.rows, stored.rows, buckets
    if differing := source.differing(stored):
        outcome.unread = max(len(differing) - MOST_BUCKETS, 0)
        _name_rows(readers[0], shape, warehouse, buckets, differing[:MOST_BUCKETS], outcome)
    outcome.seconds = round(time.monotonic() - begin, 2)
    return outcome


def _checksums(shape: TableShape, warehouse: WarehouseTable | None, buckets: int, outcome: TableOutcome, progress: Progress) -> Buckets:
    """The warehouse's checksums; files that cannot be read and rows in a wrong partition go to the outcome."""
    total = Buckets(buckets)
    for rows in warehouse.rows() if warehouse else ():
        if isinstance(rows, Unreadable):
            outcome.take(RowDifference(shape.name, "file", {}, file=rows.path, detail=rows.reason))
            continue
        assert warehouse is not None
        total.add(rows.keys, warehouse.row_texts(rows))
        if (wrong := warehouse.misplaced(rows)) is not None:
            for key in _keys(shape, warehouse, rows, wrong):
                outcome.take(RowDifference(shape.name, "partition", key, file=rows.path, detail=rows.hive_partition))
        progress("the warehouse", len(rows.keys))
    return total


def _keys(shape: TableShape, warehouse: WarehouseTable, rows: Rows, which: pa.BooleanArray) -> list[dict[str, str | None]]:
    places = {column.name: place for place, column in enumerate(shape.columns)}
    texts = [warehouse.text(name, rows.columns[places[name]]).filter(which).to_pylist() for name in shape.key]
    return [{name: _shown(shape, name, text) for name, text in zip(shape.key, key, strict=True)} for key in zip(*texts, strict=True)]


def _name_rows(
    reader: Connection, shape: TableShape, warehouse: WarehouseTable | None, buckets: int, numbers: list[int], outcome: TableOutcome
) -> None:
    """Read the rows of some buckets on both sides, and say which differ in what."""
    stored = _stored(shape, warehouse, buckets, numbers)
    for key, row in mysql_side.rows_of(reader, shape, buckets, numbers):
        found = stored.pop(key, [])
        if not found:
            outcome.take(RowDifference(shape.name, "lost", _key(shape, row)))
        if len(found) > 1:
            files = ", ".join(dict.fromkeys(path for _, path in found))
            outcome.take(RowDifference(shape.name, "doubled", _key(shape, row), file=files, detail=str(len(found))))
        for other, path in found:
            if apart := _apart(shape, row, other):
                outcome.take(RowDifference(shape.name, "value", _key(shape, row), apart, path))
    for rows in stored.values():
        for row, path in rows:
            outcome.take(RowDifference(shape.name, "ghost", _key(shape, row), file=path))


def _stored(shape: TableShape, warehouse: WarehouseTable | None, buckets: int, numbers: list[int]) -> dict[str, list[tuple[Row, str]]]:
    """The warehouse's rows of some buckets by the text of their key, each with its file."""
    found: defaultdict[str, list[tuple[Row, str]]] = defaultdict(list)
    for rows in warehouse.rows() if warehouse else ():
        if isinstance(rows, Unreadable):
            continue
        which = pa.array(np.isin(bucket_numbers(rows.keys, buckets), numbers))
        columns = [
            shape.forms[column.name].looked_at(values.filter(which)).to_pylist() for column, values in zip(shape.columns, rows.columns, strict=True)
        ]
        for key, row in zip(rows.keys.filter(which).to_pylist(), zip(*columns, strict=True), strict=True):
            found[key].append((row, rows.path))
    return found


def _apart(shape: TableShape, row: Row, other: Row) -> dict[str, tuple[str | None, str | None]]:
    """The columns in which two rows differ."""
    return {
        column.name: (_shown(shape, column.name, one), _shown(shape, column.name, two))
        for column, one, two in zip(shape.columns, row, other, strict=True)
        if one != two and (one is None or two is None or not shape.forms[column.name].same(one, two))
    }


def _key(shape: TableShape, row: Row) -> dict[str, str | None]:
    return {column.name: _shown(shape, column.name, value) for column, value in zip(shape.columns, row, strict=True) if column.name in shape.key}


def _shown(shape: TableShape, column: str, text: str | None) -> str | None:
    return None if text is None else shape.forms[column].shown(text)
