"""A table without a key, across its changes and the statements about it."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from schemas.ddl.certain_effects import RowConversion
from schemas.errors import ContractError
from spark.merge.keyless_rows import has_keyless_period, is_without_effect, rows_after
from spark.merge.latest_rows import LatestRows
from spark.merge.schema_periods import PeriodChanges
from tests.unit.spark.merge.rewrite_setup import NOTES, USER_SCHEMA, Row, table_of

NO_ROWS: list[Row] = []
ID_SCHEMA = pa.schema([USER_SCHEMA.field("id")])


def period(
    rows: list[Row] = NO_ROWS,
    removed: list[Row] = NO_ROWS,
    *,
    truncated: bool = False,
    schema: pa.Schema = USER_SCHEMA,
    **conversion: Any,
) -> PeriodChanges:
    """Changes of rows without a key."""
    latest = LatestRows(
        table_of(schema, rows), table_of(schema, removed), truncated, has_key=False
    )
    return PeriodChanges(latest, RowConversion(**conversion))


def keyed_period(rows: list[Row], keys: list[Row]) -> PeriodChanges:
    latest = LatestRows(table_of(USER_SCHEMA, rows), table_of(ID_SCHEMA, keys), False)
    return PeriodChanges(latest, RowConversion())


@pytest.mark.parametrize(
    ("before", "periods", "after"),
    [
        ([(1, "a"), (1, "a")], [period([(1, "a")])], [(1, "a")] * 3),
        ([(1, "a"), (1, "a"), (2, None)], [period([], [(1, "a"), (2, None)])], [(1, "a")]),
        ([(1, "a")], [period([(1, "b")], [(1, "a")])], [(1, "b")]),
        ([(1, "a")], [period([(2, "b")], truncated=True)], [(2, "b")]),
        (
            [(1, "a")],
            [period([(1, "a")]), period([], [(1, "a"), (1, "a")])],
            [],
        ),
        (
            [(1, "a"), (1, "a")],
            [period([(2, "b")], [(1, "a")]), keyed_period([(2, "c")], [(2,), (3,)])],
            [(1, "a"), (2, "c")],
        ),
        (
            [(1,), (1,)],
            [period([(2,)], [(1,)], schema=ID_SCHEMA, added=(("name", "x"),))],
            [(1, "x"), (2, "x")],
        ),
    ],
    ids=[
        "one more copy",
        "one copy goes",
        "an update",
        "a TRUNCATE",
        "copies of two periods",
        "a key from then on",
        "a column with a default",
    ],
)
def test_a_table_has_the_copies_that_mysql_has(
    before: list[Row], periods: list[PeriodChanges], after: list[Row]
) -> None:
    schema = USER_SCHEMA if len(before[0]) == 2 else ID_SCHEMA
    rows = rows_after(table_of(schema, before), periods, NOTES)
    assert rows.schema == USER_SCHEMA
    assert sorted(tuple(row.values()) for row in rows.to_pylist()) == sorted(after)
    assert has_keyless_period(periods)


def test_a_removed_row_that_is_not_there_stops_the_table() -> None:
    with pytest.raises(
        ContractError, match="table notes has no key, and 1 rows"
    ) as stopped:
        rows_after(table_of(USER_SCHEMA, [(1, "a")]), [period([], [(2, "a")])], NOTES)
    assert stopped.value.hint == "read the table again: ./kappa resync notes"


def test_rows_of_which_no_statement_tells_a_column_stop_the_table() -> None:
    with pytest.raises(ContractError, match="no statement tells what the new column name"):
        rows_after(table_of(ID_SCHEMA, [(1,)]), [period([(1, "a")])], NOTES)


def test_changes_that_cancel_each_other_have_no_effect() -> None:
    assert is_without_effect([period()])
    assert not is_without_effect([period([(1, "a")])])
    assert not is_without_effect([period([], [(1, "a")])])
    assert not is_without_effect([period(truncated=True)])
    assert not is_without_effect([period(), period()])
    keyed = replace(period(), latest=replace(period().latest, has_key=True))
    assert not has_keyless_period([keyed])
