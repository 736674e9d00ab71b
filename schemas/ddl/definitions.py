"""The grammar of column and index definitions (MySQL 9 manual, 15.1.20 CREATE TABLE)."""

from dataclasses import dataclass
from enum import Enum

from schemas.ddl.data_types import DataType, data_type, read_data_type
from schemas.ddl.tokens import Token, TokenKind, TokenReader, unquote

CURRENT_TIME_WORDS = ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP")
INDEX_WORDS = (
    *("INDEX", "KEY", "FULLTEXT", "SPATIAL"),
    *("UNIQUE", "PRIMARY", "FOREIGN", "CHECK", "CONSTRAINT"),
)
# The binary collation of the table's default.
UNKNOWN_CHARSET = "unknown"
BOOLEAN_WORDS = ("BOOL", "BOOLEAN")


class DefaultKind(Enum):
    """The kind of a column's default."""

    NULL = "null"
    INTEGER = "integer"
    STRING = "string"
    OTHER = "other"


@dataclass(frozen=True)
class Default:
    """A column's default. `value` is the number, or the content of the string as it is written."""

    kind: DefaultKind
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class ColumnText:
    """A column as a statement defines it.

    `nullable` is None if the statement says neither NULL nor NOT NULL. `charset` is empty if the
    statement does not say it.
    """

    name: str
    type: DataType
    nullable: bool | None = None
    default: Default | None = None
    charset: str = ""
    is_boolean: bool = False
    is_generated: bool = False
    is_numbered: bool = False
    is_primary: bool = False


class _ColumnReader:
    """Reads the attributes behind a column's type; each method says whether it consumed one."""

    def __init__(self, reader: TokenReader) -> None:
        self._reader = reader
        self.nullable: bool | None = None
        self.default: Default | None = None
        self.charset = ""
        self.is_generated = False
        self.is_numbered = False
        self.is_primary = False

    def read_attributes(self) -> None:
        """Consume all attributes."""
        while (
            self._read_null()
            or self._read_default()
            or self._read_charset()
            or self._read_key()
            or self._read_generation()
            or self._read_constraint()
            or self._read_storage()
        ):
            pass

    def _read_null(self) -> bool:
        if self._reader.accept("NOT", "NULL"):
            self.nullable = False
        elif self._reader.accept("NULL"):
            self.nullable = True
        else:
            return False
        return True

    def _read_default(self) -> bool:
        reader = self._reader
        if reader.accept("ON", "UPDATE"):
            reader.expect_one_of(*CURRENT_TIME_WORDS)
            _accept_group(reader)
            return True
        if not reader.accept("DEFAULT"):
            return False
        self.default = read_default(reader)
        return True

    def _read_charset(self) -> bool:
        reader = self._reader
        if accept_charset(reader):
            self.charset = charset_name(reader)
        elif reader.accept("COLLATE"):
            collation = charset_name(reader)
            self.charset = self.charset or charset_of(collation)
        elif word := reader.accept_one_of("ASCII", "UNICODE", "BYTE"):
            self.charset = {"ASCII": "latin1", "UNICODE": "ucs2", "BYTE": "binary"}[word]
        elif reader.accept("BINARY"):
            self.charset = self.charset or UNKNOWN_CHARSET
        else:
            return False
        return True

    def _read_key(self) -> bool:
        reader = self._reader
        if reader.accept("AUTO_INCREMENT"):
            self.is_numbered = True
        elif reader.accept("UNIQUE"):
            reader.accept("KEY")
        elif reader.accept("PRIMARY", "KEY") or reader.accept("KEY"):
            self.is_primary = True
        else:
            return False
        return True

    def _read_generation(self) -> bool:
        reader = self._reader
        if reader.accept("GENERATED", "ALWAYS"):
            reader.expect("AS")
        elif not reader.accept("AS"):
            return False
        reader.group()
        reader.accept_one_of("VIRTUAL", "STORED")
        self.is_generated = True
        return True

    def _read_constraint(self) -> bool:
        reader = self._reader
        if reader.accept("CONSTRAINT"):
            if not reader.starts_with("CHECK"):
                reader.name()
            if not reader.starts_with("CHECK"):
                raise reader.failure()
        if reader.accept("CHECK"):
            _read_check(reader)
        elif reader.accept("REFERENCES"):
            _read_reference(reader)
        else:
            return False
        return True

    def _read_storage(self) -> bool:
        reader = self._reader
        if reader.accept("COMMENT"):
            reader.string()
        elif reader.accept_one_of("COLUMN_FORMAT", "STORAGE"):
            reader.expect_one_of("FIXED", "DYNAMIC", "DEFAULT", "DISK", "MEMORY")
        elif reader.accept_one_of("ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"):
            reader.accept_symbol("=")
            reader.string()
        elif reader.accept("SRID"):
            reader.number()
        else:
            return bool(reader.accept_one_of("VISIBLE", "INVISIBLE"))
        return True


def read_column(reader: TokenReader) -> ColumnText:
    """Consume a column's name and definition. Raises NotUnderstood."""
    name = reader.name()
    is_boolean = reader.next.word in BOOLEAN_WORDS
    if reader.accept("SERIAL"):
        column_type = data_type("BIGINT UNSIGNED")
        is_serial = True
    else:
        column_type = read_data_type(reader)
        is_serial = False
    attributes = _ColumnReader(reader)
    attributes.read_attributes()
    charset = attributes.charset
    if column_type.national:
        charset = charset or "utf8mb3"
    return ColumnText(
        name=name,
        type=column_type,
        nullable=False if is_serial else attributes.nullable,
        default=attributes.default,
        charset=charset,
        is_boolean=is_boolean,
        is_generated=attributes.is_generated,
        is_numbered=attributes.is_numbered or is_serial,
        is_primary=attributes.is_primary,
    )


