"""Answers to queries as a table for people, as CSV, or as JSON."""

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import click

Shape = Literal["table", "csv", "json"]


@dataclass(frozen=True)
class Answer:
    """The columns' names and the rows; `cut` says that there were more rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    cut: bool = False


def show(answer: Answer, shape: Shape) -> None:
    """Prints an answer to standard output; that it was cut is said on standard error. One without columns prints nothing in a table."""
    if shape == "json":
        click.echo(as_json(answer))
    elif shape == "csv":
        click.echo(as_csv(answer), nl=False)
    elif answer.columns:
        _print_table(answer)
    if answer.cut:
        click.echo(f"only the first {len(answer.rows)} rows; --max-rows gives more", err=True)


def as_json(answer: Answer) -> str:
    """A list with one object per row and line."""
    rows = [json.dumps(dict(zip(answer.columns, map(plain, row), strict=True)), ensure_ascii=False) for row in answer.rows]
    return "[" + ",\n ".join(rows) + "]"


def as_csv(answer: Answer) -> str:
    """A header, and one line per row; NULL is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([as_text(value, null="") for value in row] for row in answer.rows)
    return text.getvalue()


def as_aligned_text(answer: Answer) -> str:
    """Columns under their names, as wide as their widest value; numbers to the right."""
    cells = [[as_text(value) for value in row] for row in answer.rows]
    widths = [max(map(len, column)) for column in zip(answer.columns, *cells, strict=True)]
    right = [_is_numeric(column) for column in _columns(answer)]

    def line(texts: Iterable[str]) -> str:
        placed = zip(texts, widths, right, strict=True)
        return "  ".join(text.rjust(width) if is_number else text.ljust(width) for text, width, is_number in placed).rstrip()

    return "\n".join([line(answer.columns), line("-" * width for width in widths), *map(line, cells)])


def as_text(value: Any, null: str = "NULL") -> str:
    """A value in one line."""
    simple = plain(value)
    if simple is None:
        return null
    return simple if isinstance(simple, str) else json.dumps(simple, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value as JSON has it: times in ISO UTC, decimals as text, bytes in hexadecimal, NaN and infinities as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes | bytearray):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence | Set):
        return [plain(entry) for entry in value]
    return str(value)


def _iso(moment: datetime) -> str:
    """Servers answer in UTC: a time without a zone is UTC."""
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return utc.replace(tzinfo=None).isoformat() + "Z"


def _print_table(answer: Answer) -> None:
    if not sys.stdout.isatty():
        click.echo(as_aligned_text(answer))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for name, values in zip(answer.columns, _columns(answer), strict=True):
        table.add_column(Text(name), justify="right" if _is_numeric(values) else "left")
    for row in answer.rows:
        table.add_row(*(Text(as_text(value)) for value in row))
    Console().print(table)
    click.echo(f"{len(answer.rows)} row{'' if len(answer.rows) == 1 else 's'}")


def _columns(answer: Answer) -> list[list[Any]]:
    return [[row[place] for row in answer.rows] for place in range(len(answer.columns))]


def _is_numeric(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in present)
