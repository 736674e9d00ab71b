"""The changes of a large table in slices by key, so that each fits into memory. Pure.

A slice has every change that leaves or makes a row of its keys, and what concerns all rows: each TRUNCATE, and a row of each full snapshot, since
that is where the table began anew. So the merge of a slice may leave rows of other slices' keys too: `own` takes the slice's.
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


def sliced(changes: pa.Table, key: Sequence[str], slices: int) -> list[pa.Table]:
    """Archived changes (with their images and position) dealt to slices."""
    if slices == 1:
        return [changes]
    images = [changes.column(name).combine_chunks() for name in ("before", "after") if name in changes.column_names]
    numbers = [slice_numbers(pa.table({name: image.field(name) for name in key}), image.is_null(), slices) for image in images]
    everywhere = _concerning_all(changes)
    kept = [np.logical_or.reduce([everywhere, *(found == number for found in numbers)]) for number in range(slices)]
    return [changes.filter(pa.array(mask)) for mask in kept]


def own(rows: pa.Table, key: Sequence[str], number: int, slices: int) -> pa.Table:
    """The rows whose key belongs to a slice; rows without a key are in one slice only anyway."""
    if slices == 1 or not key:
        return rows
    found = slice_numbers(rows.select(list(key)), pa.array(np.zeros(rows.num_rows, dtype=bool)), slices)
    return rows.filter(pa.array(found == number))


def slice_numbers(keys: pa.Table, missing: pa.Array, slices: int) -> Numbers:
    """The slice of each key, the same whatever whole number's or text's width its columns have; `NO_SLICE` where it is missing."""
    columns = [column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column for column in keys.columns]
    if len(columns) == 1 and (pa.types.is_signed_integer(columns[0].type) or pa.types.is_timestamp(columns[0].type)):
        found: Numbers = pc.fill_null(columns[0].cast(pa.int64()), 0).to_numpy(zero_copy_only=False) % slices
    else:
        texts = zip(*(column.to_pylist() for column in columns), strict=True)
        found = np.array([crc32(repr(text).encode()) % slices for text in texts], dtype=np.int64)
    return np.where(missing.to_numpy(zero_copy_only=False), NO_SLICE, found)


def _concerning_all(changes: pa.Table) -> npt.NDArray[np.bool_]:
    """Each TRUNCATE, and the first row in the log of each full snapshot."""
    op, snapshot = changes.column("op"), changes.column("snapshot")
    found: npt.NDArray[np.bool_] = pc.fill_null(pc.equal(op, TRUNCATE), False).to_numpy().astype(bool)
    full = pc.and_(pc.fill_null(pc.equal(op, READ), False), pc.fill_null(pc.not_equal(snapshot, INCREMENTAL), False))
    places = pa.array(np.arange(changes.num_rows))
    rows = changes.select(["binlog_file", "binlog_pos", "partition", "offset"]).append_column("place", places).filter(full)
    first = rows.sort_by("offset").group_by(["binlog_file", "binlog_pos", "partition"], use_threads=False).aggregate([("place", "first")])
    found[first.column("place_first").to_numpy()] = True
    return found
