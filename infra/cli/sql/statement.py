"""What a statement is, before it runs: whether it only reads, and the names in it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import Refused
from schemas.sql_tokens import DUCKDB, Token

if TYPE_CHECKING:
    import duckdb

READING_HINT = "SELECT, WITH, FROM, SHOW, DESCRIBE, SUMMARIZE and EXPLAIN are answered"
EXPLAIN_OPTIONS = ("ANALYZE", "FORMAT")


@dataclass(frozen=True)
class Name:
    """A name in a statement, in lower case, and the name before its dot ('' for none)."""

    qualifier: str
    name: str


def names_in(sql: str) -> frozenset[Name]:
    """Return every name in a statement: of tables, columns, functions, and keywords too."""
    names = set()
    tokens = meaningful_tokens(sql)
    for position, token in enumerate(tokens):
        if token.name is None:
            continue
        qualifier = None
        if position >= 2 and tokens[position - 1].text == ".":
            qualifier = tokens[position - 2].name
        names.add(Name((qualifier or "").lower(), token.name.lower()))
    return frozenset(names)


def meaningful_tokens(sql: str) -> list[Token]:
    """Return the tokens of a statement without blanks and comments."""
    return [token for token in DUCKDB.tokens(sql) if not token.is_blank]


def check_reads(connection: "duckdb.DuckDBPyConnection", sql: str) -> None:
    """Raise Refused, unless a text is one statement that only reads."""
    import duckdb

    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise Refused(syntax_error(error), "see duckdb.org/docs for the syntax") from error
    if len(statements) != 1:
        raise Refused("a statement ends with ; and there are several", READING_HINT)
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN:
        check_reads(connection, _explained(sql))
    elif kind != duckdb.StatementType.SELECT:
        first_word = meaningful_tokens(sql)[0].text.upper()
        raise Refused(f"{first_word}: sql only reads", READING_HINT)


def _explained(sql: str) -> str:
    """Return the statement behind EXPLAIN, ANALYZE and options in parentheses."""
    tokens = list(DUCKDB.tokens(sql))
    positions = [index for index, token in enumerate(tokens) if not token.is_blank]
    words = [tokens[index].text.upper() for index in positions]
    first = 1
    if words[first : first + 1] == ["ANALYZE"]:
        first += 1
    if words[first : first + 1] == ["("] and words[first + 1] in EXPLAIN_OPTIONS:
        first = words.index(")") + 1
    start = positions[first] if first < len(positions) else len(tokens)
    return "".join(token.text for token in tokens[start:])


def syntax_error(error: Exception) -> str:
    """Return DuckDB's words about a statement in one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)
