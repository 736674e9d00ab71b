"""The tokens of MySQL's SQL: enough to see where names stand and where strings end."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What may hold a delimiter without ending a statement. `/*!` opens no comment: MySQL executes it.
STRING = r"'(?:[^'\\]+|\\.|'')*+(?:'|\Z)|\"(?:[^\"\\]+|\\.|\"\")*+(?:\"|\Z)"
QUOTED_NAME = r"`(?:[^`]+|``)*+(?:`|\Z)"
COMMENT = r"/\*(?!!).*?(?:\*/|\Z)|--(?=\s|\Z)[^\n]*|\#[^\n]*"

TOKEN = re.compile(
    rf"(?P<space>\s+|{COMMENT}|/\*!\d*|\*/)"
    rf"|(?P<string>{STRING})"
    rf"|(?P<name>{QUOTED_NAME})"
    r"|(?P<variable>@[\w$.@]*)"
    r"|(?P<number>\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+|\d+(?![\w$]))"
    r"|(?P<word>[\w$]+)"
    r"|(?P<symbol>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A part of a statement. Its kind is space, string, name, variable, number, word or symbol.

    A `name` is in backquotes. Comments are space, and so are the marks around executed comments.
    """

    kind: str
    text: str

    @property
    def word(self) -> str:
        """The word in upper case, "" for anything else; a name in backquotes is no word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def identifier(self) -> str:
        """The name that the token may stand for, "" if it can be none."""
        if self.kind == "name":
            return self.text[1:-1].replace("``", "`")
        return self.text if self.kind == "word" else ""


def tokens(statement: str) -> Iterator[Token]:
    """Yield the tokens of a statement; their texts together are the statement."""
    for match in TOKEN.finditer(statement):
        yield Token(str(match.lastgroup), match[0])


def words(statement: str) -> list[str]:
    """Return the words of a statement in upper case, without strings, quoted names and comments."""
    return [token.word for token in tokens(statement) if token.word]
