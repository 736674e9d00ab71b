"""The latest change of each key, and the old rows that no change touched. Pure, on Arrow tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from schemas.envelope import DELETE, INCREMENTAL, POSITION, READ, TRUNCATE, UPDATE
from schemas.gtid import GtidSet
from spark.merge.change_order import (
    ROW_NUMBER,
    in_log_order,
    row_numbers,
    since_restart,
    without_repetitions,
)
from spark.merge.projection import concatenate, project, struct_fields
from spark.merge.row_copies import subtract_rows

# A name that no MySQL column has.
IS_REMOVED = "\x00gone"
NO_TRANSACTIONS = GtidSet()
IMAGES = ["before", "after"]
POSITION_COLUMNS = [
    "partition",
    "offset",
    "op",
    "snapshot",
    "gtid",
    "binlog_file",
    "binlog_pos",
    "binlog_row",
    "tx_id",
    "tx_table_order",
]
# The columns of an archive file that a merge reads.
MERGE_COLUMNS = [*POSITION_COLUMNS, "key", *IMAGES]


@dataclass(frozen=True)
class LatestRows:
    """The outcome of a batch of changes.

    `rows` to insert, `keys` that changed (also those whose row was removed); `truncated` if the
    table must be emptied first. If the table does not `has_key`, `keys` are whole rows, of which
    one copy each was removed.
    """

    rows: pa.Table
    keys: pa.Table
    truncated: bool
    has_key: bool = True


def latest_per_key(
    archived_tables: Sequence[pa.Table],
    schema: pa.Schema,
    key: Sequence[str],
    merged_gtids: GtidSet = NO_TRANSACTIONS,
    snapshot: str = "",
) -> LatestRows:
    """Return the latest state of every key in some archived changes (with `MERGE_COLUMNS`).

    Deletes leave no row; a changed key removes the old one; changes before a TRUNCATE do not count.
    Changes that Connect repeated after a crash do not count either, of transactions in
    `merged_gtids` or of these. The rows of another full snapshot than the one that the table began
    with (`snapshot`) replace everything before them.

    Raises ContractError for values that do not fit the schema.
    """
    tables = [_with_images(table, schema) for table in archived_tables]
    changes = without_repetitions(in_log_order(tables), merged_gtids)
    changes, truncated = since_restart(changes, snapshot)
    events = _events(changes, schema, key)
    numbered_changes = events.append_column(ROW_NUMBER, row_numbers(events.num_rows))
    last = numbered_changes.group_by(list(key)).aggregate([(ROW_NUMBER, "max")])
    states = events.take(last.column(f"{ROW_NUMBER}_max").sort())
    rows = states.filter(pc.invert(states.column(IS_REMOVED))).select(schema.names)
    return LatestRows(rows, states.select(list(key)), truncated)


def net_rows(
    archived_tables: Sequence[pa.Table],
    schema: pa.Schema,
    merged_gtids: GtidSet = NO_TRANSACTIONS,
    snapshot: str = "",
) -> LatestRows:
    """Return the rows that some archived changes of a table without a key add and remove.

    Each change counts once, as in latest_per_key. A row that they add as often as they remove it is
    in neither. The rows of an incremental snapshot repeat those that the table has.

    Raises ContractError for values that do not fit the schema.
    """
    tables = [_with_images(table, schema) for table in archived_tables]
    changes = without_repetitions(_distinct_records(in_log_order(tables)), merged_gtids)
    changes, truncated = since_restart(changes, snapshot)
    is_repeated_read = pc.and_(
        pc.equal(changes.column("op"), READ),
        pc.fill_null(pc.equal(changes.column("snapshot"), INCREMENTAL), False),
    )
    changes = changes.filter(pc.invert(is_repeated_read))
    before = changes.column("before")
    after = changes.column("after")
    removed = struct_fields(before.filter(pc.is_valid(before)))
    inserted_rows = struct_fields(after.filter(pc.is_valid(after)))
    rows, removed_rows = subtract_rows(inserted_rows, removed)
    return LatestRows(rows, removed_rows, truncated, has_key=False)


def _distinct_records(changes: pa.Table) -> pa.Table:
    """The changes without copies: a replay's slices may have the same record."""
    places = changes.select(["partition", "offset"])
    numbered_places = places.append_column(ROW_NUMBER, row_numbers(changes.num_rows))
    groups = numbered_places.group_by(["partition", "offset"])
    first_rows = groups.aggregate([(ROW_NUMBER, "min")]).column(f"{ROW_NUMBER}_min")
    if len(first_rows) == changes.num_rows:
        return changes
    return changes.take(first_rows.sort())


def has_rows_without_key(archived_tables: Sequence[pa.Table], key: Sequence[str]) -> bool:
    """Return whether a change in some archived changes is one of a row that no key tells from
    others: its record has none, or a column of the key is NULL.
    """
    return any(_lacks_key(table, key) for table in archived_tables)


