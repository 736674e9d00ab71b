"""Changes into rows, on Arrow tables: the latest change of each key, and the old rows that no change touched.

Pure functions; order always means order in the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import ContractError
from schemas.envelope import DELETE, INCREMENTAL, POSITION, TRUNCATE, UPDATE, binlog_number, snapshot_id
from schemas.envelope import READ as READ_ROW
from schemas.gtid import GtidSet
from schemas.statements import START, Carry, Position
from schemas.warehouse import WHOLE, Partitioning, utc_dates

# Names of our own, which no MySQL column has.
PLACE = "\x00place"
GONE = "\x00gone"
NO_TRANSACTIONS = GtidSet()
# What a merge reads of an archive file.
IMAGES = ["before", "after"]
PLACED = ["partition", "offset", "op", "snapshot", "gtid", "binlog_file", "binlog_pos", "binlog_row", "tx_id", "tx_table_order"]
READ = [*PLACED, *IMAGES]


@dataclass(frozen=True)
class Latest:
    """What a batch of changes leaves: the rows to have, every key that changed (also those whose row is gone), whether all older rows go."""

    rows: pa.Table
    keys: pa.Table
    truncated: bool


def latest_per_key(
    archived: Sequence[pa.Table], schema: pa.Schema, key: Sequence[str], known: GtidSet = NO_TRANSACTIONS, snapshot: str = ""
) -> Latest:
    """The latest state of every key in some archived changes (tables with the columns `READ`).

    Deletes leave no row, whatever came before them; a changed key removes the old one; changes before a TRUNCATE do not count.
    What Connect wrote again after a crash does not count either, be it of `known` transactions, which are merged already, or of these.
    The rows of another full snapshot than that which the table began with (`snapshot`) stand for all that came before them.
    """
    changes = once(in_log_order([_with_images(table, schema) for table in archived]), known)
    changes, truncated = _since_restart(changes, snapshot)
    events = _events(changes, schema, key)
    last = events.append_column(PLACE, pa.array(range(events.num_rows), pa.int64())).group_by(list(key)).aggregate([(PLACE, "max")])
    states = events.take(last.column(f"{PLACE}_max").sort())
    rows = states.filter(pc.invert(states.column(GONE))).select(schema.names)
    return Latest(rows, states.select(list(key)), truncated)


def facts(archived: Sequence[pa.Table], schema: pa.Schema) -> Latest:
    """Rows that are only ever added, in log order."""
    records = [table.filter(pc.is_valid(table.column("after"))) for table in archived if "after" in table.column_names]
    rows = [project(_fields(table.column("after")), schema) for table in records]
    return Latest(_concatenated(rows, schema), pa.table({}), False)


@dataclass(frozen=True)
class Phase:
    """What happened to a table up to a statement, and how rows get over that statement."""

    latest: Latest
    carry: Carry


def over(rows: pa.Table, phases: Sequence[Phase]) -> pa.Table:
    """What is left of rows after some phases, with the columns that the table has then."""
    for phase in phases:
        stay = rows.slice(0, 0) if phase.latest.truncated else without(rows, phase.latest.keys)
        rows = carried(stay, phase.carry)
    return rows


def arrivals(phases: Sequence[Phase], schema: pa.Schema) -> pa.Table:
    """The rows that some phases leave, without those that were there before."""
    left = [over(carried(phase.latest.rows, phase.carry), phases[number + 1 :]) for number, phase in enumerate(phases)]
    return _concatenated([project(rows, schema) for rows in left if rows.num_rows], schema)


def carried(rows: pa.Table, carry: Carry) -> pa.Table:
    """Rows after a statement: columns under their new names, and new columns with their first value (a text; `project` gives it its type).

    Raises ContractError if there are rows, and they do not get over it.
    """
    if carry.problem and rows.num_rows:
        raise ContractError(carry.problem)
    names = dict(carry.renames)
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    for name, value in carry.added:
        column = pa.array([value] * rows.num_rows, pa.string())
        rows = rows.drop_columns([name]) if name in rows.column_names else rows
        rows = rows.append_column(name, column)
    return rows


def between(archived: pa.Table, after: Position, until: Position | None) -> pa.Table:
    """The changes of an archive file between two positions of the binlog."""
    if after == START and until is None:
        return archived
    files = archived.column("binlog_file").combine_chunks().dictionary_encode()
    numbers = pa.array([binlog_number(name) for name in files.dictionary.to_pylist()], pa.int64()).take(files.indices)
    place = pc.add(pc.multiply(numbers, pa.scalar(2**40)), archived.column("binlog_pos"))
    kept = pc.greater_equal(place, pa.scalar(after[0] * 2**40 + after[1]))
    if until is not None:
        kept = pc.and_(kept, pc.less(place, pa.scalar(until[0] * 2**40 + until[1])))
    return archived.filter(pc.fill_null(kept, False))


def in_log_order(changes: Sequence[pa.Table]) -> pa.Table:
    """Changes in the order of the log: by offset within one partition; across partitions by binlog file, position and row as numbers."""
    together = pa.concat_tables(changes)
    if len(together.column("partition").unique()) <= 1:
        return together.sort_by("offset")
    files = together.column("binlog_file").combine_chunks().dictionary_encode()
    numbers = pa.array([binlog_number(name) for name in files.dictionary.to_pylist()], pa.int64()).take(files.indices)
    order = [("binlog_number", "ascending"), ("binlog_pos", "ascending"), ("binlog_row", "ascending"), ("offset", "ascending")]
    return together.append_column("binlog_number", numbers).sort_by(order)


def once(changes: pa.Table, known: GtidSet) -> pa.Table:
    """Changes in their order without repetitions: an older change that stands behind a newer one would undo it."""
    truncated = pc.equal(changes.column("op"), TRUNCATE)
    ids = pc.if_else(truncated, changes.column("gtid"), pc.if_else(pc.equal(changes.column("op"), READ_ROW), None, changes.column("tx_id")))
    merged = pa.array([gtid for gtid in ids.unique().to_pylist() if gtid is not None and gtid in known] if known else [], pa.string())
    placed = pa.table({"id": ids, "order": changes.column("tx_table_order"), PLACE: pa.array(range(changes.num_rows), pa.int64())})
    alone = placed.filter(pc.is_null(ids)).column(PLACE)
    of_transactions = placed.filter(pc.and_(pc.is_valid(ids), pc.invert(pc.is_in(ids, value_set=merged))))
    first = of_transactions.group_by(["id", "order"]).aggregate([(PLACE, "min")]).column(f"{PLACE}_min")
    if len(alone) + len(first) == changes.num_rows:
        return changes
    return changes.take(pa.chunked_array([*alone.chunks, *first.chunks], pa.int64()).sort())


def without(old: pa.Table, keys: pa.Table) -> pa.Table:
    """The old rows whose key is not among `keys`, in their order."""
    if not keys.num_columns or not keys.num_rows:
        return old
    names = keys.column_names
    of_old = project(old, keys.schema)
    if len(names) == 1:
        return _without_one(old, of_old.column(names[0]), keys.column(names[0]))
    placed = of_old.append_column(PLACE, pa.array(range(old.num_rows), pa.int64()))
    return old.take(placed.join(keys, names, join_type="left anti").column(PLACE).sort())


def _without_one(old: pa.Table, held: pa.ChunkedArray, keys: pa.ChunkedArray) -> pa.Table:
    """By a key of one column. Numbers outside the span of the old ones are not looked up: most changes are of other row groups."""
    if pa.types.is_integer(held.type) and old.num_rows:
        span = pc.min_max(held)
        keys = keys.filter(pc.and_(pc.greater_equal(keys, span["min"]), pc.less_equal(keys, span["max"])))
    if not len(keys):
        return old
    gone = pc.is_in(held, value_set=keys.combine_chunks())
    return old.filter(pc.invert(gone)) if pc.any(gone).as_py() else old


def by_hive_partition(rows: pa.Table, cut: Partitioning | None) -> dict[str, pa.Table]:
    """Rows by the hive partition that they belong to, in their order."""
    if cut is None:
        return {WHOLE: rows} if rows.num_rows else {}
    values = pa.chunked_array(hive_partitions(rows, cut)).combine_chunks().dictionary_encode()
    found, ordered = values.dictionary.to_pylist(), rows.take(pc.sort_indices(values.indices))
    sizes = {entry["values"]: entry["counts"] for entry in pc.value_counts(values.indices).to_pylist()}
    parts, start = {}, 0
    for number, value in enumerate(found):
        parts[value], start = ordered.slice(start, sizes[number]), start + sizes[number]
    return parts


def project(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with the columns of a schema, by name: what it lacks is null, what is too much is left out (TRAPS 28).

    Raises ContractError for a column whose values do not fit the schema's type.
    """
    return pa.Table.from_arrays([_column(table, wanted) for wanted in schema], schema=schema)


