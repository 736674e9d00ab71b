"""Large Hive partitions in several files, each with a range of the first key column.

Few changes rewrite few files; the others are copied as they are. Ranges do not overlap. A key
belongs to the first file whose highest key is not below it; a key above all, to the last file.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.manifest import PartitionFile

# A file has about so many rows; one with twice as many is split.
RANGE_ROWS = 1_000_000
Integers = npt.NDArray[np.integer]


def needs_split(rows: int, key: pa.DataType) -> bool:
    """Return whether so many rows are too many for one file. Only integer keys make ranges."""
    return rows >= 2 * RANGE_ROWS and pa.types.is_integer(key)


def needs_join(rows: int) -> bool:
    """Return whether ranges have so few rows together that one file is enough."""
    return rows < RANGE_ROWS


def split_by_key(rows: pa.Table, key: str) -> list[pa.Table]:
    """Return rows in parts of about `RANGE_ROWS`, by ascending ranges of an integer key.

    Rows with the same key stay together, and all keep their order within a part.
    """
    parts = max(1, rows.num_rows // RANGE_ROWS)
    if parts == 1:
        return [rows]
    keys = _keys(rows, key)
    bounds = [rows.num_rows * number // parts for number in range(1, parts)]
    first_keys = np.partition(keys, bounds)[bounds]
    return _split(rows, np.searchsorted(first_keys, keys, side="right"), parts)


def assign_to_ranges(
    rows: pa.Table, key: str, ranges: Sequence[PartitionFile]
) -> list[pa.Table]:
    """Return the rows that belong to each range, in their order."""
    keys = _keys(rows, key)
    highest_keys = np.array([key_range.highest_key for key_range in ranges], keys.dtype)
    last = len(ranges) - 1
    numbers = np.minimum(np.searchsorted(highest_keys, keys), last)
    return _split(rows, numbers, len(ranges))


def _keys(rows: pa.Table, key: str) -> Integers:
    keys: Integers = rows.column(key).to_numpy()
    return keys


def _split(rows: pa.Table, numbers: Integers, parts: int) -> list[pa.Table]:
    """The rows of each part, given each row's part number, in their order.

    Each batch is sorted by part and cut, so that all rows are copied once, however many parts there
    are. NumPy sorts small integers stably in linear time.
    """
    small_numbers = numbers.astype(np.min_scalar_type(parts))
    batches: list[list[pa.RecordBatch]] = [[] for _ in range(parts)]
    start = 0
    for batch in rows.to_batches():
        batch_numbers = small_numbers[start : start + batch.num_rows]
        start += batch.num_rows
        order = np.argsort(batch_numbers, kind="stable")
        sorted_batch = batch.take(pa.array(order))
        begin = 0
        for part, size in enumerate(np.bincount(batch_numbers, minlength=parts).tolist()):
            if size:
                batches[part].append(sorted_batch.slice(begin, size))
            begin += size
    return [pa.Table.from_batches(part_batches, rows.schema) for part_batches in batches]
