"""The partitions that a table has after the rewriting of its changes, branch by branch."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from schemas.ddl.certain_effects import RowConversion
from schemas.errors import WarehouseError
from schemas.manifest import HivePartition
from schemas.warehouse_layout import WHOLE
from spark.archive.small_files import MAX_FILES
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.rewrite import build_rows, rewrite_partitions
from spark.merge.rewrite_task import ChangesToMerge, RewriteTask
from spark.storage import key_ranges
from tests.unit.spark.memory_files import MemoryFiles
from tests.unit.spark.merge.rewrite_setup import (
    CLICK_SCHEMA,
    CLICKS,
    NOTES,
    ORDER_SCHEMA,
    ORDERS,
    TRUNCATE,
    USER_SCHEMA,
    USERS,
    UUID,
    Change,
    Row,
    archived,
    date,
    delete,
    insert,
    instant,
    publish,
    publish_ranges,
    rows_in,
    table_of,
    task_for,
    update,
    whole,
)

FILE = "/archive/1.parquet"
ANN = (1, "Ann")
BEN = (2, "Ben")
NEW_SNAPSHOT: Change = {"op": "r", "snapshot": "true", "after": (9, "Zoe"), "tx_id": None}


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


@pytest.mark.parametrize(
    ("old_rows", "changes", "new_rows"),
    [
        (None, [insert(1, "Ann")], [ANN]),
        ([ANN], [insert(2, "Ben")], [ANN, BEN]),
        ([ANN, BEN], [update(ANN, (1, "Eve"))], [BEN, (1, "Eve")]),
        ([ANN, BEN], [delete(*ANN)], [BEN]),
        (
            [ANN],
            [update(ANN, (1, "Eve")), delete(1, "Eve"), insert(1, "Joe")],
            [(1, "Joe")],
        ),
        ([ANN, BEN], [update(ANN, (7, "Ann"))], [BEN, (7, "Ann")]),
        ([ANN, BEN], [delete(*ANN), insert(7, "Ann")], [BEN, (7, "Ann")]),
        ([ANN, BEN], [TRUNCATE], []),
        ([ANN, BEN], [insert(3, "x"), TRUNCATE, insert(4, "y")], [(4, "y")]),
        ([ANN, BEN], [NEW_SNAPSHOT], [(9, "Zoe")]),
        ([ANN], [delete(*ANN)], []),
    ],
    ids=[
        "first row",
        "new row",
        "update",
        "delete",
        "update, delete, insert",
        "changed key as an update",
        "changed key as delete and insert",
        "truncate",
        "rows after a truncate",
        "another full snapshot",
        "the last row deleted",
    ],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_table_has_the_rows_that_its_changes_leave(
    files: MemoryFiles,
    old_rows: list[Row] | None,
    changes: list[Change],
    new_rows: list[Row],
    threads: int,
) -> None:
    old = None if old_rows is None else publish(files, USER_SCHEMA, old_rows)
    files.write_table(FILE, archived(USER_SCHEMA, *changes))
    result = rewrite_partitions(task_for(USERS, {WHOLE: old}, FILE, threads=threads), files)
    partition = whole(result.partitions)
    assert rows_in(files, partition) == new_rows
    assert partition.location == "/r/data_warehouse/user/v=7-token"
    keys = [row[0] for row in new_rows]
    assert (partition.rows, partition.files, partition.ranges) == (len(new_rows), 1, ())
    assert (partition.lowest_key, partition.highest_key) == (
        min(keys, default=None),
        max(keys, default=None),
    )
    assert partition.size == len(files.contents[f"{partition.location}/rows.parquet"])
    assert (result.refusal, result.arrivals) == (None, [])


@pytest.mark.parametrize(
    ("changes", "merged"),
    [
        ([delete(5, "nobody")], ""),
        ([update(ANN, (1, "Eve")), insert(3, "x")], f"{UUID}:1-2"),
    ],
    ids=["delete of a row that is not there", "changes of merged transactions"],
)
def test_a_partition_that_no_change_concerns_keeps_its_files(
    files: MemoryFiles, changes: list[Change], merged: str
) -> None:
    old = publish(files, USER_SCHEMA, [ANN])
    files.write_table(FILE, archived(USER_SCHEMA, *changes))
    before = dict(files.contents)
    result = rewrite_partitions(task_for(USERS, {WHOLE: old}, FILE, merged=merged), files)
    assert result.partitions == {}
    assert files.contents == before


def test_a_table_without_rows_exists_with_an_empty_file(files: MemoryFiles) -> None:
    files.write_table(FILE, archived(USER_SCHEMA, insert(1, "Ann"), delete(1, "Ann")))
    partition = whole(
        rewrite_partitions(task_for(USERS, {WHOLE: None}, FILE), files).partitions
    )
    assert (partition.rows, rows_in(files, partition)) == (0, [])
    assert files.table(f"{partition.location}/rows.parquet").schema.names == ["id", "name"]


def test_a_table_whose_rows_a_snapshot_no_longer_has_becomes_empty(
    files: MemoryFiles,
) -> None:
    old = publish(files, USER_SCHEMA, [ANN, BEN])
    result = rewrite_partitions(task_for(USERS, {WHOLE: old}, periods=()), files)
    assert rows_in(files, whole(result.partitions)) == []


# Partitioned tables


def order(key: int, day: int) -> Row:
    return key, instant(day)


@pytest.mark.parametrize(
    ("old_days", "changes", "new_days"),
    [
        ({1: [order(1, 1)]}, [insert(*order(2, 1))], {1: [order(1, 1), order(2, 1)]}),
        ({1: [order(1, 1)], 2: None}, [insert(*order(2, 2))], {2: [order(2, 2)]}),
        (
            {1: [order(1, 1), order(2, 1)], 2: None},
            [update(order(1, 1), order(1, 2))],
            {1: [order(2, 1)], 2: [order(1, 2)]},
        ),
        (
            {1: [order(1, 1)], 2: None},
            [update(order(1, 1), order(1, 2))],
            {1: None, 2: [order(1, 2)]},
        ),
        ({1: [order(1, 1)], 2: [order(2, 2)]}, [delete(*order(1, 1))], {1: None}),
        ({1: [order(1, 1)], 2: [order(2, 2)]}, [TRUNCATE], {1: None, 2: None}),
        ({1: None}, [delete(*order(1, 1))], {}),
    ],
    ids=[
        "new row in its day, which stays",
        "new day, and another that is only looked into",
        "row moves to another day",
        "row moves out of an emptied day",
        "delete empties a day",
        "truncate empties all days",
        "delete in a day that is not there",
    ],
)
def test_rows_are_in_the_partitions_of_their_days_and_leave_no_ghost(
    files: MemoryFiles,
    old_days: dict[int, list[Row] | None],
    changes: list[Change],
    new_days: dict[int, list[Row] | None],
) -> None:
    partitions: dict[str, HivePartition | None] = {}
    for day, rows in old_days.items():
        location = f"/old/{day}"
        partitions[date(day)] = rows and publish(files, ORDER_SCHEMA, rows, location)
    files.write_table(FILE, archived(ORDER_SCHEMA, *changes))
    result = rewrite_partitions(task_for(ORDERS, partitions, FILE, threads=2), files)
    expected = {date(day): rows for day, rows in new_days.items()}
    found = {
        value: partition and rows_in(files, partition)
        for value, partition in result.partitions.items()
    }
    assert found == expected
    for value, partition in result.partitions.items():
        folder = f"/r/data_warehouse/orders/order_date={value}/v=7-token"
        assert partition is None or partition.location == folder


# Facts


def click(product: int, day: int) -> Change:
    return insert(product, instant(day))


def test_facts_become_one_more_file_that_waits_until_the_commit(files: MemoryFiles) -> None:
    old = publish(files, CLICK_SCHEMA, [(1, instant(1))])
    files.write_table(FILE, archived(CLICK_SCHEMA, click(5, 1), click(5, 1)))
    result = rewrite_partitions(task_for(CLICKS, {date(1): old}, FILE), files)
    staged = f"/staging/productview-{date(1)}.parquet"
    assert result.arrivals == [(staged, "/old/7-token.parquet")]
    assert files.table(staged).column("product").to_pylist() == [5, 5], (
        "no key, so both count"
    )
    size = old.size + len(files.contents[staged])
    assert result.partitions == {date(1): replace(old, rows=3, files=2, size=size)}


def test_facts_of_a_new_day_get_a_folder(files: MemoryFiles) -> None:
    files.write_table(FILE, archived(CLICK_SCHEMA, click(5, 2)))
    result = rewrite_partitions(task_for(CLICKS, {date(2): None}, FILE), files)
    assert rows_in(files, result.partitions[date(2)]) == [(5, instant(2))]
    assert result.arrivals == []


def test_a_day_of_too_many_files_with_facts_becomes_one_file(files: MemoryFiles) -> None:
    old = publish(files, CLICK_SCHEMA, [(1, instant(1))])
    files.write_table("/old/more.parquet", table_of(CLICK_SCHEMA, [(2, instant(1))]))
    old = replace(old, rows=2, files=MAX_FILES)
    files.write_table(FILE, archived(CLICK_SCHEMA, click(5, 1)))
    result = rewrite_partitions(task_for(CLICKS, {date(1): old}, FILE), files)
    partition = result.partitions[date(1)]
    assert partition is not None
    assert [row[0] for row in rows_in(files, partition)] == [2, 1, 5]
    assert (partition.files, partition.rows) == (1, 3)


# Statements about the table

WIDE = pa.schema([("id", pa.int64()), ("name", pa.string()), ("age", pa.int64())])
WIDE_USERS = replace(USERS, schema=WIDE)
ADDED_AGE = RowConversion(added=(("age", "5"),))
RENAMED_NAME = RowConversion(renames=(("label", "name"),))


def altered(
    conversion: RowConversion, before: str = "user"
) -> tuple[SchemaPeriod, SchemaPeriod]:
    """A statement at binlog position 25: after the second change."""
    return (
        SchemaPeriod(before, until=(1, 25), conversion=conversion),
        SchemaPeriod("user", after=(1, 25)),
    )


def test_old_rows_and_earlier_changes_cross_a_statement_and_later_ones_do_not(
    files: MemoryFiles,
) -> None:
    old = publish(files, USER_SCHEMA, [ANN, BEN])
    files.write_table(FILE, archived(USER_SCHEMA, delete(*BEN), insert(3, "Cid")))
    files.write_table("/archive/2.parquet", archived(WIDE, insert(4, "Dan", 40), first=3))
    paths = (FILE, "/archive/2.parquet")
    task = task_for(WIDE_USERS, {WHOLE: old}, *paths, periods=altered(ADDED_AGE))
    partition = whole(rewrite_partitions(task, files).partitions)
    assert rows_in(files, partition) == [(1, "Ann", 5), (3, "Cid", 5), (4, "Dan", 40)]


def test_a_statement_without_changes_of_rows_is_carried_over_all_partitions(
    files: MemoryFiles,
) -> None:
    old = publish(files, USER_SCHEMA, [ANN])
    files.write_table(FILE, archived(WIDE, first=3))
    task = task_for(WIDE_USERS, {WHOLE: old}, FILE, periods=altered(ADDED_AGE))
    assert rows_in(files, whole(rewrite_partitions(task, files).partitions)) == [
        (1, "Ann", 5)
    ]


def test_rows_keep_their_values_under_the_new_name_of_a_column(files: MemoryFiles) -> None:
    labelled = pa.schema([("id", pa.int64()), ("label", pa.string())])
    old = publish(files, labelled, [ANN])
    files.write_table(FILE, archived(USER_SCHEMA, insert(2, "Ben"), first=3))
    task = task_for(USERS, {WHOLE: old}, FILE, periods=altered(RENAMED_NAME))
    assert rows_in(files, whole(rewrite_partitions(task, files).partitions)) == [ANN, BEN]


def test_a_renamed_table_has_the_changes_of_both_names(files: MemoryFiles) -> None:
    files.write_table("/archive/old.parquet", archived(USER_SCHEMA, insert(1, "Ann")))
    files.write_table(FILE, archived(USER_SCHEMA, update(ANN, (1, "Eve")), first=3))
    changes = ChangesToMerge(
        files={"person": ("/archive/old.parquet",), "user": (FILE,)},
        periods=altered(RowConversion(), before="person"),
        merged={},
        snapshot="",
    )
    task = replace(task_for(USERS, {WHOLE: None}), changes=changes)
    partition = whole(rewrite_partitions(task, files).partitions)
    assert rows_in(files, partition) == [(1, "Eve")]


def test_a_key_that_a_statement_changed_identifies_rows_of_its_own_period(
    files: MemoryFiles,
) -> None:
    old = publish(files, USER_SCHEMA, [(1, "Ann"), (1, "Ben")])
    files.write_table(FILE, archived(USER_SCHEMA, delete(1, "Ben")))
    periods = (
        SchemaPeriod("user", until=(1, 25), key=("id", "name")),
        SchemaPeriod("user", after=(1, 25), key=("id",)),
    )
    task = task_for(USERS, {WHOLE: old}, FILE, periods=periods)
    assert rows_in(files, whole(rewrite_partitions(task, files).partitions)) == [ANN]


def test_a_key_of_columns_that_older_changes_do_not_have_is_a_refusal(
    files: MemoryFiles,
) -> None:
    older = pa.schema([("number", pa.int64()), ("name", pa.string())])
    files.write_table(FILE, archived(older, insert(*ANN)))
    files.write_table(
        "/archive/2.parquet", archived(USER_SCHEMA, insert(2, "Ben"), first=3)
    )
    periods = altered(RowConversion(renames=(("number", "id"),)))
    task = task_for(USERS, {WHOLE: None}, FILE, "/archive/2.parquet", periods=periods)
    refusal = rewrite_partitions(task, files).refusal
    assert refusal is not None
    assert "had another key before a statement" in refusal


NUMBERS = pa.schema([("id", pa.int64()), ("name", pa.int64())])


@pytest.mark.parametrize(
    ("schema", "periods", "reason"),
    [
        (
            WIDE,
            None,
            "no statement tells what the new column age holds in older rows",
        ),
        (
            WIDE,
            altered(RowConversion(problem="MySQL computes the values")),
            "MySQL computes the values",
        ),
        (
            NUMBERS,
            None,
            "column name changed from string to int64, and older values do not fit",
        ),
    ],
    ids=["unknown column", "statement that rows cannot cross", "values that do not fit"],
)
def test_rows_that_do_not_fit_the_newest_columns_are_a_refusal(
    files: MemoryFiles,
    schema: pa.Schema,
    periods: tuple[SchemaPeriod, ...] | None,
    reason: str,
) -> None:
    old = publish(files, USER_SCHEMA, [ANN])
    row = (2, 2) if schema is NUMBERS else (2, "Ben", 20)
    files.write_table(FILE, archived(schema, insert(*row), first=3))
    before = dict(files.contents)
    table = replace(USERS, schema=schema)
    result = rewrite_partitions(task_for(table, {WHOLE: old}, FILE, periods=periods), files)
    assert result.refusal is not None and reason in result.refusal
    assert (result.partitions, files.contents) == ({}, before)


# Key ranges


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "RANGE_ROWS", 4)


def users(*keys: int) -> list[Row]:
    return [(key, "x") for key in keys]


def range_keys(files: MemoryFiles, partition: HivePartition) -> list[list[int]]:
    tables = [files.table(f"{partition.location}/{part.file}") for part in partition.ranges]
    return [table.column("id").to_pylist() for table in tables]


@pytest.mark.usefixtures("small_ranges")
def test_a_partition_that_has_become_large_is_cut_into_ranges(files: MemoryFiles) -> None:
    old = publish(files, USER_SCHEMA, users(1, 3, 5, 7))
    files.write_table(
        FILE, archived(USER_SCHEMA, *(insert(*row) for row in users(2, 4, 6, 8)))
    )
    partition = whole(
        rewrite_partitions(task_for(USERS, {WHOLE: old}, FILE), files).partitions
    )
    assert range_keys(files, partition) == [[1, 3, 2, 4], [5, 7, 6, 8]]
    spans = [(part.lowest_key, part.highest_key, part.rows) for part in partition.ranges]
    assert spans == [(1, 4, 4), (5, 8, 4)]
    assert (
        partition.files,
        partition.rows,
        partition.lowest_key,
        partition.highest_key,
    ) == (
        2,
        8,
        1,
        8,
    )
    assert [part.file for part in partition.ranges] == [
        "rows-0000-0000.parquet",
        "rows-0000-0001.parquet",
    ]


@pytest.mark.usefixtures("small_ranges")
def test_a_change_copies_the_files_of_other_ranges_without_looking_into_them(
    files: MemoryFiles,
) -> None:
    old = publish_ranges(files, USER_SCHEMA, users(1, 2, 3), users(5, 6, 7))
    untouched = b"x" * old.ranges[1].size
    files.contents["/old/rows-0001.parquet"] = untouched
    files.write_table(FILE, archived(USER_SCHEMA, update((2, "x"), (2, "y"))))
    partition = whole(
        rewrite_partitions(task_for(USERS, {WHOLE: old}, FILE), files).partitions
    )
    first, second = partition.ranges
    assert files.table(f"{partition.location}/{first.file}").column("name").to_pylist() == [
        "x",
        "x",
        "y",
    ]
    assert files.contents[f"{partition.location}/{second.file}"] == untouched
    assert second == replace(old.ranges[1], file="rows-0001.parquet")


@pytest.mark.usefixtures("small_ranges")
def test_ranges_with_few_rows_together_are_joined(files: MemoryFiles) -> None:
    old = publish_ranges(files, USER_SCHEMA, users(1, 2), users(5))
    files.write_table(FILE, archived(USER_SCHEMA, delete(1, "x")))
    partition = whole(
        rewrite_partitions(task_for(USERS, {WHOLE: old}, FILE), files).partitions
    )
    assert (rows_in(files, partition), partition.ranges) == (users(2, 5), ())


@pytest.mark.usefixtures("small_ranges")
def test_a_range_that_grows_is_cut_again_and_an_emptied_one_goes(
    files: MemoryFiles,
) -> None:
    old = publish_ranges(files, USER_SCHEMA, users(1, 2), users(5, 6, 7, 8))
    changes = [
        delete(1, "x"),
        delete(2, "x"),
        *(insert(*row) for row in users(9, 10, 11, 12)),
    ]
    files.write_table(FILE, archived(USER_SCHEMA, *changes))
    partition = whole(
        rewrite_partitions(task_for(USERS, {WHOLE: old}, FILE), files).partitions
    )
    assert range_keys(files, partition) == [[5, 6, 7, 8], [9, 10, 11, 12]]


@pytest.mark.usefixtures("small_ranges")
def test_a_truncate_rewrites_all_ranges_into_one_file(files: MemoryFiles) -> None:
    old = publish_ranges(files, USER_SCHEMA, users(1, 2, 3), users(5, 6, 7))
    files.write_table(FILE, archived(USER_SCHEMA, TRUNCATE, insert(9, "z"), first=1))
    partition = whole(
        rewrite_partitions(task_for(USERS, {WHOLE: old}, FILE), files).partitions
    )
    assert (rows_in(files, partition), partition.ranges) == ([(9, "z")], ())


@pytest.mark.usefixtures("small_ranges")
def test_changes_of_merged_transactions_leave_all_ranges_as_they_are(
    files: MemoryFiles,
) -> None:
    old = publish_ranges(files, USER_SCHEMA, users(1, 2, 3), users(5, 6, 7))
    files.write_table(FILE, archived(USER_SCHEMA, delete(1, "x")))
    task = task_for(USERS, {WHOLE: old}, FILE, merged=f"{UUID}:1")
    assert rewrite_partitions(task, files).partitions == {}


# Damaged files


def damaged_row_count(files: MemoryFiles) -> RewriteTask:
    old = replace(publish(files, USER_SCHEMA, [ANN]), rows=2)
    return task_for(USERS, {WHOLE: old}, FILE)


def damaged_file(files: MemoryFiles) -> RewriteTask:
    old = publish(files, USER_SCHEMA, [ANN])
    files.contents["/old/rows.parquet"] = b"no Parquet"
    return task_for(USERS, {WHOLE: old}, FILE)


def damaged_archive(files: MemoryFiles) -> RewriteTask:
    files.contents[FILE] = files.contents[FILE][:-20]
    return task_for(USERS, {WHOLE: None}, FILE)


def damaged_range(files: MemoryFiles) -> RewriteTask:
    old = publish_ranges(files, USER_SCHEMA, users(1, 2, 3), users(5, 6, 7))
    files.contents["/old/rows-0001.parquet"] += b"x"
    return task_for(USERS, {WHOLE: old}, FILE)


def range_of_other_rows(files: MemoryFiles) -> RewriteTask:
    old = publish_ranges(files, USER_SCHEMA, users(1, 2, 3), users(5, 6, 7))
    files.write_table("/old/rows-0000.parquet", table_of(USER_SCHEMA, users(1, 2)))
    return task_for(USERS, {WHOLE: old}, FILE)


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_row_count, "/old holds 1 rows, and the manifest states 2"),
        (damaged_file, "/old/rows.parquet is no whole Parquet file"),
        (damaged_archive, "/archive/1.parquet is no whole Parquet file"),
        (damaged_range, "/old/rows-0001.parquet has .* bytes, and the manifest states"),
        (
            range_of_other_rows,
            "/old/rows-0000.parquet holds 2 rows, and the manifest states 3",
        ),
    ],
)
def test_damaged_files_stop_the_rewriting_so_that_no_row_is_lost_in_silence(
    files: MemoryFiles, damage: object, message: str
) -> None:
    files.write_table(FILE, archived(USER_SCHEMA, insert(2, "Ben")))
    assert callable(damage)
    task = damage(files)
    with pytest.raises(WarehouseError, match=message) as stopped:
        rewrite_partitions(task, files)
    assert "restore the file" in stopped.value.hint


# Rebuilding


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        (None, [(1, "Eve", None)]),
        (altered(ADDED_AGE), [(1, "Eve", 5)]),
    ],
    ids=["no statement", "a statement after the changes"],
)
def test_a_rebuilt_table_has_the_rows_that_all_changes_leave_of_nothing(
    files: MemoryFiles, periods: tuple[SchemaPeriod, ...] | None, expected: Sequence[Row]
) -> None:
    changes = [insert(1, "Ann"), update(ANN, (1, "Eve"))]
    files.write_table(FILE, archived(USER_SCHEMA, *changes))
    rows = build_rows(task_for(WIDE_USERS, {}, FILE, periods=periods), files)
    assert [tuple(row.values()) for row in rows.to_pylist()] == expected


def without_key(*changes: Change) -> list[Change]:
    return [change | {"key": None} for change in changes]


@pytest.mark.parametrize(
    ("old_rows", "changes", "new_rows"),
    [
        (None, [insert(*ANN), insert(*ANN)], [ANN, ANN]),
        ([ANN, ANN, BEN], [delete(*ANN)], [ANN, BEN]),
        ([ANN, ANN], [update(ANN, BEN)], [ANN, BEN]),
        ([ANN, ANN], [delete(*ANN), insert(*ANN), delete(*ANN)], [ANN]),
        ([(1, None), (1, None)], [delete(1, None)], [(1, None)]),
        ([ANN], [TRUNCATE, insert(*BEN), insert(*BEN)], [BEN, BEN]),
        ([ANN], [delete(*ANN)], []),
        (
            [ANN],
            [NEW_SNAPSHOT | {"binlog_pos": 4}, NEW_SNAPSHOT | {"binlog_pos": 4}],
            [(9, "Zoe"), (9, "Zoe")],
        ),
    ],
)
def test_a_table_without_a_key_has_as_many_copies_of_a_row_as_mysql(
    files: MemoryFiles,
    old_rows: list[Row] | None,
    changes: list[Change],
    new_rows: list[Row],
) -> None:
    partition = None if old_rows is None else publish(files, USER_SCHEMA, old_rows)
    files.write_table(FILE, archived(USER_SCHEMA, *without_key(*changes)))
    result = rewrite_partitions(task_for(NOTES, {WHOLE: partition}, FILE), files)
    assert result.refusal is None
    rows = whole(result.partitions)
    assert sorted(rows_in(files, rows), key=repr) == sorted(new_rows, key=repr)
    assert rows.rows == len(new_rows)


def test_changes_that_were_merged_already_leave_a_table_without_a_key_as_it_is(
    files: MemoryFiles,
) -> None:
    partition = publish(files, USER_SCHEMA, [ANN])
    files.write_table(FILE, archived(USER_SCHEMA, *without_key(insert(*ANN))))
    task = task_for(NOTES, {WHOLE: partition}, FILE, merged=f"{UUID}:1")
    assert rewrite_partitions(task, files).partitions == {}


def test_a_removed_row_that_a_table_without_a_key_does_not_have_is_a_refusal(
    files: MemoryFiles,
) -> None:
    partition = publish(files, USER_SCHEMA, [ANN])
    files.write_table(FILE, archived(USER_SCHEMA, *without_key(delete(*BEN))))
    result = rewrite_partitions(task_for(NOTES, {WHOLE: partition}, FILE), files)
    assert "1 rows that MySQL changed or removed" in (result.refusal or "")
    assert "./kappa resync notes" in (result.refusal or "")


def test_a_partitioned_table_that_had_no_key_for_a_while_is_a_refusal_but_can_be_built(
    files: MemoryFiles,
) -> None:
    order = (1, instant(1))
    files.write_table(FILE, archived(ORDER_SCHEMA, *without_key(insert(*order))))
    task = task_for(ORDERS, {date(1): None}, FILE)
    refusal = rewrite_partitions(task, files).refusal or ""
    assert refusal.startswith("table orders had no key for a while")
    assert build_rows(task, files).num_rows == 1


def test_a_table_without_a_key_is_built_from_all_of_its_changes(files: MemoryFiles) -> None:
    changes = without_key(insert(*ANN), insert(*ANN), delete(*ANN), insert(*BEN))
    files.write_table(FILE, archived(USER_SCHEMA, *changes))
    rows = build_rows(task_for(NOTES, {}, FILE), files)
    assert sorted(tuple(row.values()) for row in rows.to_pylist()) == [ANN, BEN]