def hive_partitions(table: pa.Table, cut: Partitioning | None) -> pa.Array | pa.ChunkedArray:
    """The hive partition of each row."""
    if cut is None:
        return pa.array([WHOLE] * table.num_rows, pa.string())
    return utc_dates(table.column(cut.column))


def _column(table: pa.Table, wanted: pa.Field) -> pa.Array | pa.ChunkedArray:
    if wanted.name not in table.column_names:
        return pa.nulls(table.num_rows, wanted.type)
    found = table.column(wanted.name)
    if found.type == wanted.type:
        return found
    try:
        if pa.types.is_timestamp(wanted.type) and pa.types.is_string(found.type):
            return found.cast(pa.timestamp("us")).cast(wanted.type)  # a DATETIME's text, which is UTC
        return found.cast(wanted.type)
    except pa.ArrowException as error:
        raise ContractError(
            f"column {wanted.name} changed from {found.type} to {wanted.type}, and older values do not fit: {error}",
            "give the column a type that holds the older values",
        ) from error


def _with_images(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Archived changes with images of the wanted columns; without tombstones and what could not be read."""
    changes = table.filter(pc.is_valid(table.column("op")))
    images = {}
    for name in IMAGES:
        if name in changes.column_names:
            image = changes.column(name).combine_chunks()
            rows = project(_fields(image), schema)
            arrays = [column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column for column in rows.columns]
            images[name] = pa.StructArray.from_arrays(arrays, fields=list(schema), mask=image.is_null())
        else:
            images[name] = pa.nulls(changes.num_rows, pa.struct(list(schema)))
    nothing = {name: pa.nulls(changes.num_rows, kind) for name, (kind, _) in POSITION.items()}
    place = {name: changes.column(name) if name in changes.column_names else nothing[name] for name in PLACED}
    return pa.table({**place, **images})


def _since_restart(changes: pa.Table, snapshot: str) -> tuple[pa.Table, bool]:
    """The changes after the last TRUNCATE, or from the first row of another snapshot on; and whether there is such a point."""
    place = pa.array(range(changes.num_rows), pa.int64())
    truncates = place.filter(pc.equal(changes.column("op"), TRUNCATE))
    begin = truncates[-1].as_py() + 1 if len(truncates) else 0
    full = pc.and_(pc.equal(changes.column("op"), READ_ROW), pc.fill_null(pc.not_equal(changes.column("snapshot"), INCREMENTAL), False))
    rows = changes.select(["binlog_file", "binlog_pos"]).append_column(PLACE, place).filter(full)
    if rows.num_rows:
        newest = rows.slice(rows.num_rows - 1).to_pylist()[0]
        same = pc.and_(pc.equal(rows.column("binlog_file"), newest["binlog_file"]), pc.equal(rows.column("binlog_pos"), newest["binlog_pos"]))
        if snapshot_id({"file": newest["binlog_file"], "pos": newest["binlog_pos"]}) != snapshot:
            begin = max(begin, rows.filter(same).column(PLACE)[0].as_py())
            return changes.slice(begin), True
    return changes.slice(begin), bool(len(truncates))


def _events(changes: pa.Table, schema: pa.Schema, key: Sequence[str]) -> pa.Table:
    """What happens to keys, in order: a row appears under its key, or a key's row is gone."""
    deleted = pc.equal(changes.column("op"), DELETE)
    before, after = _fields(changes.column("before")), _fields(changes.column("after"))
    position = pa.array(range(changes.num_rows), pa.int64())
    moved = pc.and_(pc.equal(changes.column("op"), UPDATE), pc.and_(pc.is_valid(changes.column("before")), _differ(before, after, key)))
    leaving, arriving = pc.or_(deleted, moved), pc.invert(deleted)
    gone = before.append_column(PLACE, position).filter(leaving)
    come = after.append_column(PLACE, position).filter(arriving)
    # What goes and what comes at one place have different keys: their order does not matter.
    return pa.concat_tables([_marked(gone, True), _marked(come, False)]).sort_by(PLACE).select([*schema.names, GONE])


def _marked(rows: pa.Table, gone: bool) -> pa.Table:
    return rows.append_column(GONE, pa.repeat(gone, rows.num_rows))


def _differ(before: pa.Table, after: pa.Table, key: Sequence[str]) -> pa.Array | pa.ChunkedArray:
    different = pa.repeat(False, before.num_rows)
    for name in key:
        different = pc.or_(different, pc.fill_null(pc.not_equal(before.column(name), after.column(name)), False))
    return different


def _fields(image: pa.Array | pa.ChunkedArray) -> pa.Table:
    """A struct column as a table; a null struct gives null fields."""
    struct = image.combine_chunks() if isinstance(image, pa.ChunkedArray) else image
    return pa.Table.from_arrays(struct.flatten(), schema=pa.schema(list(struct.type)))


def _concatenated(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(tables) if tables else schema.empty_table()
