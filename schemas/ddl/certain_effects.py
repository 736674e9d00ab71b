"""How a statement changes the rows that a table has already.

MySQL logs no row for what a statement does to existing rows. A statement is applied to them only if
it was read whole and its effect on every row is certain. Any other one is a `problem`, and the
table must be read from MySQL again.
"""

from dataclasses import dataclass

from schemas.ddl.alter_table import CHANGED_CHARSET, CHANGED_KEY, AlterTable
from schemas.ddl.column_mapping import ColumnMapping, UnclearColumns, map_columns, type_of
from schemas.ddl.data_types import DataType, holds_wider_characters, keeps_values
from schemas.ddl.definitions import ColumnText, Default, DefaultKind
from schemas.ddl.parser import IndexStatement, parse
from schemas.ddl.statements import ColumnDefinition, DdlStatement, TableSchema
from schemas.ddl.tokens import NotUnderstood, TableName

UNKNOWN_COLUMNS = "Debezium does not know the table's columns"
# Of these, ASCII characters are the same everywhere.
ASCII_CHARSETS = ("utf8mb4", "utf8mb3", "utf8", "latin1", "ascii")
# Holds the characters of every other character set.
WIDEST_CHARSET = "utf8mb4"
# Of bytes: a text with this character set is no text.
BINARY = "binary"


@dataclass(frozen=True)
class RowConversion:
    """How rows cross a statement. With a `problem`, they cannot.

    First the columns `dropped` go, then all `renames` (old and new names) happen together, then the
    columns `added` come with their value as MySQL's text (None: NULL). `has_unclear_columns`:
    Debezium's description of the table may be wrong after it.
    """

    renames: tuple[tuple[str, str], ...] = ()
    added: tuple[tuple[str, str | None], ...] = ()
    dropped: tuple[str, ...] = ()
    problem: str = ""
    has_unclear_columns: bool = False


class _UnknownEffect(Exception):
    """The effect of a statement on rows is not certain."""


def row_conversion(before: TableSchema | None, statement: DdlStatement) -> RowConversion:
    """Return how an ALTER converts the rows of a table that had the schema `before`."""
    try:
        parsed = _parsed_alter(statement)
        if before is None or before.is_unclear or statement.shape is None:
            raise UnclearColumns(parsed.problem or UNKNOWN_COLUMNS)
        if parsed.problem == CHANGED_CHARSET:
            raise UnclearColumns(CHANGED_CHARSET)  # a TEXT may have become a MEDIUMTEXT
        mapping = map_columns(before, parsed, statement.shape)
    except (NotUnderstood, UnclearColumns) as error:
        return RowConversion(problem=str(error), has_unclear_columns=True)
    try:
        return _Conversion(before, parsed, mapping).result()
    except _UnknownEffect as error:
        return RowConversion(problem=str(error))


def _parsed_alter(statement: DdlStatement) -> AlterTable:
    """Raises NotUnderstood."""
    parsed = parse(statement.text)
    if isinstance(parsed, IndexStatement):
        problem = CHANGED_KEY if parsed.drops_primary else ""
        return AlterTable(table=TableName(None, statement.table), problem=problem)
    if not isinstance(parsed, AlterTable):
        raise NotUnderstood("the statement is not understood")
    return parsed


