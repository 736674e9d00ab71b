"""Tokens of SQL text: of HiveQL and CQL, which Kappa sends to servers, and of MySQL's log.

Only as fine as its users need: where statements end, where a name stands, whether a statement only
reads. Unlike a parser's tokenizer it accepts text that is not finished yet, since the shell reads
statements line by line: a quote or comment that is still open reaches to the end of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The kind of a token; its value names its group in a dialect's pattern."""

    COMMENT = "comment"
    STRING = "string"
    QUOTED_NAME = "quoted_name"
    WORD = "word"
    SPACE = "space"
    SEMICOLON = "semicolon"
    SYMBOL = "symbol"


@dataclass(frozen=True)
class Token:
    """A piece of SQL text, quotes included. The texts of all tokens make the whole text."""

    kind: Kind
    text: str

    @property
    def is_blank(self) -> bool:
        """Whether the token says nothing to the server."""
        return self.kind in (Kind.COMMENT, Kind.SPACE)

    @property
    def name(self) -> str | None:
        """The name that a word or a quoted name means; None for other tokens."""
        if self.kind is Kind.WORD:
            return self.text
        if self.kind is Kind.QUOTED_NAME:
            return _unquote(self.text)
        return None


def _unquote(quoted_name: str) -> str:
    quote = quoted_name[0]
    return quoted_name[1:].removesuffix(quote).replace(quote * 2, quote)


@dataclass(frozen=True)
class Dialect:
    """How a server's SQL writes comments, strings and quoted names, as regular expressions."""

    comment: str
    string: str
    quoted_name: str
    word: str = r"\w+"

    def tokens(self, text: str) -> Iterator[Token]:
        """Yield the tokens of a text, in their order."""
        for match in self._pattern().finditer(text):
            yield Token(Kind(match.lastgroup), match[0])

    def names(self, text: str) -> set[str]:
        """Return all names in a text: much faster than its tokens, if it has millions of them."""
        pattern = re.compile(
            f"{self.comment}|{self.string}|({self.quoted_name})|({self.word})", re.DOTALL
        )
        names = set()
        for quoted_name, word in set(pattern.findall(text)):
            names.add(_unquote(quoted_name) if quoted_name else word)
        return names

    def _pattern(self) -> re.Pattern[str]:
        alternatives = [
            (Kind.COMMENT, self.comment),
            (Kind.STRING, self.string),
            (Kind.QUOTED_NAME, self.quoted_name),
            (Kind.WORD, self.word),
            (Kind.SPACE, r"\s+"),
            (Kind.SEMICOLON, ";"),
            (Kind.SYMBOL, "."),
        ]
        groups = [f"(?P<{kind.value}>{pattern})" for kind, pattern in alternatives]
        return re.compile("|".join(groups), re.DOTALL)


LINE_COMMENT = r"--[^\n]*"
BLOCK_COMMENT = r"/\*.*?(?:\*/|\Z)"

# HiveLexer.g: StringLiteral (a backslash keeps the next character from ending the string; a doubled
# quote is two strings side by side, which Hive joins), QuotedIdentifier, LINE_COMMENT.
HIVE = Dialect(
    comment=f"{LINE_COMMENT}|{BLOCK_COMMENT}",
    string=r"""'(?:[^'\\]|\\.)*(?:'|\\?\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z)""",
    quoted_name=r"`(?:[^`]|``)*(?:`|\Z)",
)
# Cassandra's Lexer.g: STRING_LITERAL (quotes are doubled, a backslash is a character like any
# other; or between $$), QUOTED_NAME, COMMENT and MULTILINE_COMMENT.
CQL = Dialect(
    comment=f"{LINE_COMMENT}|//[^\\n]*|{BLOCK_COMMENT}",
    string=r"'(?:[^']|'')*(?:'|\Z)|\$\$.*?(?:\$\$|\Z)",
    quoted_name=r'"(?:[^"]|"")*(?:"|\Z)',
)

# DuckDB's manual, "Literal Types", "Identifiers", "Comments": quotes are doubled, and a backslash
# counts in texts that begin with e'. Texts are between $$ too (tags between the dollars are not
# known here).
DUCKDB = Dialect(
    comment=f"{LINE_COMMENT}|{BLOCK_COMMENT}",
    string=r"\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)|'(?:[^']|'')*(?:'|\Z)"
    r"|\$\$.*?(?:\$\$|\Z)",
    quoted_name=r'"(?:[^"]|"")*(?:"|\Z)',
)

