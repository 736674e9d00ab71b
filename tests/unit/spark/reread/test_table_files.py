"""Rows that are read in the order of their key, as files of Hive partitions."""

from dataclasses import replace

import pyarrow as pa
import pytest

from spark.merge.rewrite_task import TableDefinition
from spark.reread import table_files
from spark.reread.table_files import TableFiles
from spark.storage.parquet import read_table
from tests.unit.spark.memory_files import MemoryFiles
from tests.unit.spark.merge.rewrite_setup import ORDER_SCHEMA, ORDERS, USERS, date, instant


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> MemoryFiles:
    """Files that are full with two rows."""
    monkeypatch.setattr(table_files, "RANGE_ROWS", 2)
    return MemoryFiles()


def users(*ids: int) -> pa.Table:
    return pa.table({"id": ids, "name": ["x"] * len(ids)}, schema=USERS.schema)


def ids_in(files: MemoryFiles, location: str) -> list[list[int]]:
    """The ids in each file of a folder."""
    found = []
    for entry in files.list(location):
        path = f"{location}/{entry.name}"
        found.append(read_table(files.read_bytes(path), path).column("id").to_pylist())
    return found


def write(files: MemoryFiles, table: TableDefinition, *chunks: pa.Table) -> TableFiles:
    writer = TableFiles(table, "/base", files)
    for chunk in chunks:
        writer.append(chunk)
    return writer


def test_a_table_has_a_file_for_each_range_of_its_key(files: MemoryFiles) -> None:
    partition = write(files, USERS, users(1), users(2, 3), users(4)).finish()[""]
    assert ids_in(files, partition.location) == [[1, 2, 3], [4]]
    assert (partition.rows, partition.files) == (4, 2)
    assert [(part.lowest_key, part.highest_key) for part in partition.ranges] == [
        (1, 3),
        (4, 4),
    ]


def test_files_whose_first_keys_meet_have_no_ranges(files: MemoryFiles) -> None:
    partition = write(files, USERS, users(1, 2), users(2, 3)).finish()[""]
    assert (partition.files, partition.ranges) == (2, ())


def test_keys_that_are_no_numbers_have_no_ranges(files: MemoryFiles) -> None:
    by_name = replace(USERS, key=("name",))
    partition = write(files, by_name, users(1, 2), users(3, 4)).finish()[""]
    assert (partition.files, partition.ranges) == (2, ())


def test_rows_go_to_the_partitions_of_their_days(files: MemoryFiles) -> None:
    days = [instant(1), instant(2), instant(1), None]
    rows = pa.table({"id": [1, 2, 3, 4], "orderedAt": days}, schema=ORDER_SCHEMA)
    partitions = write(files, ORDERS, rows).finish()
    ids = {value: ids_in(files, part.location) for value, part in partitions.items()}
    assert ids == {
        date(1): [[1, 3]],
        date(2): [[2]],
        "__HIVE_DEFAULT_PARTITION__": [[4]],
    }


@pytest.mark.parametrize(("table", "values"), [(USERS, [""]), (ORDERS, [])])
def test_a_table_without_rows_exists_if_it_is_not_partitioned(
    files: MemoryFiles, table: TableDefinition, values: list[str]
) -> None:
    partitions = write(files, table).finish()
    assert list(partitions) == values
    assert [(part.rows, part.files) for part in partitions.values()] == [(0, 1)] * len(
        values
    )
