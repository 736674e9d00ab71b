"""Rows that cross the statements about their table. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas.ddl.certain_effects import RowConversion
from schemas.errors import ContractError
from spark.merge.latest_rows import LatestRows, without_keys
from spark.merge.projection import concatenate, project


@dataclass(frozen=True)
class PeriodChanges:
    """The changes of a table up to a statement, and how rows cross that statement."""

    latest: LatestRows
    conversion: RowConversion


def apply_periods(rows: pa.Table, periods: Sequence[PeriodChanges]) -> pa.Table:
    """Return the rows that remain after some periods, with the columns that the table has then.

    Raises ContractError if a statement does not tell how the rows change.
    """
    for period in periods:
        if period.latest.truncated:
            rows = rows.slice(0, 0)
        else:
            rows = without_keys(rows, period.latest.keys)
        rows = convert_rows(rows, period.conversion)
    return rows


def inserted_rows(periods: Sequence[PeriodChanges], schema: pa.Schema) -> pa.Table:
    """Return the rows that some periods leave in an empty table. Raises ContractError."""
    tables = []
    for number, period in enumerate(periods):
        rows = convert_rows(period.latest.rows, period.conversion)
        rows = apply_periods(rows, periods[number + 1 :])
        if rows.num_rows:
            tables.append(project(rows, schema))
    return concatenate(tables, schema)


def convert_rows(rows: pa.Table, conversion: RowConversion) -> pa.Table:
    """Return rows after a statement: without its dropped columns, with the renamed ones, all in
    one step, and with new ones that have their first value.

    That value is a text; `project` gives it its type. Raises ContractError if there are rows that
    cannot cross the statement.
    """
    if conversion.problem and rows.num_rows:
        raise ContractError(conversion.problem)
    columns = _renamed_columns(rows, conversion)
    for name, value in conversion.added:
        columns[name] = pa.repeat(pa.scalar(value, pa.string()), rows.num_rows)
    return pa.table(columns)


def _renamed_columns(
    rows: pa.Table, conversion: RowConversion
) -> dict[str, pa.ChunkedArray]:
    """Return the columns that remain by their new names. Names may be swapped."""
    new_names = dict(conversion.renames)
    columns = {}
    renamed_columns = {}
    for name in rows.column_names:
        if name in conversion.dropped:
            continue
        if name in new_names:
            renamed_columns[new_names[name]] = rows.column(name)
        else:
            columns[name] = rows.column(name)
    return columns | renamed_columns
