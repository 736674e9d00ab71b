"""Archived changes in the order of the log, each once. Pure.

Order always means order in the log, never a clock.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.ddl.statements import START, Position
from schemas.envelope import INCREMENTAL, TRUNCATE, binlog_number, snapshot_id
from schemas.envelope import READ as READ_ROW
from schemas.gtid import GtidSet

# A name that no MySQL column has.
ROW_NUMBER = "\x00place"
# The binlog's file number and the position in it, as one number.
FILE_FACTOR = 2**40


def row_numbers(count: int) -> pa.Array:
    """Return the numbers of so many rows, from 0 on, as int64."""
    return pa.array(np.arange(count, dtype=np.int64))


def in_log_order(changes: Sequence[pa.Table]) -> pa.Table:
    """Return changes in the order of the log.

    That is by offset within one partition; across partitions by binlog file, position and row, as
    numbers.
    """
    all_changes = pa.concat_tables(changes)
    if len(all_changes.column("partition").unique()) <= 1:
        return all_changes.sort_by("offset")
    columns = ("binlog_number", "binlog_pos", "binlog_row", "offset")
    numbered_changes = all_changes.append_column(
        "binlog_number", _binlog_numbers(all_changes)
    )
    return numbered_changes.sort_by([(name, "ascending") for name in columns])


def changes_between(
    archived: pa.Table, after: Position, until: Position | None
) -> pa.Table:
    """Return the changes of an archive file from `after` on, before `until` in the binlog."""
    if after == START and until is None:
        return archived
    file_parts = pc.multiply(_binlog_numbers(archived), pa.scalar(FILE_FACTOR))
    positions = pc.add(file_parts, archived.column("binlog_pos"))
    mask = pc.greater_equal(positions, _position_number(after))
    if until is not None:
        mask = pc.and_(mask, pc.less(positions, _position_number(until)))
    return archived.filter(pc.fill_null(mask, False))


def _position_number(position: Position) -> pa.Scalar:
    file_number, file_position = position
    return pa.scalar(file_number * FILE_FACTOR + file_position)


def _binlog_numbers(changes: pa.Table) -> pa.Array:
    """The number of each change's binlog file; null for none."""
    files = changes.column("binlog_file").combine_chunks().dictionary_encode()
    numbers = [binlog_number(name) for name in files.dictionary.to_pylist()]
    return pa.array(numbers, pa.int64()).take(files.indices)


def without_repetitions(changes: pa.Table, merged: GtidSet) -> pa.Table:
    """Return changes in their order without those that Connect wrote again after a crash.

    An older change behind a newer one would undo it. Changes of `merged` transactions are
    repetitions too. Rows of snapshots are in no transaction: all of them stay.
    """
    is_truncate = pc.equal(changes.column("op"), TRUNCATE)
    is_snapshot_row = pc.equal(changes.column("op"), READ_ROW)
    transaction_ids = pc.if_else(is_snapshot_row, None, changes.column("tx_id"))
    ids = pc.if_else(is_truncate, changes.column("gtid"), transaction_ids)
    numbered_changes = pa.table(
        {
            "id": ids,
            "order": changes.column("tx_table_order"),
            ROW_NUMBER: row_numbers(changes.num_rows),
        }
    )
    alone = numbered_changes.filter(pc.is_null(ids)).column(ROW_NUMBER)
    is_merged = pc.is_in(ids, value_set=_ids_in(ids, merged))
    in_transactions = numbered_changes.filter(
        pc.and_(pc.is_valid(ids), pc.invert(is_merged))
    )
    grouped_changes = in_transactions.group_by(["id", "order"]).aggregate(
        [(ROW_NUMBER, "min")]
    )
    first = grouped_changes.column(f"{ROW_NUMBER}_min")
    if len(alone) + len(first) == changes.num_rows:
        return changes
    return changes.take(pa.chunked_array([*alone.chunks, *first.chunks], pa.int64()).sort())


def _ids_in(ids: pa.ChunkedArray, merged: GtidSet) -> pa.Array:
    if not merged:
        return pa.array([], pa.string())
    distinct_ids = ids.unique().drop_null().to_pylist()
    return pa.array([gtid for gtid in distinct_ids if gtid in merged], pa.string())


def since_restart(changes: pa.Table, snapshot: str) -> tuple[pa.Table, bool]:
    """Return the changes since the table last restarted, and whether it did.

    It restarts after the last TRUNCATE, and with the first row of another full snapshot than
    `snapshot`.
    """
    numbers = row_numbers(changes.num_rows)
    truncates = numbers.filter(pc.equal(changes.column("op"), TRUNCATE))
    begin = truncates[-1].as_py() + 1 if len(truncates) else 0
    first_row = _first_row_of_other_snapshot(changes, snapshot)
    if first_row is not None:
        return changes.slice(max(begin, first_row)), True
    return changes.slice(begin), bool(len(truncates))


def _first_row_of_other_snapshot(changes: pa.Table, snapshot: str) -> int | None:
    """The number of the first row of the newest full snapshot, unless that is `snapshot`."""
    is_full = pc.fill_null(pc.not_equal(changes.column("snapshot"), INCREMENTAL), False)
    is_snapshot_row = pc.and_(pc.equal(changes.column("op"), READ_ROW), is_full)
    positions = changes.select(["binlog_file", "binlog_pos"])
    numbered_changes = positions.append_column(ROW_NUMBER, row_numbers(changes.num_rows))
    rows = numbered_changes.filter(is_snapshot_row)
    if not rows.num_rows:
        return None
    newest = rows.slice(rows.num_rows - 1).to_pylist()[0]
    file = newest["binlog_file"]
    position = newest["binlog_pos"]
    if snapshot_id({"file": file, "pos": position}) == snapshot:
        return None
    is_newest = pc.and_(
        pc.equal(rows.column("binlog_file"), file),
        pc.equal(rows.column("binlog_pos"), position),
    )
    first_row: int = rows.filter(is_newest).column(ROW_NUMBER)[0].as_py()
    return first_row
