"""Files of others in a version's folders are set aside; the files of versions stay."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from connectors.hadoop.hdfs import Entry
from schemas.manifest import (
    EMPTY_MANIFEST,
    HivePartition,
    LakeDay,
    LakeTable,
    Manifest,
    PublishedTable,
)
from spark.publish.foreign_files import ForeignFiles
from tests.unit.spark.memory_files import MemoryFiles

ROOT = "/root"
ORDERS = f"{ROOT}/data_warehouse/orders"
DAY = f"{ORDERS}/order_date=d1/v=1-a"
USER = f"{ROOT}/data_warehouse/user/v=1-a"
LAKE = f"{ROOT}/data_lake/productview"
LAKE_DAY = f"{LAKE}/log_date=d1/v=1-a"


class Folders(MemoryFiles):
    """HDFS in memory that lists many folders."""

    def list_all(self, folders: Iterable[str]) -> Mapping[str, Sequence[Entry] | None]:
        listings = {folder: self.list(folder) for folder in folders}
        return {folder: entries or None for folder, entries in listings.items()}

    def rename(self, source: str, target: str) -> bool:
        """Move a file, or a folder."""
        paths = [path for path in self.contents if f"{path}/".startswith(f"{source}/")]
        for path in paths:
            self.contents[target + path.removeprefix(source)] = self.contents.pop(path)
        return bool(paths)


def table(location: str, value: str, column: str | None) -> PublishedTable:
    partition = HivePartition(location=location, rows=1, size=3)
    return PublishedTable(
        topic="cdc.shop.t",
        kind="changes",
        columns=(),
        key=("id",),
        partition_column=column,
        schema_id=1,
        version=1,
        gtid="",
        partitions={value: partition},
    )


MANIFEST: Manifest = replace(
    EMPTY_MANIFEST,
    tables={"orders": table(DAY, "d1", "order_date"), "user": table(USER, "", None)},
    archives={"productview": LakeTable("productview", (), {"d1": LakeDay(LAKE_DAY, 1)})},
)
OURS = (
    f"{DAY}/rows.parquet",
    f"{USER}/rows.parquet",
    f"{LAKE_DAY}/productview-s1-5f3a09c4e1b2.parquet",
)

# the path of a foreign file, the folders of the request (None: all), whether it is set aside
CASES: dict[str, tuple[str, tuple[str, ...] | None, bool]] = {
    "a row by Hive": (f"{DAY}/000000_0", None, True),
    "a file beside": (f"{USER}/more.parquet", (USER,), True),
    "in the archive": (f"{LAKE_DAY}/more.parquet", None, True),
    "in another folder than asked": (f"{DAY}/000000_0", (USER,), False),
    "a hidden file": (f"{DAY}/_SUCCESS", None, False),
    "a folder": (f"{DAY}/sub/x", None, True),
    "in the folder of a new partition": (
        f"{ORDERS}/order_date=d9/000000_0",
        (f"{ORDERS}/order_date=d9",),
        True,
    ),
    "in the folder of a new day of the archive": (
        f"{LAKE}/log_date=d9/000000_0",
        (f"{LAKE}/log_date=d9",),
        True,
    ),
    "an older version of a partition": (
        f"{ORDERS}/order_date=d1/v=0-a/rows.parquet",
        (f"{ORDERS}/order_date=d1",),
        False,
    ),
    "in an older version's folder": (
        f"{ORDERS}/order_date=d1/v=0-a/x",
        (f"{ORDERS}/order_date=d1/v=0-a",),
        False,
    ),
    "elsewhere": ("/home/ann/x", ("/home/ann",), False),
    "the manifests": (f"{ROOT}/_versions/1.json", (f"{ROOT}/_versions",), False),
    "a table's folder": (f"{ORDERS}/x", (ORDERS,), False),
}


@pytest.mark.parametrize(("path", "folders", "is_moved"), CASES.values(), ids=CASES)
def test_only_foreign_files_in_folders_that_hive_reads_are_set_aside(
    path: str, folders: tuple[str, ...] | None, is_moved: bool
) -> None:
    files = Folders(dict.fromkeys(OURS, b"abc") | {path: b"theirs"})
    moved = ForeignFiles(files, ROOT).set_aside(MANIFEST, folders)
    assert set(OURS) <= set(files.contents)
    assert (path not in files.contents) is is_moved
    assert bool(moved) is is_moved
    assert b"theirs" in files.contents.values()
    for source, target in moved.items():
        assert path.startswith(source)
        assert target.startswith(f"{ROOT}/_set_aside/")


def test_a_folder_that_does_not_exist_is_no_reason_to_stop() -> None:
    files = Folders({OURS[1]: b"abc"})
    assert ForeignFiles(files, ROOT).set_aside(MANIFEST) == {}