def _lacks_key(table: pa.Table, key: Sequence[str]) -> bool:
    is_row = pc.and_(
        pc.is_valid(table.column("op")), pc.not_equal(table.column("op"), TRUNCATE)
    )
    rows = table.filter(is_row)
    if "key" in rows.column_names and rows.column("key").null_count:
        return True
    for name in IMAGES:
        if name not in rows.column_names:
            continue
        image = rows.column(name)
        image_rows = struct_fields(image.filter(pc.is_valid(image)))
        for column in key:
            if column in image_rows.column_names and image_rows.column(column).null_count:
                return True
    return False


def fact_rows(archived_tables: Sequence[pa.Table], schema: pa.Schema) -> LatestRows:
    """Return archived facts, which are only ever added, in log order. Raises ContractError."""
    rows = []
    for table in archived_tables:
        if "after" not in table.column_names:
            continue
        readable = table.filter(pc.is_valid(table.column("after")))
        rows.append(project(struct_fields(readable.column("after")), schema))
    return LatestRows(concatenate(rows, schema), pa.table({}), False)


def without_keys(old: pa.Table, keys: pa.Table) -> pa.Table:
    """Return the old rows whose key is not among `keys`, in their order."""
    if not keys.num_columns or not keys.num_rows:
        return old
    names = keys.column_names
    old_keys = project(old, keys.schema)
    if len(names) == 1:
        return _without_single_column_keys(
            old, old_keys.column(names[0]), keys.column(names[0])
        )
    numbered_changes = old_keys.append_column(ROW_NUMBER, row_numbers(old.num_rows))
    remaining = numbered_changes.join(keys, names, join_type="left anti")
    return old.take(remaining.column(ROW_NUMBER).sort())


def _without_single_column_keys(
    old: pa.Table, old_keys: pa.ChunkedArray, keys: pa.ChunkedArray
) -> pa.Table:
    """Numbers outside the span of the old keys are not looked up: most changes concern other row
    groups.
    """
    if pa.types.is_integer(old_keys.type) and old.num_rows:
        span = pc.min_max(old_keys)
        is_above = pc.greater_equal(keys, span["min"])
        is_below = pc.less_equal(keys, span["max"])
        keys = keys.filter(pc.and_(is_above, is_below))
    if not len(keys):
        return old
    is_removed = pc.is_in(old_keys, value_set=keys.combine_chunks())
    if not pc.any(is_removed).as_py():
        return old
    return old.filter(pc.invert(is_removed))


def _with_images(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Archived changes with images of the schema's columns, without tombstones and undecoded
    records.
    """
    changes = table.filter(pc.is_valid(table.column("op")))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name in POSITION_COLUMNS:
        if name in changes.column_names:
            columns[name] = changes.column(name)
        else:
            kind, _ = POSITION[name]
            columns[name] = pa.nulls(changes.num_rows, kind)
    for name in IMAGES:
        columns[name] = _image(changes, name, schema)
    return pa.table(columns)


def _image(changes: pa.Table, name: str, schema: pa.Schema) -> pa.Array:
    fields = list(schema)
    if name not in changes.column_names:
        return pa.nulls(changes.num_rows, pa.struct(fields))
    image = changes.column(name).combine_chunks()
    rows = project(struct_fields(image), schema)
    arrays = []
    for column in rows.columns:
        is_chunked = isinstance(column, pa.ChunkedArray)
        arrays.append(column.combine_chunks() if is_chunked else column)
    return pa.StructArray.from_arrays(arrays, fields=fields, mask=image.is_null())


def _events(changes: pa.Table, schema: pa.Schema, key: Sequence[str]) -> pa.Table:
    """Return the events of keys in order: a row appears, or a key's row is removed."""
    is_delete = pc.equal(changes.column("op"), DELETE)
    before = struct_fields(changes.column("before"))
    after = struct_fields(changes.column("after"))
    has_new_key = pc.and_(
        pc.is_valid(changes.column("before")), _differ(before, after, key)
    )
    is_moved = pc.and_(pc.equal(changes.column("op"), UPDATE), has_new_key)
    numbers = row_numbers(changes.num_rows)
    old_rows = before.append_column(ROW_NUMBER, numbers)
    new_rows = after.append_column(ROW_NUMBER, numbers)
    removed_rows = old_rows.filter(pc.or_(is_delete, is_moved))
    inserted_rows = new_rows.filter(pc.invert(is_delete))
    # The old and the new row of one change have different keys: their order does not matter.
    events = pa.concat_tables(
        [
            _with_flag(removed_rows, is_removed=True),
            _with_flag(inserted_rows, is_removed=False),
        ]
    )
    return events.sort_by(ROW_NUMBER).select([*schema.names, IS_REMOVED])


def _with_flag(rows: pa.Table, *, is_removed: bool) -> pa.Table:
    return rows.append_column(IS_REMOVED, pa.repeat(is_removed, rows.num_rows))


def _differ(
    before: pa.Table, after: pa.Table, key: Sequence[str]
) -> pa.Array | pa.ChunkedArray:
    differ = pa.repeat(False, before.num_rows)
    for name in key:
        column_differs = pc.not_equal(before.column(name), after.column(name))
        differ = pc.or_(differ, pc.fill_null(column_differs, False))
    return differ
