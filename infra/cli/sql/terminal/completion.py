"""Completion of words, tables and columns in the shell."""

import re
from collections.abc import Callable, Iterable, Sequence, Set

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from infra.cli.sql.catalog import TableEntry
from infra.cli.sql.column_types import quoted_name
from infra.cli.sql.statement import meaningful_tokens

KEYWORDS = (
    *(
        "ALL",
        "AND",
        "AS",
        "ASC",
        "BETWEEN",
        "BY",
        "CASE",
        "CAST",
        "CROSS",
        "DESC",
        "DESCRIBE",
    ),
    *("DISTINCT", "ELSE", "END", "EXCEPT", "EXISTS", "EXPLAIN", "FALSE", "FILTER", "FROM"),
    *(
        "FULL",
        "GROUP",
        "HAVING",
        "ILIKE",
        "IN",
        "INNER",
        "INTERSECT",
        "INTERVAL",
        "IS",
        "JOIN",
    ),
    *(
        "LEFT",
        "LIKE",
        "LIMIT",
        "NOT",
        "NULL",
        "NULLS",
        "OFFSET",
        "ON",
        "OR",
        "ORDER",
        "OVER",
    ),
    *(
        "PARTITION",
        "QUALIFY",
        "RIGHT",
        "SELECT",
        "SHOW TABLES",
        "SUMMARIZE",
        "THEN",
        "TRUE",
    ),
    *("UNION", "USING", "VALUES", "WHEN", "WHERE", "WINDOW", "WITH"),
    *("avg(", "coalesce(", "count(*)", "date_trunc('", "max(", "min(", "round(", "sum("),
)
COMMANDS = ("\\d", "\\timing", "\\q", "\\?")
# The word before the cursor, with a qualifier: `live.prod`.
LAST_WORD = re.compile(r"(?:(?:\w+|\"[^\"]*\")\.)?\\?[\w\"]*$")
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class SqlCompleter(Completer):
    """Completes the word before the cursor."""

    def __init__(self, tables: Callable[[], Sequence[TableEntry]]) -> None:
        self._tables = tables

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield what the word can become, columns of the statement's tables first."""
        match = LAST_WORD.search(document.text_before_cursor)
        word = match[0] if match else ""
        if not word:
            return
        for candidate, meta in candidates(document.text, word, self._tables()):
            yield Completion(candidate, start_position=-len(word), display_meta=meta)


def candidates(text: str, word: str, tables: Sequence[TableEntry]) -> list[tuple[str, str]]:
    """Return what a word can become in a text, and what each of it is."""
    qualifier, dot, _ = word.rpartition(".")
    options = _columns_behind(text, qualifier, tables) if dot else _columns(text, tables)
    for table in tables:
        options.append((f"{table.schema}.{_as_typed(table.name)}", "table"))
        if table.schema not in ("archive", "live"):
            options.append((_as_typed(table.name), "table"))
    if not dot:
        options += [(keyword, "") for keyword in KEYWORDS]
        options += [(command, "") for command in COMMANDS if word.startswith("\\")]
    beginning = word.lower()
    distinct_options = dict(reversed(options))
    return [
        (option, distinct_options[option])
        for option in dict.fromkeys(option for option, _ in options)
        if option.lower().startswith(beginning)
    ]


def _columns(text: str, tables: Sequence[TableEntry]) -> list[tuple[str, str]]:
    """Return the columns of the tables that a text names."""
    names = {token.name.lower() for token in meaningful_tokens(text) if token.name}
    columns = []
    for table in tables:
        if table.name in names:
            columns += [
                (_as_typed(name), f"{table.name} {kind}") for name, kind in table.columns
            ]
    return columns


def _columns_behind(
    text: str, qualifier: str, tables: Sequence[TableEntry]
) -> list[tuple[str, str]]:
    """Return the columns of the table that a qualifier means: its name or its alias."""
    wanted = qualifier.strip('"').lower()
    wanted_table = _aliases(text, {table.name for table in tables}).get(wanted, wanted)
    columns = []
    for table in tables:
        if table.name == wanted_table:
            columns += [
                (f"{qualifier}.{_as_typed(name)}", kind) for name, kind in table.columns
            ]
    return columns


def _aliases(text: str, table_names: Set[str]) -> dict[str, str]:
    """Return the tables of a text by the names that stand behind them, perhaps after AS."""
    names = [(token.name or "").lower() for token in meaningful_tokens(text)]
    aliases = {}
    for position, name in enumerate(names):
        if name not in table_names:
            continue
        following = [word for word in names[position + 1 : position + 3] if word != "as"]
        if following and following[0]:
            aliases[following[0]] = name
    return aliases


def _as_typed(name: str) -> str:
    """Return a name as a statement has to write it."""
    return name if PLAIN_NAME.fullmatch(name) else quoted_name(name)
