"""Rows of a table without a key: equal rows cannot be told apart, so that their copies are counted.
Pure, on Arrow tables.

NULL equals NULL. Texts, bytes, floats, structs and lists are equal if all their bits are.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]


def subtract_rows(rows: pa.Table, removed: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return rows without one copy for each removed row, and the removed rows that are not there.

    Both tables have the same schema, and their rows keep their order.
    """
    if not removed.num_rows or not rows.num_rows:
        return rows, removed
    identities = _identities([rows, removed])
    row_identities = identities[: rows.num_rows]
    removed_identities = identities[rows.num_rows :]
    count = int(identities.max()) + 1
    removed_counts = np.bincount(removed_identities, minlength=count)
    row_counts = np.bincount(row_identities, minlength=count)
    remains = _copy_numbers(row_identities) >= removed_counts[row_identities]
    is_missing = _copy_numbers(removed_identities) >= row_counts[removed_identities]
    return rows.filter(pa.array(remains)), removed.filter(pa.array(is_missing))


def _identities(tables: Sequence[pa.Table]) -> Numbers:
    """The number of each row's value, from 0 on: equal rows have the same one."""
    rows = pa.concat_tables(tables)
    identities: Numbers = np.zeros(rows.num_rows, np.int64)
    for column in rows.columns:
        numbers = _value_numbers(column)
        pairs = identities * (int(numbers.max(initial=0)) + 1) + numbers
        _, identities = np.unique(pairs, return_inverse=True)
    return identities


def _value_numbers(column: pa.ChunkedArray) -> Numbers:
    """The number of each value of a column; 0 for NULL."""
    values = _comparable(column.combine_chunks()).dictionary_encode()
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks()
    numbers: Numbers = pc.fill_null(values.indices.cast(pa.int64()), -1).to_numpy()
    return numbers + 1


def _comparable(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Values of a type that Arrow compares by all bits."""
    if pa.types.is_float32(values.type):
        return values.view(pa.int32())
    if pa.types.is_float64(values.type):
        return values.view(pa.int64())
    if pa.types.is_nested(values.type):
        texts = [None if value is None else repr(value) for value in values.to_pylist()]
        return pa.array(texts, pa.string())
    return values


def _copy_numbers(identities: Numbers) -> Numbers:
    """For each row, how many equal rows are before it."""
    order = np.argsort(identities, kind="stable")
    sorted_identities = identities[order]
    is_first = np.ones(len(identities), bool)
    is_first[1:] = sorted_identities[1:] != sorted_identities[:-1]
    places = np.arange(len(identities))
    first_places = np.maximum.accumulate(np.where(is_first, places, 0))
    numbers = np.empty(len(identities), np.int64)
    numbers[order] = places - first_places
    return numbers
