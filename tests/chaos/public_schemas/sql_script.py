"""Scripts for MySQL's command line client, cut into what the client does with them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.public_schemas.sql_tokens import COMMENT, QUOTED_NAME, STRING

# Between statements only: commands of the client itself, which end with their line.
CLIENT_COMMAND = re.compile(
    r"(?:delimiter\s+(?P<delimiter>\S+)[^\n]*"
    r"|(?:source\s|\\\.)\s*(?P<source>[^\n;]+?)\s*;?[ \t\r]*(?=\n|\Z)"
    r"|use\s+(?P<database>`[^`\n]+`|[^\s;]+)\s*;?[ \t\r]*(?=\n|\Z))",
    re.IGNORECASE,
)
IGNORED = re.compile(rf"\s+|{COMMENT}", re.DOTALL)
ATOM = re.compile(rf"{STRING}|{QUOTED_NAME}|{COMMENT}|[^'\"`#/-]", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """A statement that the client sends, without the delimiter."""

    text: str


@dataclass(frozen=True)
class Source:
    """Another script, which the client plays at this place."""

    path: str


Step = Statement | Source


def steps(text: str) -> Iterator[Step]:
    """Yield the statements and sourced scripts of a script, in their order.

    As with the client, a comment between statements is not sent, one within a statement is, and a
    delimiter in an executed comment ends the statement. USE is left out.
    """
    delimiter = ";"
    position = 0
    while position < len(text):
        if ignored := IGNORED.match(text, position):
            position = ignored.end()
        elif command := CLIENT_COMMAND.match(text, position):
            position = command.end()
            delimiter = command["delimiter"] or delimiter
            if command["source"]:
                yield Source(command["source"])
        else:
            end = _end(text, position, delimiter)
            statement = text[position:end].strip()
            if statement:
                yield Statement(statement)
            position = end + len(delimiter)


def _end(text: str, position: int, delimiter: str) -> int:
    """Return where the statement ends that begins at a position."""
    # Runs of characters that begin nothing else, without the delimiter's first.
    plain = re.compile(rf"[^'\"`#/\\{re.escape(delimiter[0])}-]+")
    while position < len(text):
        if text.startswith(delimiter, position):
            return position
        match = plain.match(text, position) or ATOM.match(text, position)
        position = match.end() if match else position + 1
    return len(text)


def script_statements(path: Path) -> Iterator[str]:
    """Yield the statements of a script and of those that it sources, from beside it.

    A sourced script that does not exist is a statement too, which MySQL refuses.
    """
    for step in steps(path.read_text("utf-8-sig", "surrogateescape")):
        match step:
            case Statement(text):
                yield text
            case Source(name):
                sourced = path.parent / name
                if sourced.is_file():
                    yield from script_statements(sourced)
                else:
                    yield f"source {name}"
