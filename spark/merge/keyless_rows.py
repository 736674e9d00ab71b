"""All rows of a table that had no key at some time, across the statements about it. Pure.

Changes of rows with a key may be applied to some of the rows alone. Those of rows without a key
may not: a removed row takes one of several equal rows with it.
"""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from schemas.errors import ContractError
from spark.merge.latest_rows import LatestRows, without_keys
from spark.merge.partition_files import with_newest_columns
from spark.merge.rewrite_task import TableDefinition
from spark.merge.row_copies import subtract_rows
from spark.merge.schema_periods import PeriodChanges, convert_rows

REPEATED_READ_HINT = "read the table again: ./kappa resync {table}"


def has_keyless_period(periods: Sequence[PeriodChanges]) -> bool:
    """Return whether rows had no key in one of the periods."""
    return any(not period.latest.has_key for period in periods)


def is_without_effect(periods: Sequence[PeriodChanges]) -> bool:
    """Return whether no row is added, removed or converted."""
    if len(periods) > 1:
        return False
    latest = periods[0].latest
    return not (latest.truncated or latest.rows.num_rows or latest.keys.num_rows)


def rows_after(
    rows: pa.Table, periods: Sequence[PeriodChanges], table: TableDefinition
) -> pa.Table:
    """Return all rows of a table after some periods, from all its rows before.

    Raises ContractError for rows that cross no statement, and for a removed row that is not there.
    """
    for period in periods:
        rows = convert_rows(_merge_rows(rows, period.latest, table), period.conversion)
    return with_newest_columns(rows, table)


def _merge_rows(rows: pa.Table, latest: LatestRows, table: TableDefinition) -> pa.Table:
    if latest.truncated:
        rows = rows.slice(0, 0)
    if latest.has_key:
        rows = without_keys(rows, latest.keys)
    else:
        rows = _without_copies(rows, latest.keys, table)
    if not latest.rows.num_rows:
        return rows
    new_columns = replace(table, schema=latest.rows.schema)
    return pa.concat_tables([with_newest_columns(rows, new_columns), latest.rows])


def _without_copies(rows: pa.Table, removed: pa.Table, table: TableDefinition) -> pa.Table:
    if not removed.num_rows:
        return rows
    rows = with_newest_columns(rows, replace(table, schema=removed.schema))
    rows, missing_rows = subtract_rows(rows, removed)
    if missing_rows.num_rows:
        raise ContractError(
            f"table {table.name} has no key, and {missing_rows.num_rows} rows that MySQL changed "
            "or removed are not among its rows",
            REPEATED_READ_HINT.format(table=table.name),
        )
    return rows