@dataclass(frozen=True)
class _Conversion:
    """The conversion of rows by an ALTER TABLE that was read whole."""

    before: TableSchema
    statement: AlterTable
    mapping: ColumnMapping

    def result(self) -> RowConversion:
        """Return the conversion. Raises _UnknownEffect."""
        if self.statement.problem:
            raise _UnknownEffect(self.statement.problem)
        if self.mapping.changes_key:
            raise _UnknownEffect(CHANGED_KEY)
        if self.before.may_compute and self.mapping.reuses_names:
            raise _UnknownEffect(_computation("a column that has the name of an older one"))
        renames = []
        for column in self.mapping.kept:
            if column.text is not None:
                self._check_values(column.old, column.new, column.text)
            if column.old.name != column.new.name:
                renames.append((column.old.name, column.new.name))
        values = []
        for added, text in self.mapping.added:
            values.append((added.name, self._first_value(text, added)))
        return RowConversion(tuple(renames), tuple(values), self.mapping.dropped)

    def _check_values(
        self, old: ColumnDefinition, new: ColumnDefinition, text: ColumnText
    ) -> None:
        """Raise _UnknownEffect if the values of a column may change."""
        old_type = type_of(old)
        if not keeps_values(old_type, text.type) or BINARY in (old.charset, text.charset):
            raise _UnknownEffect(
                f"the values of column {new.name} change from {old.type_text} to "
                f"{new.type_text}"
            )
        self._check_definition(old, new, text)
        is_other_type = old_type != text.type or text.type.is_text
        if self.before.may_compute and is_other_type:
            raise _UnknownEffect(_computation(f"column {new.name}"))
        if text.type.is_text:
            self._check_charset(new, text, holds_wider_characters(old_type, text.type))

    def _check_definition(
        self, old: ColumnDefinition, new: ColumnDefinition, text: ColumnText
    ) -> None:
        if text.is_generated:
            raise _UnknownEffect(f"MySQL computes the values of column {new.name}")
        if text.is_numbered and not old.auto_increment:
            raise _UnknownEffect(f"MySQL may number the rows by column {new.name}")
        if old.optional and old.name not in self.before.key and not _is_nullable(text):
            raise _UnknownEffect(f"column {new.name} loses its NULLs")

    def _check_charset(
        self, new: ColumnDefinition, text: ColumnText, holds_wider: bool
    ) -> None:
        """A definition that does not say the character set means that of the table's default, which
        is the column's if all have the same.

        A session without a strict sql_mode cuts a text whose characters no longer fit.
        """
        is_same = not (
            text.charset
            or self.before.mixed_charsets
            or self.statement.changes_default_charset
        )
        is_wider = text.charset == WIDEST_CHARSET and holds_wider
        if not (is_same or is_wider):
            raise _UnknownEffect(f"{CHANGED_CHARSET}: column {new.name}")

    def _first_value(self, text: ColumnText, column: ColumnDefinition) -> str | None:
        """Return the value of existing rows in a new column. Raises _UnknownEffect."""
        if text.is_generated or text.is_numbered:
            raise _UnknownEffect(
                f"MySQL computes the values of the new column {column.name}"
            )
        if text.default is None and text.nullable is not False:
            is_certain = _is_nullable(text)
            value = None
        elif text.default is None:
            value = _implicit_default(text.type)
            is_certain = value is not None
        elif text.default.kind is DefaultKind.NULL:
            is_certain = _is_nullable(text)
            value = None
        else:
            value = _default_text(text.default)
            is_certain = self._is_value(text, text.default, column)
        if not is_certain:
            raise _UnknownEffect(
                f"the first value of the new column {column.name} ({column.type_text}) does "
                "not follow from the statement"
            )
        return value

    def _is_value(
        self, text: ColumnText, default: Default, column: ColumnDefinition
    ) -> bool:
        """Whether a default is the column's value as it is written."""
        values = text.type.integer_range
        if default.kind is DefaultKind.INTEGER and values is not None:
            lowest, highest = (0, 1) if text.is_boolean else values
            return lowest <= int(default.value) <= highest
        if default.kind is not DefaultKind.STRING:
            return False
        if text.type.base not in ("CHAR", "VARCHAR"):
            return False
        return _is_plain(default.value, text.type) and self._has_ascii(text, column)

    def _has_ascii(self, text: ColumnText, column: ColumnDefinition) -> bool:
        """Whether the character set of a new column is certainly none for bytes, which a CHAR would
        fill up with zeros.
        """
        if text.charset:
            return text.charset in ASCII_CHARSETS
        is_default = not (
            self.before.mixed_charsets or self.statement.changes_default_charset
        )
        return is_default and column.charset in (*ASCII_CHARSETS, "")


def _computation(cause: str) -> str:
    return f"MySQL may compute other values from {cause}"


def _is_nullable(text: ColumnText) -> bool:
    """Whether a column certainly is. A session with explicit_defaults_for_timestamp=OFF makes a
    TIMESTAMP that does not say it NOT NULL.
    """
    if text.nullable is None:
        return text.type.base != "TIMESTAMP"
    return text.nullable


def _implicit_default(column_type: DataType) -> str | None:
    """Return the value of existing rows in a new NOT NULL column without a default, if certain."""
    if column_type.integer_range is not None:
        return "0"
    is_text = column_type.is_text and column_type.base not in ("CHAR", "ENUM", "SET")
    return "" if is_text else None


def _default_text(default: Default) -> str:
    """Return a number without leading zeros, a string as it is."""
    if default.kind is DefaultKind.INTEGER:
        return str(int(default.value))
    return default.value


def _is_plain(value: str, column_type: DataType) -> bool:
    """Whether a text means itself in every session, and fits."""
    is_plain = value.isascii() and value.isprintable() and "\\" not in value
    return is_plain and not value.endswith(" ") and len(value) <= (column_type.length or 0)
