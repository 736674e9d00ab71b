"""MySQL's tokens, and a reader that consumes them.

Own code rather than a library's: sqlglot's tokenizer (30.x) drops `/*!80000 … */`, which MySQL
executes, makes one string of the text after RENAME, and has one rule for backslashes, which
depend on the session's sql_mode. The rules: MySQL 9 manual, 11.1 Literal Values, 11.2 Schema Object
Names, 11.7 Comments.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

# Behind `/*!`: any version, 8.0.0, or the same in the longer form.
VERSION_DIGITS = (0, 5, 6)


class NotUnderstood(Exception):
    """A statement that is not read whole, or that sessions with other settings read otherwise."""


class TokenKind(Enum):
    """The kind of a token; its value names its group in the pattern."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    # A string, or a name in a session with ANSI_QUOTES.
    DOUBLE_QUOTED = "double_quoted"
    BACKQUOTED = "backquoted"
    SYMBOL = "symbol"


@dataclass(frozen=True)
class Token:
    """A token with its text, quotes included."""

    kind: TokenKind
    text: str

    @property
    def word(self) -> str:
        """An unquoted word in capitals; empty for other tokens."""
        return self.text.upper() if self.kind is TokenKind.WORD else ""

    @property
    def name(self) -> str | None:
        """The name that the token may mean."""
        if self.kind is TokenKind.WORD:
            return self.text
        if self.kind in (TokenKind.BACKQUOTED, TokenKind.DOUBLE_QUOTED):
            return unquote(self.text)
        return None

    @property
    def is_string(self) -> bool:
        """Whether the token may be a text."""
        return self.kind in (TokenKind.STRING, TokenKind.DOUBLE_QUOTED)


END = Token(TokenKind.SYMBOL, "")


def unquote(text: str) -> str:
    """Return the content of a quoted token. Backslashes stay as they are."""
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)


PATTERN = r"""
  (?P<blank>\s+ | --(?=[\x00-\x20]|\Z)[^\n]* | \#[^\n]* | /\*(?!!).*?\*/)
| (?P<executed>/\*!\d* | \*/)
| (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?![\w$]))
| (?P<word>[\w$]+)
| (?P<backquoted>`(?:[^`]|``)+`)
| (?P<double_quoted>"(?:[^"]|"")*")
| (?P<string>STRING)
| (?P<symbol>[^'"`\\])
"""
FLAGS = re.VERBOSE | re.DOTALL
WITH_ESCAPES = re.compile(PATTERN.replace("STRING", r"'(?:[^'\\]|\\.|'')*'"), FLAGS)
# sql_mode NO_BACKSLASH_ESCAPES
WITHOUT_ESCAPES = re.compile(PATTERN.replace("STRING", r"'(?:[^']|'')*'"), FLAGS)


def tokens(text: str, *, escapes: bool = True) -> list[Token]:
    """Return the tokens of a statement, without comments.

    `escapes`: whether a backslash in a text escapes the next character. The text in `/*! … */` is
    part of the statement: MySQL's log has no `!` in a comment that it did not execute. Raises
    NotUnderstood for a quote without its end.
    """
    pattern = WITH_ESCAPES if escapes else WITHOUT_ESCAPES
    return list(_tokens(text, pattern))


def first_tokens(text: str) -> list[Token]:
    """Return the tokens before the first that sessions may read differently, or that is unclear."""
    found_tokens = []
    with suppress(NotUnderstood):
        for token in _tokens(text, WITHOUT_ESCAPES):
            if "\\" in token.text:
                break
            found_tokens.append(token)
    return found_tokens


def _tokens(text: str, pattern: re.Pattern[str]) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            raise NotUnderstood(f"a quote has no end: {text[position : position + 20]}")
        position = match.end()
        group = str(match.lastgroup)
        if group == "executed":
            _check_version(match[0])
        elif group != "blank":
            yield _token(TokenKind(group), match[0])


