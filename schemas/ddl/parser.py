"""Statements about tables, read whole or not at all."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from schemas.ddl.alter_table import AlterTable, read_alter_table
from schemas.ddl.data_types import CHARACTER_TYPES
from schemas.ddl.tokens import (
    END,
    NotUnderstood,
    TableName,
    Token,
    TokenKind,
    TokenReader,
    first_tokens,
    tokens,
)

# Words without which no statement makes MySQL compute the values of a column.
COMPUTATION_WORDS = ("AS", "GENERATED", "LIKE", "SELECT")
# Words without which no statement names a character set or a collation.
CHARSET_WORDS = (
    *("CHARACTER", "CHARSET", "COLLATE", "ASCII", "UNICODE", "BYTE"),
    *("NATIONAL", "NCHAR", "NVARCHAR", "LIKE", "SELECT"),
)


@dataclass(frozen=True)
class RenameTables:
    """The old and new names of tables, in the order of the renames."""

    pairs: tuple[tuple[TableName, TableName], ...]


@dataclass(frozen=True)
class CreateTable:
    """The head of a CREATE TABLE."""

    is_temporary: bool = False
    only_if_absent: bool = False


@dataclass(frozen=True)
class DropTemporaryTable:
    """A DROP TEMPORARY TABLE."""


@dataclass(frozen=True)
class DropDatabase:
    """A DROP DATABASE."""

    database: str


@dataclass(frozen=True)
class IndexStatement:
    """A CREATE INDEX or DROP INDEX; the latter may remove the primary key.

    One that only `adds_search_index` changes neither rows nor columns nor keys: it is not unique,
    and of columns alone (MySQL keeps an expression as a hidden column).
    """

    drops_primary: bool = False
    adds_search_index: bool = False


@dataclass(frozen=True)
class OtherStatement:
    """A statement that needs no reading: DROP TABLE, views, TRUNCATE, ANALYZE, …"""


Statement = (
    RenameTables
    | AlterTable
    | CreateTable
    | DropTemporaryTable
    | DropDatabase
    | IndexStatement
    | OtherStatement
)


@lru_cache(maxsize=4096)
def parse(text: str) -> Statement:
    """Return what a statement says.

    Raises NotUnderstood if a part of it is unknown, or if it says something else in a session with
    NO_BACKSLASH_ESCAPES.
    """
    statements = [_parse(reading) for reading in _readings(text)]
    if any(statement != statements[0] for statement in statements):
        raise NotUnderstood("the meaning of a backslash depends on the session's sql_mode")
    return statements[0]


def altered_table(text: str) -> TableName | None:
    """Return the table that an ALTER TABLE begins with, also if the rest is not understood."""
    reader = TokenReader(first_tokens(text))
    if not reader.accept("ALTER", "TABLE"):
        return None
    try:
        return reader.table_name()
    except NotUnderstood:
        return None


def _readings(text: str) -> list[list[Token]]:
    """Return the tokens of a statement for each way in which a session may have read it.

    MySQL accepted the statement, so a way in which a quote has no end was not the session's. Raises
    NotUnderstood if there is no other.
    """
    if "\\" not in text:
        return [tokens(text)]
    readings = []
    for escapes in (True, False):
        with suppress(NotUnderstood):
            readings.append(tokens(text, escapes=escapes))
    if not readings:
        raise NotUnderstood("a quote has no end")
    return readings


def _parse(statement: Sequence[Token]) -> Statement:
    reader = TokenReader(_without_end(statement))
    if reader.accept("ALTER", "TABLE"):
        return read_alter_table(reader)
    if reader.accept("RENAME"):
        return _rename_tables(reader)
    if reader.accept("CREATE"):
        return _create(reader)
    if reader.accept("DROP"):
        return _drop(reader)
    return OtherStatement()


def _without_end(statement: Sequence[Token]) -> Sequence[Token]:
    end = Token(TokenKind.SYMBOL, ";")
    return statement[:-1] if statement and statement[-1] == end else statement


def _rename_tables(reader: TokenReader) -> RenameTables:
    reader.expect_one_of("TABLE", "TABLES")
    pairs = [_renamed_pair(reader)]
    while reader.accept_symbol(","):
        pairs.append(_renamed_pair(reader))
    if not reader.is_at_end:
        raise reader.failure()
    return RenameTables(tuple(pairs))


def _renamed_pair(reader: TokenReader) -> tuple[TableName, TableName]:
    old_name = reader.table_name()
    reader.expect("TO")
    return old_name, reader.table_name()


def _create(reader: TokenReader) -> CreateTable | IndexStatement | OtherStatement:
    is_temporary = reader.accept("TEMPORARY")
    if reader.accept("TABLE"):
        return CreateTable(is_temporary, reader.accept("IF", "NOT", "EXISTS"))
    kind = reader.accept_one_of("UNIQUE", "FULLTEXT", "SPATIAL")
    if not reader.accept("INDEX"):
        return OtherStatement()
    return IndexStatement(adds_search_index=not kind and _is_of_columns(reader))


def _is_of_columns(reader: TokenReader) -> bool:
    """Consume the name, the table and the columns of an index; False if it is of anything else."""
    try:
        reader.name()
        if reader.accept("USING"):
            reader.expect_one_of("BTREE", "HASH")
        reader.expect("ON")
        reader.table_name()
        reader.expect_symbol("(")
        while True:
            reader.name()
            if reader.accept_symbol("("):
                reader.number()
                reader.expect_symbol(")")
            reader.accept_one_of("ASC", "DESC")
            if not reader.accept_symbol(","):
                reader.expect_symbol(")")
                return True
    except NotUnderstood:
        return False


def _drop(
    reader: TokenReader,
) -> DropTemporaryTable | DropDatabase | IndexStatement | OtherStatement:
    if reader.accept("TEMPORARY"):
        return DropTemporaryTable()
    if reader.accept("INDEX"):
        return IndexStatement(drops_primary=reader.name().upper() == "PRIMARY")
    if not reader.accept_one_of("DATABASE", "SCHEMA"):
        return OtherStatement()
    reader.accept("IF", "EXISTS")
    return DropDatabase(reader.name())


def may_compute(text: str) -> bool:
    """Return whether a CREATE or ALTER TABLE may define a column of which MySQL computes the
    values.
    """
    try:
        readings = _readings(text)
    except NotUnderstood:
        return True
    return any(token.word in COMPUTATION_WORDS for reading in readings for token in reading)


def names_charset(text: str) -> bool:
    """Return whether a CREATE or ALTER TABLE may give a column another character set or collation
    than the other columns of its table.

    The options behind the definition of a table are of all columns; only a binary one matters.
    """
    try:
        return any(_names_charset(reading) for reading in _readings(text))
    except NotUnderstood:
        return True


def _names_charset(statement: Sequence[Token]) -> bool:
    is_creation = TokenReader(statement).starts_with("CREATE")
    depth = 0
    previous = END
    for token in statement:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.word == "BINARY":
            is_attribute = previous.text == ")" or previous.word in CHARACTER_TYPES
            if is_attribute or not depth:
                return True
        elif token.word in (
            CHARSET_WORDS if depth or not is_creation else COMPUTATION_WORDS
        ):
            return True
        previous = token
    return False
