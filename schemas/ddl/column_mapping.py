"""Which column of a table after a statement is which one before it.

Compares what the statement says with Debezium's description of the table after it: the two differ
where Debezium reads a statement otherwise than MySQL (swapped names, stale sizes).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.ddl.alter_table import AlterTable, ColumnChange
from schemas.ddl.data_types import DataType, data_type
from schemas.ddl.definitions import ColumnText
from schemas.ddl.statements import ColumnDefinition, TableSchema
from schemas.ddl.tokens import NotUnderstood


class UnclearColumns(Exception):
    """The columns that a statement leaves are not certain."""


OTHER_COLUMNS = "Debezium's columns differ from the statement's"


@dataclass(frozen=True)
class KeptColumn:
    """A column before and after a statement, and its new definition, if it has one."""

    old: ColumnDefinition
    new: ColumnDefinition
    text: ColumnText | None


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """The columns that a statement keeps, adds (with their definition) and drops.

    `reuses_names`: another column has the name of an older one.
    """

    kept: tuple[KeptColumn, ...]
    added: tuple[tuple[ColumnDefinition, ColumnText], ...]
    dropped: tuple[str, ...]
    changes_key: bool
    reuses_names: bool


def map_columns(
    before: TableSchema, statement: AlterTable, after: TableSchema
) -> ColumnMapping:
    """Return which column is which. Raises UnclearColumns if it is not certain.

    MySQL does not distinguish the letter case of columns, and the log has other names than MySQL
    where Avro does not allow them: `_key` of a name is the same for all ways to write it.
    """
    old_columns = _by_key(before.columns)
    new_columns = _by_key(after.columns)
    changes = {_key(change.old_name): change for change in statement.changed}
    texts = {_key(text.name): text for text in statement.added}
    dropped_keys = {_key(name) for name in statement.dropped}
    _check_clauses(statement, dropped_keys | changes.keys(), old_columns)
    new_keys = {}
    for key in old_columns:
        if key not in dropped_keys:
            new_keys[key] = _key(changes[key].new_name) if key in changes else key
    all_keys = [*new_keys.values(), *map(_key, (text.name for text in statement.added))]
    if sorted(all_keys) != sorted(new_columns):
        raise UnclearColumns(OTHER_COLUMNS)
    after_key = [_key(name) for name in after.key]
    kept = []
    for key, new_key in new_keys.items():
        is_key = new_key in after_key
        new = new_columns[new_key]
        kept.append(_kept_column(old_columns[key], new, changes.get(key), is_key=is_key))
    added = []
    for key, text in texts.items():
        _check_definition(text, new_columns[key], is_key=key in after_key)
        added.append((new_columns[key], text))
    key_before = [new_keys.get(_key(name)) for name in before.key]
    other_keys = {new_key for key, new_key in new_keys.items() if key != new_key}
    return ColumnMapping(
        kept=tuple(kept),
        added=tuple(added),
        dropped=tuple(old_columns[key].name for key in old_columns if key in dropped_keys),
        changes_key=key_before != after_key,
        reuses_names=bool(old_columns.keys() & (other_keys | texts.keys())),
    )


def _check_clauses(statement: AlterTable, keys: set[str], old_keys: Iterable[str]) -> None:
    """Every clause is about another column of the table."""
    if len(keys) != len(statement.dropped) + len(statement.changed):
        raise UnclearColumns("two of its parts change the same column")
    if not keys <= set(old_keys):
        raise UnclearColumns(OTHER_COLUMNS)


def _kept_column(
    old: ColumnDefinition,
    new: ColumnDefinition,
    change: ColumnChange | None,
    *,
    is_key: bool,
) -> KeptColumn:
    text = change.definition if change else None
    if text is not None:
        _check_definition(text, new, is_key=is_key)
    elif old.type_definition != new.type_definition:
        raise UnclearColumns(OTHER_COLUMNS)
    return KeptColumn(old, new, text)


def _check_definition(text: ColumnText, column: ColumnDefinition, *, is_key: bool) -> None:
    """Raise UnclearColumns if Debezium describes a column otherwise than the statement."""
    if text.type != type_of(column) or text.is_numbered != column.auto_increment:
        raise UnclearColumns(OTHER_COLUMNS)
    may_be_null = text.nullable is not False and not (text.is_numbered or is_key)
    if may_be_null and not column.optional:
        raise UnclearColumns(OTHER_COLUMNS)


def type_of(column: ColumnDefinition) -> DataType:
    """Return the type that Debezium's description means. Raises UnclearColumns."""
    try:
        return data_type(column.type, column.length, column.scale, column.labels)
    except NotUnderstood as error:
        raise UnclearColumns(str(error)) from error


def _key(name: str) -> str:
    return name.lower()


def _by_key(columns: Sequence[ColumnDefinition]) -> dict[str, ColumnDefinition]:
    by_key = {_key(column.name): column for column in columns}
    if len(by_key) != len(columns):
        raise UnclearColumns("two columns have the same name in the log")
    return by_key
