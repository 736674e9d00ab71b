"""Values that Debezium writes in place of others: MySQL's own values instead.

A zero date is NULL in the warehouse, or stops its table. A number in a column declared BOOLEAN,
which the stream shows as true, is that number. A document or a text is as MySQL prints it.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from connectors.mysql.ambiguous_values import AmbiguousValue
from schemas import mysql_values
from schemas.errors import ContractError
from schemas.logical_types import Column, is_ambiguous
from schemas.topics import source_table
from schemas.warehouse_layout import Source

ZERO_DATE = "zero date", "does not tell from NULL or from a real date"
NO_TRUTH = "number other than 0 and 1", "shows as 1 since the column was declared BOOLEAN"
CONTINUES_HINT = (
    "the table then continues within five minutes, "
    "or immediately with ./kappa compact --now"
)

Key = tuple[Any, ...]


class AmbiguousRows(Protocol):
    """The rows in MySQL with values that Debezium cannot represent."""

    def find(
        self,
        table: str,
        columns: Sequence[str],
        key: Sequence[str],
        keys: Sequence[Key] | None,
    ) -> list[AmbiguousValue]:
        """Return such values, as AmbiguousValues.find does."""


def replace_stand_ins(
    source: Source,
    columns: Sequence[Column],
    key: Sequence[str],
    after: pa.StructArray,
    ambiguous_rows: AmbiguousRows,
    *,
    stop_at_zero_dates: bool,
) -> pa.StructArray:
    """Return rows with MySQL's values in the place of stand-ins.

    A row that has changed since keeps its stand-in until that change. Raises ContractError naming
    the column and the row for a zero date that is to stop the table, and for a value of a row that
    no key finds; Unavailable.
    """
    masks = {}
    for column in columns:
        mask = _suspicious_rows(column, after, stop_at_zero_dates=stop_at_zero_dates)
        if mask is not None:
            masks[column.name] = mask
    keys = _keys(after, key) if masks else None
    texts = {column.name for column in columns if pa.types.is_string(column.type.arrow)}
    if keys is None:
        # No text can be looked up, and none is a reason to stop a table.
        masks = {name: mask for name, mask in masks.items() if name not in texts}
    if not masks:
        return after
    looked_up_keys = None
    if keys is not None:
        is_suspicious = _disjunction(list(masks.values())).to_pylist()
        looked_up_keys = _selected(keys, is_suspicious)
    table = source_table(source.topic)
    values = ambiguous_rows.find(table, list(masks), key, looked_up_keys)
    numbers = {column.name for column in columns if column.type.hive == "smallint"}
    for value in values:
        is_date = value.column not in numbers | texts
        if looked_up_keys is None or (stop_at_zero_dates and is_date):
            raise _refusal(source, key, value, is_number=value.column in numbers)
    return _with_values(after, values, masks, keys or [])


def _suspicious_rows(
    column: Column, after: pa.StructArray, *, stop_at_zero_dates: bool
) -> pa.BooleanArray | None:
    """A mask of the rows to look up, None for none. NULL is right for a zero date, unless that is
    to stop the table.
    """
    if column.type.stand_in is None:
        return None
    values = after.field(column.name)
    mask = pc.and_(is_ambiguous(column, values), after.is_valid())
    if not stop_at_zero_dates:
        mask = pc.and_(mask, values.is_valid())
    return mask if mask.true_count else None


def _with_values(
    after: pa.StructArray,
    values: Sequence[AmbiguousValue],
    masks: dict[str, pa.BooleanArray],
    keys: Sequence[Key],
) -> pa.StructArray:
    values_by_column: dict[str, dict[Key, int | str | None]] = {}
    for value in values:
        values_by_column.setdefault(value.column, {})[value.key] = value.value
    if not values_by_column:
        return after
    arrays = []
    for field in after.type:
        array = after.field(field.name)
        new_values = values_by_column.get(field.name)
        if new_values is not None:
            items = array.to_pylist()
            for number, is_suspicious in enumerate(masks[field.name].to_pylist()):
                if is_suspicious and keys[number] in new_values:
                    items[number] = _new_value(items[number], new_values[keys[number]])
            array = pa.array(items, field.type)
        arrays.append(array)
    return pa.StructArray.from_arrays(arrays, fields=list(after.type), mask=after.is_null())


def _new_value(stand_in: Any, value: int | str | None) -> Any:
    """Return MySQL's value; a text only if the row has the same one still."""
    if not isinstance(value, str):
        return value
    if mysql_values.UNREADABLE in stand_in:
        return value if mysql_values.is_same_text(stand_in, value) else stand_in
    document = mysql_values.json_text(value)
    return document if mysql_values.is_same_document(stand_in, document) else stand_in


def _refusal(
    source: Source, key: Sequence[str], stand_in: AmbiguousValue, *, is_number: bool
) -> ContractError:
    value, effect = NO_TRUTH if is_number else ZERO_DATE
    hint = "set it to 0 or 1" if is_number else "set it to NULL or to a date"
    parts = [f"{name} {part}" for name, part in zip(key, stand_in.key, strict=True)]
    row = f" (row {', '.join(parts)})" if parts else ""
    return ContractError(
        f"table {source.table}: column {stand_in.column} holds a {value}{row}, "
        f"which the log {effect}",
        f"{hint}; {CONTINUES_HINT}",
    )


def _disjunction(masks: Sequence[pa.BooleanArray]) -> pa.BooleanArray:
    mask = masks[0]
    for other_mask in masks[1:]:
        mask = pc.or_(mask, other_mask)
    return mask


def _selected(keys: Sequence[Key], mask: Sequence[bool]) -> list[Key]:
    """The keys of a mask, each once."""
    pairs = zip(keys, mask, strict=True)
    return list(dict.fromkeys(key for key, is_selected in pairs if is_selected))


def _keys(rows: pa.StructArray, key: Sequence[str]) -> list[Key] | None:
    """The key of each row.

    None without a key, and if its type differs between MySQL and here, so that MySQL cannot be
    queried by it.
    """
    columns = [rows.field(name) for name in key]
    if not columns or not all(_is_same_in_mysql(column.type) for column in columns):
        return None
    values = [column.to_pylist() for column in columns]
    return list(zip(*values, strict=True))


def _is_same_in_mysql(kind: pa.DataType) -> bool:
    checks = (
        pa.types.is_integer,
        pa.types.is_string,
        pa.types.is_decimal,
        pa.types.is_binary,
    )
    return any(is_kind(kind) for is_kind in checks)