# MySQL Reference Manual, "Comments", "String Literals", "Schema Object Names".
MYSQL_COMMENT = r"#[^\n]*|--(?=[\s\x00-\x1f]|\Z)[^\n]*|/\*(?!!).*?(?:\*/|\Z)"
# Text in a comment that MySQL executes is like any other here: only its delimiters are comments.
MYSQL_EXECUTED_COMMENT = r"/\*!(?:\d{5,6})?|\*/"
MYSQL_WORD = r"[0-9A-Za-z_$\u0080-\uffff]+"
# Without and with a backslash that keeps the next character from ending the text.
# Possessive (++): a statement in the log may be a text of many megabytes.
SINGLE_QUOTED = r"'(?:[^']++|'')*+(?:'|\Z)", r"'(?:[^'\\]++|\\.|'')*+(?:'|\\?\Z)"
DOUBLE_QUOTED = r'"(?:[^"]++|"")*+(?:"|\Z)', r'"(?:[^"\\]++|\\.|"")*+(?:"|\\?\Z)'
BACKQUOTED_NAME = r"`(?:[^`]++|``)*+(?:`|\Z)"


def _mysql(comment: str, backslash_in_single: bool, backslash_in_double: bool) -> Dialect:
    """Return MySQL's SQL in a session; texts in double quotes are names in all of them."""
    return Dialect(
        comment=comment,
        string=SINGLE_QUOTED[backslash_in_single],
        quoted_name=f"{BACKQUOTED_NAME}|{DOUBLE_QUOTED[backslash_in_double]}",
        word=MYSQL_WORD,
    )


MYSQL = _mysql(f"{MYSQL_EXECUTED_COMMENT}|{MYSQL_COMMENT}", True, True)


def _mysql_dialects(text: str) -> list[Dialect]:
    """Return every way in which sessions may read a statement, as its sql_mode is unknown.

    Backslashes have their meaning in both kinds of quotes, with ANSI_QUOTES in single ones only,
    with NO_BACKSLASH_ESCAPES in none. `*/*` is a multiplication and a comment, or the end of an
    executed comment and a multiplication.
    """
    comments = [MYSQL_COMMENT]
    if "/*!" in text:
        comments = [MYSQL.comment, MYSQL_COMMENT] if "*/*" in text else [MYSQL.comment]
    backslashes = [(True, True)]
    if "\\" in text:
        backslashes += [(True, False), (False, False)]
    dialects = []
    for comment in comments:
        dialects += [_mysql(comment, *places) for places in backslashes]
    return dialects


def mentioned_names(text: str) -> frozenset[str]:
    """Return, in lower case, every word and quoted name of a MySQL statement.

    Any of them may be a table's name: keywords, numbers, aliases and double-quoted strings are
    among them, and what MySQL executes in comments.
    """
    names = set[str]()
    for dialect in _mysql_dialects(text):
        names |= {name.lower() for name in dialect.names(text)}
    return frozenset(names - {""})


def split_statements(text: str, dialect: Dialect) -> tuple[list[str], str]:
    """Return the complete statements in a text, without their `;`, and the rest after the last.

    A statement of nothing but blanks and comments is left out.
    """
    statements = []
    pending: list[Token] = []
    for token in dialect.tokens(text):
        if token.kind is not Kind.SEMICOLON:
            pending.append(token)
            continue
        if not _is_blank(pending):
            statements.append(_text(pending).strip())
        pending = []
    return statements, _text(pending).lstrip()


def all_statements(text: str, dialect: Dialect) -> list[str]:
    """Return all statements in a text; the last one needs no `;`."""
    statements, rest = split_statements(text, dialect)
    if _is_blank(list(dialect.tokens(rest))):
        return statements
    return [*statements, rest.strip()]


def rename_database(statement: str, old: str, new: str, dialect: Dialect = HIVE) -> str:
    """Return a statement that names the database `new` wherever it named `old`.

    Strings and comments stay as they are, and so do names after a dot: those are of a table or a
    column.
    """
    renamed = []
    previous = ""
    for token in dialect.tokens(statement):
        name = token.name
        is_database = name is not None and name.lower() == old.lower() and previous != "."
        renamed.append(f"`{new}`" if is_database else token.text)
        if not token.is_blank:
            previous = token.text
    return "".join(renamed)


READING_VERBS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN")


def only_reads(statement: str, dialect: Dialect = HIVE) -> bool:
    """Return whether a statement certainly changes nothing, not even its session.

    Such a statement can be sent twice. Hive also accepts `FROM … INSERT` and `WITH … INSERT`.
    """
    words = []
    for token in dialect.tokens(statement):
        if token.kind is Kind.WORD:
            words.append(token.text.upper())
    return bool(words) and words[0] in READING_VERBS and "INSERT" not in words


def _is_blank(tokens: list[Token]) -> bool:
    return all(token.is_blank for token in tokens)


def _text(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)
