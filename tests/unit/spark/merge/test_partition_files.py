"""The files of a rewritten partition (its branches are in test_rewrite.py)."""

from dataclasses import replace

import pyarrow as pa
import pytest

from schemas.ddl.certain_effects import RowConversion
from schemas.errors import ContractError, WarehouseError
from schemas.manifest import PartitionFile
from spark.merge.latest_rows import LatestRows
from spark.merge.partition_files import (
    NewFile,
    PartitionPart,
    RowFile,
    file_of,
    partition_of,
    partition_parts,
    with_newest_columns,
)
from spark.merge.schema_periods import PeriodChanges
from spark.storage import key_ranges
from spark.storage.key_bounds import ANY_KEY, KeySpan
from tests.unit.spark.memory_files import MemoryFiles
from tests.unit.spark.merge.rewrite_setup import (
    CLICK_SCHEMA,
    CLICKS,
    USER_SCHEMA,
    USERS,
    instant,
    publish_ranges,
    table_of,
)


def users(*keys: int) -> pa.Table:
    return table_of(USER_SCHEMA, [(key, "x") for key in keys])


def changes_of(*keys: int, truncated: bool = False) -> PeriodChanges:
    changed_keys = pa.table({"id": pa.array(keys, pa.int64())})
    return PeriodChanges(LatestRows(users(), changed_keys, truncated), RowConversion())


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "RANGE_ROWS", 4)


def test_a_new_file_tells_the_span_of_its_keys() -> None:
    file = RowFile(USERS)
    for keys in ((5, 7), (), (2, 3)):
        file.append(users(*keys))
    finished = file.finish()
    assert (finished.rows, finished.keys) == (4, KeySpan(2, 7))
    assert finished.size == len(finished.data or b"")


@pytest.mark.parametrize("other", ["000000_0", "more.parquet", "_SUCCESS"])
def test_a_file_that_somebody_put_beside_ours_stops_no_rewrite(other: str) -> None:
    file = file_of(USERS, users(1, 2))
    files = MemoryFiles({"/old/rows.parquet": file.data or b"", f"/old/{other}": b"theirs"})
    partition = partition_of("/old", [replace(file, name="rows.parquet")])
    part = PartitionPart(partition, None, users(3), is_touched=True)
    (rewritten,) = part.rewrite(USERS, files, [changes_of(2)]) or []
    assert rewritten.rows == 2
    assert files.reads == ["/old/rows.parquet"]


def test_a_file_of_facts_may_hold_any_key() -> None:
    facts = table_of(CLICK_SCHEMA, [(1, instant(1))])
    assert file_of(CLICKS, facts).keys == ANY_KEY
    assert (file_of(USERS).rows, file_of(USERS).keys) == (0, ANY_KEY)


def test_a_copy_has_to_be_as_long_as_the_manifest_states() -> None:
    files = MemoryFiles({"/old/a": b"1234"})
    copy = NewFile(name="b", rows=1, size=4, keys=ANY_KEY, copied_from="/old/a")
    copy.write_to(files, "/new")
    assert files.contents["/new/b"] == b"1234"
    with pytest.raises(
        WarehouseError, match="/old/a has 4 bytes, and the manifest states 5"
    ):
        replace(copy, size=5).write_to(files, "/new")


RANGES = ((1, 2, 3), (5, 6), (8, 9))


@pytest.mark.parametrize(
    ("changed_keys", "new_keys", "touched"),
    [
        ((2,), (), [True, False, False]),
        ((), (), [False, False, False]),
        ((4,), (4,), [False, True, False]),
        ((99,), (), [False, False, True]),
        ((1, 9), (9,), [True, False, True]),
    ],
    ids=["update in one", "none", "key between ranges", "key above all", "two"],
)
def test_only_the_ranges_of_changed_keys_are_touched(
    changed_keys: tuple[int, ...], new_keys: tuple[int, ...], touched: list[bool]
) -> None:
    files = MemoryFiles()
    partition = publish_ranges(
        files, USER_SCHEMA, *([(key, "x") for key in keys] for keys in RANGES)
    )
    parts = partition_parts(USERS, [changes_of(*changed_keys)], users(*new_keys), partition)
    assert [part.key_range for part in parts] == list(partition.ranges)
    assert [part.is_touched for part in parts] == touched
    incoming = [key for part in parts for key in part.incoming.column("id").to_pylist()]
    assert incoming == list(new_keys)


@pytest.mark.parametrize(
    "periods",
    [[changes_of(1, truncated=True)], [changes_of(1), changes_of()]],
    ids=["truncate", "statement"],
)
def test_a_partition_is_one_part_if_all_its_rows_change(
    periods: list[PeriodChanges],
) -> None:
    partition = publish_ranges(
        MemoryFiles(), USER_SCHEMA, [(1, "x"), (2, "x")], [(3, "x"), (4, "x")]
    )
    (part,) = partition_parts(USERS, periods, users(), partition)
    assert (part.key_range, part.is_touched) == (None, True)


def test_a_partition_is_one_part_if_it_is_new_or_has_become_small() -> None:
    small = publish_ranges(MemoryFiles(), USER_SCHEMA, [(1, "x")], [(3, "x")])
    for partition in (None, small, replace(small, ranges=())):
        (part,) = partition_parts(USERS, [changes_of(1)], users(), partition)
        assert part.key_range is None


def test_files_of_ranges_have_names_in_the_order_of_their_keys() -> None:
    key_range = PartitionFile("old.parquet", 2, 10, 1, 2)
    partition = publish_ranges(MemoryFiles(), USER_SCHEMA, [(1, "x"), (2, "x")])
    part = PartitionPart(partition, key_range, users(), True)
    (copy,) = part.with_names(3, None)
    assert (copy.name, copy.copied_from) == ("rows-0003.parquet", "/old/old.parquet")
    cut = part.with_names(3, [file_of(USERS, users(1)), file_of(USERS, users(2))])
    assert [file.name for file in cut] == [
        "rows-0003-0000.parquet",
        "rows-0003-0001.parquet",
    ]
    whole = PartitionPart(partition, None, users(), True)
    (single,) = whole.with_names(0, [file_of(USERS, users(1))])
    assert single.name == "rows.parquet"
    assert whole.with_names(0, None) == []


def test_a_partition_states_the_rows_bytes_and_keys_of_all_its_files() -> None:
    one = replace(file_of(USERS, users(1, 2)), name="a")
    two = replace(file_of(USERS, users(5)), name="b")
    partition = partition_of("/new", [one, two])
    assert (partition.location, partition.rows, partition.files) == ("/new", 3, 2)
    assert partition.size == one.size + two.size
    assert (partition.lowest_key, partition.highest_key) == (1, 5)
    assert partition.ranges == (
        PartitionFile("a", 2, one.size, 1, 2),
        PartitionFile("b", 1, two.size, 5, 5),
    )
    assert partition_of("/new", [one]).ranges == ()


def test_older_rows_need_every_column_of_the_newest_schema() -> None:
    wide = replace(USERS, schema=USER_SCHEMA.append(pa.field("age", pa.int64())))
    with pytest.raises(
        ContractError, match="table user: no statement tells what the new column age"
    ):
        with_newest_columns(users(1), wide)
    assert with_newest_columns(users(), wide).schema == wide.schema
    further = users(1).append_column("dropped", pa.array([1]))
    assert with_newest_columns(further, USERS) == users(1)