def read_position(reader: TokenReader) -> None:
    """Consume FIRST or AFTER, if they come next. Raises NotUnderstood."""
    if reader.accept("AFTER"):
        reader.name()
    else:
        reader.accept("FIRST")


def read_default(reader: TokenReader) -> Default:
    """Consume the value of a default. Raises NotUnderstood."""
    if reader.accept("NULL"):
        return Default(DefaultKind.NULL)
    if reader.next.is_string:
        return _string_default(reader)
    sign = "-" if reader.accept_symbol("-") else ""
    if not sign:
        reader.accept_symbol("+")
    if reader.next.kind is TokenKind.NUMBER:
        number = reader.number()
        kind = DefaultKind.INTEGER if number.isdecimal() else DefaultKind.OTHER
        return Default(kind, sign + number)
    if reader.accept_one_of(*CURRENT_TIME_WORDS):
        _accept_group(reader)
    elif _accept_group(reader):
        pass
    elif reader.next.kind is TokenKind.WORD:
        # TRUE, FALSE, 0x41; N'a', _utf8mb4'a', x'41', DATE'2020-01-01'
        reader.consume()
        if reader.next.is_string:
            reader.consume()
    else:
        raise reader.failure()
    return Default(DefaultKind.OTHER)


def _string_default(reader: TokenReader) -> Default:
    token: Token = reader.string()
    if not reader.next.is_string:
        return Default(DefaultKind.STRING, unquote(token.text))
    while reader.next.is_string:  # texts side by side are one
        reader.consume()
    return Default(DefaultKind.OTHER)


def _accept_group(reader: TokenReader) -> bool:
    is_next = reader.next.text == "("
    if is_next:
        reader.group()
    return is_next


def accept_charset(reader: TokenReader) -> bool:
    """Consume the words before a character set, and return whether they come next."""
    return (
        reader.accept("CHARACTER", "SET")
        or reader.accept("CHAR", "SET")
        or reader.accept("CHARSET")
    )


def charset_name(reader: TokenReader) -> str:
    """Consume the name of a character set or a collation, and return it in small letters.

    Raises NotUnderstood.
    """
    is_text = reader.next.kind is TokenKind.STRING
    name = (unquote(reader.consume().text) if is_text else reader.name()).lower()
    return "utf8mb3" if name == "utf8" else name


def charset_of(collation: str) -> str:
    """Return the character set of a collation."""
    charset = collation.partition("_")[0]
    return "utf8mb3" if charset == "utf8" else charset


def read_index(reader: TokenReader) -> bool:
    """Consume the definition of an index or a constraint, and return whether it is the primary key.

    Raises NotUnderstood.
    """
    if reader.accept("CONSTRAINT") and reader.next.word not in INDEX_WORDS:
        reader.name()
    if reader.accept("CHECK"):
        _read_check(reader)
    elif reader.accept("FOREIGN", "KEY"):
        if reader.next.text != "(":
            reader.name()
        reader.group()
        reader.expect("REFERENCES")
        _read_reference(reader)
    elif reader.accept("PRIMARY", "KEY"):
        _read_index_parts(reader)
        return True
    else:
        kind = reader.expect_one_of("INDEX", "KEY", "FULLTEXT", "SPATIAL", "UNIQUE")
        if kind not in ("INDEX", "KEY"):
            reader.accept_one_of("INDEX", "KEY")
        if reader.next.text != "(" and reader.next.word not in ("USING", "TYPE"):
            reader.name()
        _read_index_parts(reader)
    return False


def _read_index_parts(reader: TokenReader) -> None:
    """The columns of an index, and its options."""
    if reader.accept_one_of("USING", "TYPE"):
        reader.expect_one_of("BTREE", "HASH")
    reader.group()
    while True:
        if reader.accept("KEY_BLOCK_SIZE"):
            reader.accept_symbol("=")
            reader.number()
        elif reader.accept_one_of("USING", "TYPE"):
            reader.expect_one_of("BTREE", "HASH")
        elif reader.accept("WITH", "PARSER"):
            reader.name()
        elif reader.accept("COMMENT"):
            reader.string()
        elif reader.accept_one_of("ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"):
            reader.accept_symbol("=")
            reader.string()
        elif not reader.accept_one_of("VISIBLE", "INVISIBLE"):
            return


def _read_check(reader: TokenReader) -> None:
    reader.group()
    if reader.accept("NOT"):
        reader.expect("ENFORCED")
    else:
        reader.accept("ENFORCED")


def _read_reference(reader: TokenReader) -> None:
    reader.table_name()
    if reader.next.text == "(":
        reader.group()
    if reader.accept("MATCH"):
        reader.expect_one_of("FULL", "PARTIAL", "SIMPLE")
    while reader.accept("ON"):
        reader.expect_one_of("DELETE", "UPDATE")
        if reader.accept("SET"):
            reader.expect_one_of("NULL", "DEFAULT")
        elif reader.accept("NO"):
            reader.expect("ACTION")
        else:
            reader.expect_one_of("RESTRICT", "CASCADE")
