from dataclasses import replace

import pytest

from infra.cli.sql.files.table_files import archive_files, table_files, version_of_file
from infra.cli.sql.files.virtual_files import DataFile
from schemas.errors import WarehouseError
from schemas.manifest import (
    EMPTY_MANIFEST,
    HivePartition,
    LakeDay,
    LakeTable,
    Manifest,
    PartitionFile,
)
from tests.unit.infra.cli.sql.sample_version import table
from tests.unit.spark.memory_files import MemoryFiles

COLUMNS = (("id", "bigint"),)
DAY = "/w/productview/view_date=2026-01-31/v=0-a"
STAGING = "/w/_staging/9"


def version(number: int, *arrivals: tuple[str, str]) -> Manifest:
    return replace(EMPTY_MANIFEST, version=number, arrivals=arrivals)


def facts(files: int, size: int) -> HivePartition:
    return HivePartition(location=DAY, rows=files, size=size, files=files)


def test_files_that_the_manifest_names_are_not_looked_for() -> None:
    ranges = tuple(
        PartitionFile(f"rows-000{number}.parquet", 1, 10 + number, number, number)
        for number in range(2)
    )
    large = HivePartition(location="/w/t/v=1", rows=2, size=21, files=2, ranges=ranges)
    hdfs = MemoryFiles()
    files = table_files(hdfs, version(9), table(COLUMNS, {"": large}))
    assert files == [
        DataFile(("/w/t/v=1/rows-0000.parquet",), 10),
        DataFile(("/w/t/v=1/rows-0001.parquet",), 11),
    ]


def test_the_only_file_of_a_partition_has_one_of_few_names() -> None:
    partition = HivePartition(location="/w/t/day=1/v=1", rows=2, size=21)
    [file] = table_files(MemoryFiles(), version(9), table(COLUMNS, {"1": partition}, "day"))
    assert file.paths[:2] == (
        "/w/t/day=1/v=1/rows.parquet",
        "/w/t/day=1/v=1/rows-0000.parquet",
    )
    assert (file.size, file.partition) == (21, ("day", "1"))


def test_facts_of_later_versions_are_left_out() -> None:
    contents = {f"{DAY}/{name}": b"12345" for name in ("7-a.parquet", "9-b.parquet")}
    later = {f"{DAY}/10-c.parquet": b"12345"}
    hdfs = MemoryFiles(contents | later)
    published = table(COLUMNS, {"2026-01-31": facts(2, 10)}, "view_date", "facts")
    files = table_files(hdfs, version(9), published)
    assert [file.paths for file in files] == [
        (f"{DAY}/7-a.parquet",),
        (f"{DAY}/9-b.parquet",),
    ]


def test_a_file_that_is_not_moved_yet_is_found_where_it_waits() -> None:
    staged = f"{STAGING}/productview-2026-01-31.parquet"
    hdfs = MemoryFiles({f"{DAY}/7-a.parquet": b"12345", staged: b"123"})
    published = table(COLUMNS, {"2026-01-31": facts(2, 8)}, "view_date", "facts")
    manifest = version(9, (staged, f"{DAY}/9-b.parquet"))
    files = table_files(hdfs, manifest, published)
    assert files[1] == DataFile(
        (f"{DAY}/9-b.parquet", staged), 3, ("view_date", "2026-01-31")
    )
    hdfs.rename(staged, f"{DAY}/9-b.parquet")
    files = table_files(hdfs, manifest, published)
    assert files[1].paths == (f"{DAY}/9-b.parquet",)


@pytest.mark.parametrize("stated", [facts(2, 5), facts(1, 6)])
def test_a_folder_that_does_not_hold_what_the_manifest_states_is_an_error(
    stated: HivePartition,
) -> None:
    hdfs = MemoryFiles({f"{DAY}/7-a.parquet": b"12345"})
    published = table(COLUMNS, {"2026-01-31": stated}, "view_date", "facts")
    with pytest.raises(WarehouseError, match="version 9 states"):
        table_files(hdfs, version(9), published)


def test_of_a_day_of_the_archive_the_newest_files_are_those_of_later_versions() -> None:
    names = ["orders-s1-aaaaaaaaaaaa.parquet", "orders-s1-bbbbbbbbbbbb.parquet"]
    paths = [f"/l/orders/log_date=2026-01-31/v=0/{name}" for name in names]
    hdfs = MemoryFiles(dict.fromkeys(paths, b"x"))
    hdfs.changed_at = {paths[0]: 20.0, paths[1]: 10.0}
    day = LakeDay("/l/orders/log_date=2026-01-31/v=0", 1)
    archive = LakeTable("t", COLUMNS, {"2026-01-31": day})
    assert archive_files(hdfs, version(9), archive) == [
        DataFile((paths[1],), 1, ("log_date", "2026-01-31"))
    ]


@pytest.mark.parametrize(
    ("name", "number"), [("12-5f3a.parquet", 12), ("rows.parquet", 0), ("a-1.parquet", 0)]
)
def test_the_name_of_a_file_of_facts_says_its_version(name: str, number: int) -> None:
    assert version_of_file(name) == number
