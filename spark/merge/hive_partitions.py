"""Rows by the Hive partition that they belong to. Pure."""

import pyarrow as pa
import pyarrow.compute as pc

from schemas.warehouse_layout import WHOLE, Partitioning, utc_dates


def by_hive_partition(
    rows: pa.Table, partitioning: Partitioning | None
) -> dict[str, pa.Table]:
    """Return rows by their Hive partition, each partition's in their order."""
    if partitioning is None:
        return {WHOLE: rows} if rows.num_rows else {}
    values = pa.chunked_array(hive_partitions(rows, partitioning)).combine_chunks()
    encoded = values.dictionary_encode()
    ordered_values = rows.take(pc.sort_indices(encoded.indices))
    counts = pc.value_counts(encoded.indices).to_pylist()
    sizes = {entry["values"]: entry["counts"] for entry in counts}
    partitions = {}
    start = 0
    for number, value in enumerate(encoded.dictionary.to_pylist()):
        partitions[value] = ordered_values.slice(start, sizes[number])
        start += sizes[number]
    return partitions


def hive_partitions(
    table: pa.Table, partitioning: Partitioning | None
) -> pa.Array | pa.ChunkedArray:
    """Return the Hive partition of each row."""
    if partitioning is None:
        return pa.repeat(WHOLE, table.num_rows)
    return utc_dates(table.column(partitioning.column))
