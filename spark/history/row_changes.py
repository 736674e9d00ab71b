"""Changes of a row, and the query that finds them in the archive and the log. Pure.

A row is identified by its key as texts (`Key`), so that it is found in files from before and after
a change of the key's type.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.envelope import TRUNCATE
from spark.storage.row_group_pruning import RowGroup

Key = tuple[str, ...]
# Binlog file, position and row. Unique per change, except that both halves of a changed key
# (a delete and an insert) share one.
BinlogPosition = tuple[str, int, int]
IMAGES = ("before", "after")
POSITION_COLUMNS = ("partition", "offset", "op", "binlog_file", "binlog_pos", "binlog_row")
RAW_COLUMNS = ("key", "error")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One record about a row.

    `version` is the warehouse version that merged it: None if that is not recorded, or if the
    change `is_pending` in the log. With an `error`, the record could not be decoded or replicated.
    `transaction_order` is its transaction's id and its number within it. `previous_key` or
    `next_key` is the key that the row had before or has after this change. `is_repeated`: Connect
    wrote the record again after a crash, and it changes nothing.
    """

    topic: str
    partition: int
    offset: int
    logged_at: datetime
    op: str | None
    gtid: str | None
    binlog_position: BinlogPosition | None
    transaction_order: tuple[str, int] | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    version: int | None
    raw_key: bytes | None
    error: str | None
    is_pending: bool = False
    previous_key: Key | None = None
    next_key: Key | None = None
    is_repeated: bool = False


@dataclass(frozen=True)
class RowQuery:
    """A query for changes by key, by the key's bytes in the log, or by binlog position.

    Undecodable records are found by `raw_keys`, the other halves of changed keys by `positions`.
    """

    names: tuple[str, ...]
    keys: frozenset[Key]
    raw_keys: frozenset[bytes] = frozenset()
    positions: frozenset[BinlogPosition] = frozenset()

    @property
    def filter_columns(self) -> list[str]:
        """The columns from which `mask` tells whether a record matches."""
        before = [f"before.{name}" for name in self.names]
        after = [f"after.{name}" for name in self.names]
        return [*POSITION_COLUMNS, *RAW_COLUMNS, *before, *after]

    def may_match(self, group: RowGroup) -> bool:
        """Return whether a row group may hold a matching record, by its footer."""
        _, highest_operation = group.spans.get("op", ("", ""))
        if highest_operation == TRUNCATE:
            return True
        if self.raw_keys and "error" not in group.empty:
            return True
        for file, position, _ in self.positions:
            if group.may_hold("binlog_file", file) and group.may_hold(
                "binlog_pos", position
            ):
                return True
        for key in self.keys:
            if any(may_hold(group, f"{image}.", self.names, key) for image in IMAGES):
                return True
        return False

    def mask(self, rows: pa.Table) -> pa.BooleanArray:
        """Return a mask of the rows that may match: every row at a binlog position of the query."""
        matches = pc.equal(rows.column("op"), TRUNCATE).combine_chunks().fill_null(False)
        if self.positions:
            numbers = pa.array({position for _, position, _ in self.positions}, pa.int64())
            at_position = pc.is_in(rows.column("binlog_pos"), value_set=numbers)
            matches = pc.or_(matches, at_position.combine_chunks())
        if self.raw_keys:
            raw_keys = pa.array(self.raw_keys, pa.binary())
            has_raw_key = pc.is_in(rows.column("key"), value_set=raw_keys).combine_chunks()
            has_error = rows.column("error").is_valid().combine_chunks()
            matches = pc.or_(matches, pc.and_(has_raw_key, has_error))
        for image in IMAGES:
            if image not in rows.column_names:
                continue
            image_rows = rows.column(image).combine_chunks()
            for key in self.keys:
                matches = pc.or_(matches, rows_with_key(image_rows, self.names, key))
        return matches

    def matches(self, change: Change) -> bool:
        """Return whether a change that the mask selected does match."""
        if change.op == TRUNCATE or change.binlog_position in self.positions:
            return True
        if keys_of(change, self.names) & self.keys:
            return True
        return change.error is not None and change.raw_key in self.raw_keys


