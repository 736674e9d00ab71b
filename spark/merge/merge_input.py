"""Reads the changes of a table from the archive, with the result of each period of its schema."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from schemas.ddl.certain_effects import RowConversion
from schemas.errors import ContractError
from schemas.warehouse_layout import Kind
from spark.merge.change_order import changes_between
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.latest_rows import (
    MERGE_COLUMNS,
    NO_TRANSACTIONS,
    LatestRows,
    fact_rows,
    has_rows_without_key,
    latest_per_key,
    net_rows,
)
from spark.merge.rewrite_task import RewriteTask
from spark.merge.schema_periods import PeriodChanges
from spark.storage.file_system import FileReader
from spark.storage.parquet import read_table

NO_CHANGES = LatestRows(pa.table({}), pa.table({}), False)


def read_periods(task: RewriteTask, files: FileReader) -> list[PeriodChanges]:
    """Return the changes of each period of a task, oldest first.

    Raises Unavailable, WarehouseError for a damaged file, ContractError for values that do not fit
    the table's columns.
    """
    tables = {}
    for paths in task.changes.files.values():
        for path in paths:
            tables[path] = read_table(files.read_bytes(path), path, MERGE_COLUMNS)
    schema = task.table.schema
    if task.table.kind is Kind.FACTS:
        return [PeriodChanges(fact_rows(list(tables.values()), schema), RowConversion())]
    periods = task.changes.periods
    if not periods:
        all_rows_removed = LatestRows(schema.empty_table(), pa.table({}), True)
        return [PeriodChanges(all_rows_removed, RowConversion())]
    period_changes = []
    for period in periods:
        period_tables = [tables[path] for path in task.changes.files.get(period.name, ())]
        latest = _latest_in_period(task, period, period_tables)
        period_changes.append(PeriodChanges(latest, period.conversion))
    return period_changes


def _latest_in_period(
    task: RewriteTask, period: SchemaPeriod, archived: Sequence[pa.Table]
) -> LatestRows:
    changes = []
    for table in archived:
        table_changes = changes_between(table, period.after, period.until)
        if table_changes.num_rows:
            changes.append(table_changes)
    if not changes:
        return NO_CHANGES
    changes.sort(key=_last_offset)
    schema = task.table.schema
    if period is not task.changes.periods[-1]:
        schema = pa.schema(list(changes[-1].column("after").type))
    merged = task.changes.merged.get(period.name, NO_TRANSACTIONS)
    snapshot = task.changes.snapshot
    key = _key_in_period(task, period)
    if not set(key) <= set(schema.names):
        raise ContractError(
            f"table {task.table.name} had another key before a statement, and it is unknown which"
        )
    if not key or has_rows_without_key(changes, key):
        return net_rows(changes, schema, merged, snapshot)
    return latest_per_key(changes, schema, key, merged, snapshot)


def _key_in_period(task: RewriteTask, period: SchemaPeriod) -> tuple[str, ...]:
    """The key of a table at some time; empty if it has none.

    MySQL's key of today may have columns that can be NULL, and is none then.
    """
    if period is task.changes.periods[-1]:
        return task.table.key
    return period.key or task.table.key


def _last_offset(changes: pa.Table) -> int:
    last_offset: int = pc.max(changes.column("offset")).as_py()
    return last_offset
