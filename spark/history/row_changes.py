"""Changes as a row's history has them, and what to look for to find those of one row. Pure.

A row is known by its key as texts (`Key`), so that it is found in files of before and after its type was changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.envelope import TRUNCATE
from spark.pruned import Group

Key = tuple[str, ...]
Place = tuple[str, int, int]  # binlog file, position and row: a change's own, but for the two halves of a changed key
IMAGES = ("before", "after")
PLACED = ("partition", "offset", "op", "binlog_file", "binlog_pos", "binlog_row")
RAW = ("key", "error")


@dataclass(frozen=True)
class Change:
    """One record about a row. `version` is the one that took it in: None if that is not recorded, or if it `waits` in the log.

    With an `error`, it could not be read, or not be carried. `moved_from` or `moved_to` is the key that the row had before or has afterwards.
    `again`: Connect wrote it once more after a crash, and it changes nothing.
    """

    topic: str
    partition: int
    offset: int
    logged_at: datetime
    op: str | None
    gtid: str | None
    place: Place | None
    order: tuple[str, int] | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    version: int | None
    raw_key: bytes | None
    error: str | None
    waits: bool = False
    moved_from: Key | None = None
    moved_to: Key | None = None
    again: bool = False


@dataclass(frozen=True)
class Wanted:
    """What to look for: keys (and their bytes in the log, by which unreadable records are found), and the other halves of changed keys."""

    names: tuple[str, ...]
    keys: frozenset[Key]
    raw_keys: frozenset[bytes] = frozenset()
    places: frozenset[Place] = frozenset()

    @property
    def telling(self) -> list[str]:
        """The columns that tell whether a record is wanted."""
        return [*PLACED, *RAW, *(f"{image}.{name}" for image in IMAGES for name in self.names)]

    def worth(self, group: Group) -> bool:
        """Whether a row group may hold what is wanted."""
        if group.spans.get("op", ("", ""))[1] == TRUNCATE:
            return True
        if self.raw_keys and "error" not in group.empty:
            return True
        if any(group.may_hold("binlog_file", file) and group.may_hold("binlog_pos", position) for file, position, _ in self.places):
            return True
        return any(may_hold(group, f"{image}.", self.names, key) for key in self.keys for image in IMAGES)

    def pick(self, rows: pa.Table) -> pa.BooleanArray:
        """Which rows are wanted; of those at a wanted position of the binlog, all."""
        wanted = pc.equal(rows.column("op"), TRUNCATE).combine_chunks().fill_null(False)
        if self.places:
            positions = pa.array({position for _, position, _ in self.places}, pa.int64())
            wanted = pc.or_(wanted, pc.is_in(rows.column("binlog_pos"), value_set=positions).combine_chunks())
        if self.raw_keys:
            bytes_of = pc.is_in(rows.column("key"), value_set=pa.array(self.raw_keys, pa.binary())).combine_chunks()
            wanted = pc.or_(wanted, pc.and_(bytes_of, rows.column("error").is_valid().combine_chunks()))
        for image in IMAGES:
            for key in self.keys if image in rows.column_names else ():
                wanted = pc.or_(wanted, holding(rows.column(image).combine_chunks(), self.names, key))
        return wanted

    def hit(self, change: Change) -> bool:
        """Whether a picked change is wanted indeed."""
        if change.op == TRUNCATE or change.place in self.places:
            return True
        return bool(keys_of(change, self.names) & self.keys) or (change.error is not None and change.raw_key in self.raw_keys)


def may_hold(group: Group, prefix: str, names: Sequence[str], key: Key) -> bool:
    """Whether a row group may hold a row of a key, by its footer; `prefix` stands before the names of columns there."""
    return all(_may_hold(group, f"{prefix}{name}", text) for name, text in zip(names, key, strict=True))


def _may_hold(group: Group, path: str, text: str) -> bool:
    """The footer's values tell what type the column has in that file."""
    span = group.spans.get(path)
    if span is None or not isinstance(span[0], int | str | Decimal) or isinstance(span[0], bool):
        return group.may_hold(path, None)
    try:
        return group.may_hold(path, type(span[0])(text))
    except (ValueError, ArithmeticError):
        return False  # a text that is no number, where the column holds numbers


def holding(image: pa.StructArray, names: Sequence[str], key: Key) -> pa.BooleanArray:
    """Which of some rows have a key."""
    found = pa.array([True] * len(image), pa.bool_())
    for name, text in zip(names, key, strict=True):
        place = image.type.get_field_index(name)
        value = value_of(text, image.type.field(place).type) if place >= 0 else None
        if value is None:
            return pa.array([False] * len(image), pa.bool_())
        # Not field(): that would take the value of a row that is not there.
        found = pc.and_(found, pc.equal(pc.struct_field(image, [place]), value).fill_null(False))
    return found


def value_of(text: str, kind: pa.DataType) -> pa.Scalar | None:
    """A text as a value of a type; None if it is none."""
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
    """A value of a key as a text that `value_of` reads."""
    match value:
        case bytes():
            return f"0x{value.hex()}"
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


def key_of(row: dict[str, Any] | None, names: Sequence[str]) -> Key | None:
    """A row's key; None for no row, or one that lacks a column of the key."""
    if row is None or any(row.get(name) is None for name in names):
        return None
    return tuple(text_of(row[name]) for name in names)


def keys_of(change: Change, names: Sequence[str]) -> set[Key]:
    """The keys of the rows before and after a change."""
    return {key for row in (change.before, change.after) if (key := key_of(row, names)) is not None}


def changes_in(rows: pa.Table, waits: bool = False) -> list[Change]:
    """Rows of the archive as changes."""
    return [_change(row, waits) for row in rows.to_pylist()]


def _change(row: dict[str, Any], waits: bool) -> Change:
    file, position, number = row.get("binlog_file"), row.get("binlog_pos"), row.get("binlog_row")
    place = (file, position, number or 0) if file is not None and position is not None else None
    order = (row["tx_id"], row["tx_table_order"]) if row.get("tx_id") is not None and row.get("tx_table_order") is not None else None
    return Change(
        row["topic"], row["partition"], row["offset"], row["logged_at"], row["op"], row["gtid"] or row["tx_id"], place, order,
        row.get("before"), row.get("after"), row.get("version"), row["key"], row["error"], waits,
    )  # fmt: skip