def may_hold(group: RowGroup, prefix: str, names: Sequence[str], key: Key) -> bool:
    """Return whether a row group may hold a row with a key, by its footer.

    `prefix` precedes the column names in the footer.
    """
    columns = zip(names, key, strict=True)
    return all(_column_may_hold(group, f"{prefix}{name}", text) for name, text in columns)


def _column_may_hold(group: RowGroup, path: str, text: str) -> bool:
    """Convert the text to the type that the column has in that file, as the footer's values do."""
    span = group.spans.get(path)
    if (
        span is None
        or not isinstance(span[0], int | str | Decimal)
        or isinstance(span[0], bool)
    ):
        return group.may_hold(path, None)
    column_type = type(span[0])
    try:
        value = column_type(text)
    except (ValueError, ArithmeticError):
        return False  # a text that is no number, where the column holds numbers
    return group.may_hold(path, value)


def rows_with_key(image: pa.StructArray, names: Sequence[str], key: Key) -> pa.BooleanArray:
    """Return a mask of the rows that have a key."""
    matches = pa.array([True] * len(image), pa.bool_())
    for name, text in zip(names, key, strict=True):
        index = image.type.get_field_index(name)
        value = value_of(text, image.type.field(index).type) if index >= 0 else None
        if value is None:
            return pa.array([False] * len(image), pa.bool_())
        # Not field(): that would take the value of a row that is null.
        column = pc.struct_field(image, [index])
        matches = pc.and_(matches, pc.equal(column, value).fill_null(False))
    return matches


def value_of(text: str, kind: pa.DataType) -> pa.Scalar | None:
    """Parse a text as a value of a type. Returns None if it is not one."""
    try:
        if pa.types.is_binary(kind):
            return pa.scalar(bytes.fromhex(text.removeprefix("0x")), kind)
        if pa.types.is_timestamp(kind):
            at = datetime.fromisoformat(text)
            return pa.scalar(at if at.tzinfo else at.replace(tzinfo=UTC), kind)
        if pa.types.is_decimal(kind):
            return pa.scalar(Decimal(text), kind)
        return pa.scalar(text, pa.string()).cast(kind)
    except (pa.ArrowException, ValueError, ArithmeticError):
        return None


def text_of(value: Any) -> str:
    """Format a key's value as a text that `value_of` parses."""
    match value:
        case bytes():
            return f"0x{value.hex()}"
        case datetime():
            at = value if value.tzinfo else value.replace(tzinfo=UTC)
            return at.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


def key_of(row: dict[str, Any] | None, names: Sequence[str]) -> Key | None:
    """Return a row's key. None for no row, or for one that lacks a key column."""
    if row is None or any(row.get(name) is None for name in names):
        return None
    return tuple(text_of(row[name]) for name in names)


def keys_of(change: Change, names: Sequence[str]) -> set[Key]:
    """Return the keys of the rows before and after a change."""
    keys = (key_of(change.before, names), key_of(change.after, names))
    return {key for key in keys if key is not None}


def changes_in(rows: pa.Table, is_pending: bool = False) -> list[Change]:
    """Return rows of the archive as changes."""
    return [_change(row, is_pending) for row in rows.to_pylist()]


def _change(row: dict[str, Any], is_pending: bool) -> Change:
    file = row.get("binlog_file")
    position = row.get("binlog_pos")
    binlog_position = None
    if file is not None and position is not None:
        binlog_position = (file, position, row.get("binlog_row") or 0)
    transaction_order = None
    if row.get("tx_id") is not None and row.get("tx_table_order") is not None:
        transaction_order = (row["tx_id"], row["tx_table_order"])
    return Change(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        logged_at=row["logged_at"],
        op=row["op"],
        gtid=row["gtid"] or row["tx_id"],
        binlog_position=binlog_position,
        transaction_order=transaction_order,
        before=row.get("before"),
        after=row.get("after"),
        version=row.get("version"),
        raw_key=row["key"],
        error=row["error"],
        is_pending=is_pending,
    )
