"""Large hive partitions in several files, each with a range of the first key column: few changes rewrite few files, others are copied as they are.

Ranges do not meet. A key belongs to the first file whose highest key is not below it; a key above all, to the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

# About so many rows in a file; one with twice as many is cut.
RANGE_ROWS = 1_000_000


@dataclass(frozen=True)
class KeyRange:
    """One file of a hive partition: its name, what it holds, its bytes, and the lowest and highest of its keys."""

    file: str
    rows: int
    size: int
    lowest_key: int
    highest_key: int


def to_be_cut(rows: int, key: pa.DataType) -> bool:
    """Whether so many rows are too many for one file. Only whole numbers make ranges."""
    return rows >= 2 * RANGE_ROWS and pa.types.is_integer(key)


def to_be_joined(rows: int) -> bool:
    """Whether ranges have so few rows together that one file is enough."""
    return rows < RANGE_ROWS


def cut(rows: pa.Table, key: str) -> list[pa.Table]:
    """Rows in parts of about `RANGE_ROWS`, by ranges of the key, ascending. Rows of one key stay together, and all keep their order."""
    parts = max(1, rows.num_rows // RANGE_ROWS)
    keys = _numbers(rows, key)
    places = [rows.num_rows * number // parts for number in range(1, parts)]
    firsts = np.partition(keys, places)[places] if places else keys[:0]
    return _dealt(rows, np.searchsorted(firsts, keys, side="right"), parts)


def deal(rows: pa.Table, key: str, ranges: Sequence[KeyRange]) -> list[pa.Table]:
    """For each range, the rows that belong to it."""
    keys = _numbers(rows, key)
    highest = np.array([one.highest_key for one in ranges], keys.dtype)
    return _dealt(rows, np.minimum(np.searchsorted(highest, keys), len(ranges) - 1), len(ranges))


def _numbers(rows: pa.Table, key: str) -> Any:
    return rows.column(key).to_numpy()


def _dealt(rows: pa.Table, numbers: Any, parts: int) -> list[pa.Table]:
    return [rows.filter(pa.array(numbers == number)) for number in range(parts)]
