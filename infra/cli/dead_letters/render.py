"""How `kappa dead` prints dead letters: a line each for people, everything as JSON for programs."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.kafka.dead_letters import DeadLetter, Position
from infra.terminal.result_table import ResultTable

EXCERPT_CHARACTERS = 48
REASON_CHARACTERS = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLE_COLUMNS = ("record", "set_aside_at", "reason", "bytes", "content")
JSON_COLUMNS = (
    "topic",
    "partition",
    "offset",
    "set_aside_at",
    "reason",
    "redriven",
    "bytes",
    "key_hex",
    "hex",
    "headers",
)


def as_table(
    letters: Iterable[DeadLetter], redriven: Iterable[Position] | None = None
) -> ResultTable:
    """Return letters for people, one a line; with `redriven`, a column says which were redriven."""
    rows = []
    for letter in letters:
        # The reason can quote the record.
        printable = [c if c.isprintable() else " " for c in letter.reason]
        row: list[Any] = [
            str(letter.position),
            _set_aside_at(letter).replace(microsecond=0),
            _shorten("".join(printable), REASON_CHARACTERS),
            len(letter.value or b""),
            excerpt(letter.value),
        ]
        rows.append(row)
    if redriven is None:
        return ResultTable(TABLE_COLUMNS, rows)
    redriven_records = {str(position) for position in redriven}
    for row in rows:
        row.append("yes" if row[0] in redriven_records else "no")
    return ResultTable([*TABLE_COLUMNS, "redriven"], rows)


def as_objects(letters: Iterable[DeadLetter], redriven: Iterable[Position]) -> ResultTable:
    """Return letters for programs: everything there is, bytes in hexadecimal digits."""
    redriven_positions = set(redriven)
    rows = []
    for letter in letters:
        headers = [{"name": name, "hex": _hex(value)} for name, value in letter.headers]
        row: list[Any] = [*letter.position, _set_aside_at(letter), letter.reason]
        row.append(letter.position in redriven_positions)
        row.append(len(letter.value or b""))
        row += [_hex(letter.key), _hex(letter.value), headers]
        rows.append(row)
    return ResultTable(JSON_COLUMNS, rows)


def excerpt(value: bytes | None, max_characters: int = EXCERPT_CHARACTERS) -> str | None:
    """Return the beginning of a record's bytes for people; None if it has no value.

    As text if they are printable UTF-8, otherwise in hexadecimal digits.
    """
    if value is None:
        return None
    try:
        text = re.sub(r"[\r\n\t]+", " ", value.decode())
    except UnicodeDecodeError:
        return _shorten(value[:max_characters].hex(), max_characters)
    if not text.isprintable():
        text = value[:max_characters].hex()
    return _shorten(text, max_characters)


def _set_aside_at(letter: DeadLetter) -> datetime:
    return EPOCH + timedelta(milliseconds=letter.set_aside_ms)


def _hex(value: bytes | str | None) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else value.encode().hex()


def _shorten(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"
