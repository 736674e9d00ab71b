"""The changes of a large table in slices by key, so that each fits into memory. Pure.

A slice has every change that removes or inserts a row of its keys, and what concerns all rows: each
TRUNCATE, and a row of each full snapshot, since the table restarted there. So the merge of a slice
may leave rows of other slices' keys too: `rows_of_slice` selects the slice's.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.envelope import INCREMENTAL, READ, TRUNCATE

NO_SLICE = -1
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def split_into_slices(changes: pa.Table, key: Sequence[str], slices: int) -> list[pa.Table]:
    """Return archived changes (with their images and position) distributed to slices."""
    if slices == 1:
        return [changes]
    image_numbers = []
    for name in ("before", "after"):
        if name not in changes.column_names:
            continue
        image = changes.column(name).combine_chunks()
        keys = pa.table({column: image.field(column) for column in key})
        image_numbers.append(slice_numbers(keys, image.is_null(), slices))
    concerns_all_rows = _concerns_all_rows(changes)
    tables = []
    for number in range(slices):
        mask = concerns_all_rows.copy()
        for numbers in image_numbers:
            mask |= numbers == number
        tables.append(changes.filter(pa.array(mask)))
    return tables


def rows_of_slice(rows: pa.Table, key: Sequence[str], number: int, slices: int) -> pa.Table:
    """Return the rows whose key belongs to a slice. Rows without a key are in one slice only."""
    if slices == 1 or not key:
        return rows
    no_key_is_missing = pa.array(np.zeros(rows.num_rows, dtype=bool))
    numbers = slice_numbers(rows.select(list(key)), no_key_is_missing, slices)
    return rows.filter(pa.array(numbers == number))


def slice_numbers(keys: pa.Table, missing: pa.Array, slices: int) -> Numbers:
    """Return the slice of each key, `NO_SLICE` where it is `missing`.

    The number does not depend on the width of the columns' integer or text types.
    """
    columns = []
    for column in keys.columns:
        is_chunked = isinstance(column, pa.ChunkedArray)
        columns.append(column.combine_chunks() if is_chunked else column)
    if len(columns) == 1 and _is_number(columns[0].type):
        integers = pc.fill_null(columns[0].cast(pa.int64()), 0)
        numbers: Numbers = integers.to_numpy(zero_copy_only=False) % slices
    else:
        values = [column.to_pylist() for column in columns]
        checksums = [crc32(repr(key).encode()) for key in zip(*values, strict=True)]
        numbers = np.array(checksums, dtype=np.int64) % slices
    return np.where(missing.to_numpy(zero_copy_only=False), NO_SLICE, numbers)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_signed_integer(kind) or pa.types.is_timestamp(kind))


def _concerns_all_rows(changes: pa.Table) -> Mask:
    """A mask of each TRUNCATE, and of the first row in the log of each full snapshot."""
    op = changes.column("op")
    mask: Mask = _equals(op, TRUNCATE).to_numpy().astype(bool)
    is_full = pc.fill_null(pc.not_equal(changes.column("snapshot"), INCREMENTAL), False)
    is_snapshot_row = pc.and_(_equals(op, READ), is_full)
    snapshot_columns = ["binlog_file", "binlog_pos", "partition"]
    places = pa.array(np.arange(changes.num_rows))
    numbered_rows = changes.select([*snapshot_columns, "offset"]).append_column(
        "place", places
    )
    rows = numbered_rows.filter(is_snapshot_row).sort_by("offset")
    grouped_rows = rows.group_by(snapshot_columns, use_threads=False)
    first = grouped_rows.aggregate([("place", "first")])
    mask[first.column("place_first").to_numpy()] = True
    return mask


def _equals(column: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(column, value), False)
