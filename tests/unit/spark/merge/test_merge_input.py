"""What the changes of each period of a table come to."""

from dataclasses import replace

import pyarrow as pa
import pytest

from schemas.ddl.certain_effects import RowConversion
from schemas.errors import WarehouseError
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.merge_input import read_periods
from spark.merge.rewrite_task import ChangesToMerge
from spark.merge.schema_periods import PeriodChanges
from tests.unit.spark.memory_files import MemoryFiles
from tests.unit.spark.merge.rewrite_setup import (
    CLICK_SCHEMA,
    CLICKS,
    NOTES,
    TRUNCATE,
    USER_SCHEMA,
    USERS,
    UUID,
    archived,
    delete,
    insert,
    instant,
    task_for,
    update,
)

FIRST = "/archive/1.parquet"
SECOND = "/archive/2.parquet"
NARROW = pa.schema([("id", pa.int32())])
RENAMED = RowConversion(renames=(("id", "key"),))


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


def names(period: PeriodChanges) -> list[str]:
    return period.latest.rows.column("name").to_pylist()


def test_changes_belong_to_the_period_of_their_binlog_position(files: MemoryFiles) -> None:
    changes = [insert(1, "a"), insert(2, "b"), insert(3, "c"), delete(1, "a")]
    files.write_table(FIRST, archived(USER_SCHEMA, *changes))
    periods = (
        SchemaPeriod("user", until=(1, 20), conversion=RENAMED),
        SchemaPeriod("user", after=(1, 20)),
    )
    first, second = read_periods(task_for(USERS, {}, FIRST, periods=periods), files)
    assert (names(first), names(second)) == (["a"], ["b", "c"])
    assert second.latest.keys.column("id").to_pylist() == [2, 3, 1]
    assert (first.conversion, second.conversion) == (RENAMED, RowConversion())


def test_an_earlier_period_has_the_columns_of_its_last_change(files: MemoryFiles) -> None:
    files.write_table(FIRST, archived(NARROW, insert(1)))
    files.write_table(SECOND, archived(USER_SCHEMA, insert(2, "b"), first=2))
    periods = (SchemaPeriod("user", until=(1, 20)), SchemaPeriod("user", after=(1, 20)))
    first, second = read_periods(task_for(USERS, {}, FIRST, SECOND, periods=periods), files)
    assert first.latest.rows.schema == NARROW
    assert second.latest.rows.schema == USER_SCHEMA


def test_a_period_without_changes_removes_and_inserts_nothing(files: MemoryFiles) -> None:
    files.write_table(FIRST, archived(USER_SCHEMA, insert(1, "a")))
    periods = (SchemaPeriod("person", until=(1, 5)), SchemaPeriod("user", after=(1, 5)))
    first, _ = read_periods(task_for(USERS, {}, FIRST, periods=periods), files)
    assert (first.latest.rows.num_rows, first.latest.keys.num_rows) == (0, 0)
    assert not first.latest.truncated


def test_files_count_in_the_order_of_the_log_whatever_their_order_in_the_task(
    files: MemoryFiles,
) -> None:
    files.write_table(FIRST, archived(USER_SCHEMA, insert(1, "a")))
    files.write_table(SECOND, archived(USER_SCHEMA, update((1, "a"), (1, "b")), first=2))
    (period,) = read_periods(task_for(USERS, {}, SECOND, FIRST), files)
    assert names(period) == ["b"]


def test_merged_transactions_are_those_of_the_name_that_the_table_had(
    files: MemoryFiles,
) -> None:
    files.write_table(FIRST, archived(USER_SCHEMA, insert(1, "a"), insert(2, "b")))
    task = task_for(USERS, {}, FIRST, merged=f"{UUID}:1")
    (period,) = read_periods(task, files)
    assert names(period) == ["b"]
    other_name = replace(task.changes, merged={"person": task.changes.merged["user"]})
    (period,) = read_periods(replace(task, changes=other_name), files)
    assert names(period) == ["a", "b"]


@pytest.mark.parametrize("snapshot", ["binlog.000001:10", "binlog.000001:4"])
def test_rows_of_another_snapshot_than_the_tables_own_replace_all_others(
    files: MemoryFiles, snapshot: str
) -> None:
    row = {"op": "r", "snapshot": "true", "after": (1, "a"), "tx_id": None}
    files.write_table(FIRST, archived(USER_SCHEMA, row))
    (period,) = read_periods(task_for(USERS, {}, FIRST, snapshot=snapshot), files)
    assert period.latest.truncated is (snapshot != "binlog.000001:10")