def _check_version(text: str) -> None:
    """`*/` may stand alone: Debezium cuts what is before and behind a statement."""
    if text != "*/" and len(text.removeprefix("/*!")) not in VERSION_DIGITS:
        raise NotUnderstood(f"the version behind {text} is unclear")


def _token(kind: TokenKind, text: str) -> Token:
    if kind is TokenKind.DOUBLE_QUOTED and "\\" in text:
        # An escape in a text, a character in a name.
        raise NotUnderstood(f"the meaning of {text} depends on the session's sql_mode")
    return Token(kind, text)


@dataclass(frozen=True)
class TableName:
    """A table as a statement names it; the database is None if the statement does not say it."""

    database: str | None
    table: str


class TokenReader:
    """Consumes tokens from left to right. Every method that needs a token raises NotUnderstood if
    another one comes.
    """

    def __init__(self, statement: Sequence[Token]) -> None:
        self._tokens = statement
        self._position = 0

    @property
    def next(self) -> Token:
        """The next token, which is not consumed; END after the last."""
        return self._ahead(0)

    @property
    def is_at_end(self) -> bool:
        """Whether all tokens are consumed."""
        return self._position >= len(self._tokens)

    def starts_with(self, *words: str) -> bool:
        """Return whether some words come next."""
        return all(self._ahead(number).word == word for number, word in enumerate(words))

    def accept(self, *words: str) -> bool:
        """Consume some words if all of them come next, and return whether they do."""
        if not self.starts_with(*words):
            return False
        self._position += len(words)
        return True

    def accept_one_of(self, *words: str) -> str:
        """Consume the next word if it is one of these, and return it; empty if it is not."""
        word = self.next.word
        if not word or word not in words:
            return ""
        self._position += 1
        return word

    def accept_symbol(self, symbol: str) -> bool:
        """Consume a symbol if it comes next, and return whether it does."""
        is_next = self.next.kind is TokenKind.SYMBOL and self.next.text == symbol
        if is_next:
            self._position += 1
        return is_next

    def expect(self, *words: str) -> None:
        """Consume some words."""
        if not self.accept(*words):
            raise self.failure()

    def expect_one_of(self, *words: str) -> str:
        """Consume one of some words, and return it."""
        word = self.accept_one_of(*words)
        if not word:
            raise self.failure()
        return word

    def expect_symbol(self, symbol: str) -> None:
        """Consume a symbol."""
        if not self.accept_symbol(symbol):
            raise self.failure()

    def name(self) -> str:
        """Consume a name."""
        name = self.next.name
        if name is None:
            raise self.failure()
        self._position += 1
        return name

    def table_name(self) -> TableName:
        """Consume a name with or without a database."""
        first = self.name()
        if self.accept_symbol("."):
            return TableName(first, self.name())
        return TableName(None, first)

    def string(self) -> Token:
        """Consume a text."""
        if not self.next.is_string:
            raise self.failure()
        return self.consume()

    def number(self) -> str:
        """Consume a number without a sign."""
        if self.next.kind is not TokenKind.NUMBER:
            raise self.failure()
        return self.consume().text

    def consume(self) -> Token:
        """Consume any token."""
        token = self.next
        if token is END:
            raise self.failure()
        self._position += 1
        return token

    def group(self) -> None:
        """Consume any expression in brackets."""
        self.expect_symbol("(")
        depth = 1
        while depth:
            token = self.consume()
            if token.kind is TokenKind.SYMBOL:
                depth += {"(": 1, ")": -1}.get(token.text, 0)

    def failure(self) -> NotUnderstood:
        """Return the error that names the next token."""
        text = self.next.text
        place = f"at {text[:40]}" if text else "at its end"
        return NotUnderstood(f"the statement is not understood {place}")

    def _ahead(self, number: int) -> Token:
        position = self._position + number
        return self._tokens[position] if position < len(self._tokens) else END
