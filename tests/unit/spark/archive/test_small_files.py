"""The small files of a day of the archive become few large ones."""

import pyarrow as pa
import pytest

from connectors.runtime.settings import Hdfs
from schemas.errors import WarehouseError
from spark.archive.small_files import RollUpResult, RollUpTask, roll_up_files
from tests.unit.spark.memory_files import MemoryFiles

NARROW = pa.schema([("offset", pa.int64())])
WIDE = pa.schema([("offset", pa.int64()), ("name", pa.string())])
DAY = "/lake/day"
TARGET = "/lake/new"


def task(location: str | None, *further_files: str) -> RollUpTask:
    return RollUpTask(
        table="orders",
        day="2026-07-01",
        location=location,
        further_files=further_files,
        target=TARGET,
        hdfs=Hdfs(),
    )


def narrow(*offsets: int) -> pa.Table:
    return pa.table({"offset": offsets}, NARROW)


def wide(*offsets: int) -> pa.Table:
    return pa.table({"offset": offsets, "name": [None for _ in offsets]}, WIDE)


@pytest.mark.parametrize(
    ("in_folder", "further", "expected"),
    [
        ([narrow(1), narrow(2, 3)], [], [[1, 2, 3]]),
        ([narrow(1)], [narrow(4)], [[1, 4]]),
        ([], [narrow(4), narrow(5)], [[4, 5]]),
        ([narrow(1), wide(2), narrow(3)], [wide(4)], [[1, 3], [2, 4]]),
        ([narrow()], [], [[]]),
        ([narrow(1), wide()], [], [[1], []]),
        ([], [], []),
    ],
    ids=[
        "files of a folder",
        "further files after those of the folder",
        "further files only",
        "columns of two schemas",
        "no rows",
        "a schema without rows",
        "no files",
    ],
)
def test_all_rows_are_in_one_file_per_schema_in_their_order(
    in_folder: list[pa.Table], further: list[pa.Table], expected: list[list[int]]
) -> None:
    files = MemoryFiles()
    for number, table in enumerate(in_folder):
        files.write_table(f"{DAY}/{number}.parquet", table)
    further_paths = []
    for number, table in enumerate(further):
        further_paths.append(f"/staging/{number}.parquet")
        files.write_table(further_paths[-1], table)
    result = roll_up_files(task(DAY if in_folder else None, *further_paths), files)
    rolled_up = [files.table(f"{TARGET}/{entry.name}") for entry in files.list(TARGET)]
    assert [table.column("offset").to_pylist() for table in rolled_up] == expected
    assert result == RollUpResult("orders", "2026-07-01", TARGET, len(expected))
    assert files.exists(DAY) is bool(in_folder), "queries may still read the old files"


def test_a_damaged_file_is_named_and_nothing_is_written() -> None:
    files = MemoryFiles()
    files.write_table(f"{DAY}/1.parquet", narrow(1))
    files.contents[f"{DAY}/2.parquet"] = b"no Parquet"
    with pytest.raises(
        WarehouseError, match=r"/lake/day/2\.parquet is no whole Parquet file"
    ):
        roll_up_files(task(DAY), files)
    assert files.list(TARGET) == []