def test_facts_are_all_read_in_one_period(files: MemoryFiles) -> None:
    files.write_table(
        FIRST, archived(CLICK_SCHEMA, insert(1, instant(1)), insert(1, instant(1)))
    )
    (period,) = read_periods(task_for(CLICKS, {}, FIRST), files)
    assert period.latest.rows.num_rows == 2


def test_without_periods_all_rows_are_removed(files: MemoryFiles) -> None:
    (period,) = read_periods(task_for(USERS, {}, periods=()), files)
    assert (period.latest.truncated, period.latest.rows.num_rows) == (True, 0)


def test_a_truncate_counts_in_its_own_period_only(files: MemoryFiles) -> None:
    files.write_table(
        FIRST, archived(USER_SCHEMA, insert(1, "a"), TRUNCATE, insert(3, "c"))
    )
    periods = (SchemaPeriod("user", until=(1, 25)), SchemaPeriod("user", after=(1, 25)))
    first, second = read_periods(task_for(USERS, {}, FIRST, periods=periods), files)
    assert (first.latest.truncated, names(first)) == (True, [])
    assert (second.latest.truncated, names(second)) == (False, ["c"])


def test_a_damaged_archive_file_is_named(files: MemoryFiles) -> None:
    files.contents[FIRST] = b"no Parquet"
    with pytest.raises(
        WarehouseError, match=r"/archive/1\.parquet is no whole Parquet file"
    ):
        read_periods(task_for(USERS, {}, FIRST), files)


def test_each_archive_file_is_read_once_though_several_periods_need_it(
    files: MemoryFiles,
) -> None:
    files.write_table(FIRST, archived(USER_SCHEMA, insert(1, "a")))
    periods = (SchemaPeriod("user", until=(1, 5)), SchemaPeriod("user", after=(1, 5)))
    changes = ChangesToMerge({"user": (FIRST,)}, periods, merged={}, snapshot="")
    read_periods(replace(task_for(USERS, {}), changes=changes), files)
    assert files.reads == [FIRST]


def test_a_table_without_a_key_has_the_rows_that_are_added_and_removed(
    files: MemoryFiles,
) -> None:
    changes = [
        insert(1, "a"),
        insert(1, "a"),
        insert(2, None),
        update((1, "a"), (1, "b")),
        delete(3, "x"),
        delete(2, None),
    ]
    table = archived(USER_SCHEMA, *(change | {"key": None} for change in changes))
    repeated = table.set_column(1, "offset", pa.array(range(100, 106), pa.int64()))
    files.write_table(FIRST, table)
    files.write_table(SECOND, repeated)
    (period,) = read_periods(task_for(NOTES, {}, FIRST, FIRST, SECOND), files)
    latest = period.latest
    assert (latest.has_key, latest.truncated) == (False, False)
    assert sorted(tuple(row.values()) for row in latest.rows.to_pylist()) == [
        (1, "a"),
        (1, "b"),
    ]
    assert [tuple(row.values()) for row in latest.keys.to_pylist()] == [(3, "x")]
    (merged,) = read_periods(task_for(NOTES, {}, FIRST, merged=f"{UUID}:1-6"), files)
    assert (merged.latest.rows.num_rows, merged.latest.keys.num_rows) == (0, 0)


@pytest.mark.parametrize(
    ("change", "has_key"),
    [
        (insert(1, "a"), True),
        (insert(1, "a") | {"key": None}, False),
        (insert(None, "a"), False),
        (update((None, "a"), (1, "a")), False),
        (TRUNCATE | {"key": None}, True),
        ({"op": None, "key": None}, True),
    ],
    ids=["a key", "none", "NULL", "NULL before", "a TRUNCATE", "a tombstone"],
)
def test_rows_without_a_key_are_counted_even_if_the_table_has_one_now(
    files: MemoryFiles, change: dict[str, object], has_key: bool
) -> None:
    files.write_table(FIRST, archived(USER_SCHEMA, change, insert(2, "b")))
    (period,) = read_periods(task_for(USERS, {}, FIRST), files)
    assert period.latest.has_key is has_key


def test_rows_of_an_incremental_snapshot_repeat_those_of_a_table_without_a_key(
    files: MemoryFiles,
) -> None:
    row = {"op": "r", "after": (1, "a"), "tx_id": None, "key": None}
    whole_snapshot = row | {"snapshot": "true"}
    chunk = row | {"snapshot": "incremental"}
    files.write_table(FIRST, archived(USER_SCHEMA, whole_snapshot, chunk))
    task = task_for(NOTES, {}, FIRST, snapshot="binlog.000001:10")
    (period,) = read_periods(task, files)
    assert period.latest.rows.num_rows == 1
