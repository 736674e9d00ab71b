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
class ResultTable:
    """The columns' names and the rows; `cut` says that there were more rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    cut: bool = False


def show(answer: ResultTable, shape: Shape) -> None:
    """Print an answer to standard output, and on standard error whether it was cut.

    As a table, an answer without columns prints nothing.
    """
    if shape == "json":
        click.echo(as_json(answer))
    elif shape == "csv":
        click.echo(as_csv(answer), nl=False)
    elif answer.columns:
        _print_table(answer)
    _say_if_cut(answer.cut, len(answer.rows))


def show_batches(
    columns: Sequence[str],
    batches: Iterable[Sequence[Sequence[Any]]],
    shape: Shape,
    max_rows: int | None,
) -> None:
    """Print an answer whose rows come in batches.

    CSV and JSON are printed as the rows come, so that their number needs no memory; a table when
    all of them, or `max_rows`, are there.
    """
    if shape == "table":
        show(_first_rows(columns, batches, max_rows), shape)
        return
    lines = _batch_as_csv if shape == "csv" else _batch_as_json
    click.echo("[" if shape == "json" else _csv_lines([columns]), nl=False)
    count = 0
    is_cut = False
    for batch in batches:
        rows = batch if max_rows is None else batch[: max_rows - count]
        click.echo(lines(ResultTable(columns, rows), count == 0), nl=False)
        count += len(rows)
        is_cut = len(rows) < len(batch)
        if is_cut:
            break
    click.echo("]\n" if shape == "json" else "", nl=False)
    _say_if_cut(is_cut, count)


def _batch_as_csv(answer: ResultTable, _is_first: bool) -> str:
    return _csv_lines([_cells(row, null="") for row in answer.rows])


def _batch_as_json(answer: ResultTable, is_first: bool) -> str:
    separator = "" if is_first or not answer.rows else ",\n "
    return separator + _json_lines(answer)


def _first_rows(
    columns: Sequence[str],
    batches: Iterable[Sequence[Sequence[Any]]],
    max_rows: int | None,
) -> ResultTable:
    rows: list[Sequence[Any]] = []
    for batch in batches:
        rows += batch
        if max_rows is not None and len(rows) > max_rows:
            return ResultTable(columns, rows[:max_rows], cut=True)
    return ResultTable(columns, rows)


def _say_if_cut(is_cut: bool, count: int) -> None:
    if is_cut:
        click.echo(f"only the first {count} rows; --max-rows gives more", err=True)


def as_json(answer: ResultTable) -> str:
    """Return a list with one object per row and line."""
    return f"[{_json_lines(answer)}]"


def _json_lines(answer: ResultTable) -> str:
    """Return the objects of the rows, which stand in brackets."""
    objects = []
    for row in answer.rows:
        values = dict(zip(answer.columns, map(plain, row), strict=True))
        objects.append(json.dumps(values, ensure_ascii=False))
    return ",\n ".join(objects)


def as_csv(answer: ResultTable) -> str:
    """Return a header, and one line per row; NULL is empty."""
    return _csv_lines([answer.columns]) + _csv_lines(
        [_cells(row, null="") for row in answer.rows]
    )


def _csv_lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def as_aligned_text(answer: ResultTable) -> str:
    """Return columns under their names, as wide as their widest value; numbers to the right."""
    rows = [_cells(row) for row in answer.rows]
    widths = [max(map(len, column)) for column in zip(answer.columns, *rows, strict=True)]
    numeric = [_is_numeric(column) for column in _columns(answer)]

    def line(cells: Iterable[str]) -> str:
        cell_texts = []
        for cell, width, is_number in zip(cells, widths, numeric, strict=True):
            cell_texts.append(cell.rjust(width) if is_number else cell.ljust(width))
        return "  ".join(cell_texts).rstrip()

    rule = line("-" * width for width in widths)
    return "\n".join([line(answer.columns), rule, *map(line, rows)])


def as_text(value: Any, null: str = "NULL") -> str:
    """Return a value in one line."""
    simple = plain(value)
    if simple is None:
        return null
    return simple if isinstance(simple, str) else json.dumps(simple, ensure_ascii=False)


def plain(value: Any) -> Any:
    """Return a value as JSON has it.

    Times are ISO 8601 in UTC, decimals text, bytes hexadecimal, NaN and infinities null.
    """
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
    """A time in UTC; one without a zone is UTC already, as servers answer."""
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return utc.replace(tzinfo=None).isoformat() + "Z"


def _print_table(answer: ResultTable) -> None:
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
        table.add_row(*map(Text, _cells(row)))
    Console().print(table)
    count = len(answer.rows)
    click.echo("1 row" if count == 1 else f"{count} rows")


def _cells(row: Sequence[Any], null: str = "NULL") -> list[str]:
    return [as_text(value, null) for value in row]


def _columns(answer: ResultTable) -> list[list[Any]]:
    columns = []
    for position in range(len(answer.columns)):
        columns.append([row[position] for row in answer.rows])
    return columns


def _is_numeric(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(map(_is_number, present))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
