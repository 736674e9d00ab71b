"""Old versions and the folders of killed runs are removed, and nothing that a version needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.runtime.settings import Settings, load
from schemas.errors import Unavailable
from schemas.manifest import (
    EMPTY_MANIFEST,
    DebeziumSnapshot,
    HivePartition,
    Manifest,
    PublishedTable,
)
from spark.storage import expire_versions
from spark.storage.expire_versions import VersionExpiry, move_arrivals
from tests.unit.spark.memory_files import MemoryFiles

GRACE_SECONDS = 600.0
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ROOT = "/ecomm_data"
WAREHOUSE = f"{ROOT}/data_warehouse"


@dataclass
class Versions:
    """The kept versions."""

    manifests: dict[int, Manifest] = field(default_factory=dict)

    def numbers(self) -> list[int]:
        return sorted(self.manifests)

    def read(self, number: int) -> Manifest:
        return self.manifests[number]

    def newest(self) -> Manifest:
        return self.manifests[max(self.manifests)]

    def forget(self, number: int) -> None:
        del self.manifests[number]


@dataclass
class Hive:
    """A metastore that notes the databases that are dropped."""

    dropped: list[str] = field(default_factory=list)

    def __call__(self, _uris: str) -> "Hive":
        return self

    def __enter__(self) -> "Hive":
        return self

    def __exit__(self, *_: object) -> None: ...

    def drop_database(self, name: str) -> None:
        self.dropped.append(name)


@pytest.fixture
def hive(monkeypatch: pytest.MonkeyPatch) -> Hive:
    hive = Hive()
    monkeypatch.setattr(expire_versions, "Metastore", hive)
    monkeypatch.setattr(expire_versions, "time", SimpleNamespace(time=NOW.timestamp))
    return hive


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    loaded = load({"KAPPA_HOME": str(tmp_path)})
    return replace(
        loaded,
        spark=replace(loaded.spark, grace_seconds=GRACE_SECONDS),
        hdfs=replace(loaded.hdfs, root=ROOT),
    )


def version(
    number: int, age_seconds: float, folder: str = "/none", **more: Any
) -> Manifest:
    partition = HivePartition(location=folder, rows=1, size=1)
    table = PublishedTable(
        topic="t",
        kind="changes",
        columns=(),
        key=("id",),
        partition_column=None,
        schema_id=1,
        version=number,
        gtid="",
        partitions={"": partition},
    )
    created_at = (NOW - timedelta(seconds=age_seconds)).isoformat()
    return replace(
        EMPTY_MANIFEST, version=number, created_at=created_at, tables={"t": table}, **more
    )


def expiry(settings: Settings, files: MemoryFiles, *manifests: Manifest) -> VersionExpiry:
    return VersionExpiry(settings, files, Versions({one.version: one for one in manifests}))


UNFINISHED = DebeziumSnapshot(id="b:1", version=2, transactions_end=0, tables=())


@pytest.mark.parametrize(
    ("ages", "more", "remaining"),
    [
        ([3000, 2000, 1000], {}, [3]),
        ([3000, 2000, 10], {}, [2, 3]),
        ([3000, 10, 5], {}, [1, 2, 3]),
        ([3000], {}, [1]),
        ([3000, 2000, 1000], {2: {"snapshot": UNFINISHED}}, [1, 2, 3]),
    ],
    ids=[
        "all but the newest",
        "the successor of the second is young",
        "the successor of the first is young",
        "the newest only",
        "the successor has a part of a snapshot, and Hive does not show it",
    ],
)
@pytest.mark.usefixtures("hive")
def test_a_version_expires_when_its_successor_is_older_than_the_grace_time(
    settings: Settings,
    ages: list[float],
    more: Mapping[int, dict[str, Any]],
    remaining: list[int],
) -> None:
    manifests = [
        version(number, age, **more.get(number, {})) for number, age in enumerate(ages, 1)
    ]
    keeper = expiry(settings, MemoryFiles(), *manifests)
    assert keeper.expire_versions() == len(ages) - len(remaining)
    assert keeper._versions.numbers() == remaining


def test_the_folders_that_the_successor_replaced_go_with_an_expired_version(
    settings: Settings, hive: Hive
) -> None:
    files = MemoryFiles({"/old/f": b"", "/kept/f": b""})
    successor = version(2, 1000, "/kept", replaced_folders=("/old",))
    keeper = expiry(settings, files, version(1, 3000, "/old"), successor)
    assert keeper.expire_versions() == 1
    assert set(files.contents) == {"/kept/f"}
    assert hive.dropped == [f"{settings.hive.warehouse_database}_v1"]
    assert f"{ROOT}/_hive/{settings.hive.warehouse_database}_v1" in files.deleted


@pytest.mark.usefixtures("hive")
def test_folders_that_hive_still_reads_outlive_their_version(settings: Settings) -> None:
    folders = [f"{WAREHOUSE}/t/v=1-a", f"{WAREHOUSE}/wide/v=1-a"]
    files = MemoryFiles({f"{folder}/f": b"" for folder in folders})
    files.changed_at = dict.fromkeys(folders, 0.0)
    successor = version(2, 1000, "/kept", replaced_folders=tuple(folders))
    manifests = {1: version(1, 3000, folders[0]), 2: successor}
    keeper = VersionExpiry(
        settings, files, Versions(manifests), is_in_use=lambda folder: "/wide/" in folder
    )
    assert keeper.expire_versions() == 1
    assert set(files.contents) == {f"{folders[1]}/f"}
    assert list(keeper.orphan_removal())[-1] == 0
    assert set(files.contents) == {f"{folders[1]}/f"}


@pytest.mark.parametrize(
    ("contents", "set_aside"),
    [
        ({"rows.parquet": b"1"}, []),
        ({"rows.parquet": b"1", "000000_0": b"theirs"}, ["000000_0"]),
        ({"rows.parquet": b"damaged", "000000_0": b"theirs"}, []),
    ],
    ids=["ours only", "a row that somebody put in by Hive", "ours cannot be told"],
)
@pytest.mark.usefixtures("hive")
def test_files_of_others_outlive_the_folder_of_an_expired_version(
    settings: Settings, contents: dict[str, bytes], set_aside: list[str]
) -> None:
    files = MemoryFiles(
        {f"{WAREHOUSE}/t/v=1-a/{name}": contents[name] for name in contents}
    )
    folder = f"{WAREHOUSE}/t/v=1-a"
    successor = version(2, 1000, "/kept", replaced_folders=(folder,))
    keeper = expiry(settings, files, version(1, 3000, folder), successor)
    assert keeper.expire_versions() == 1
    assert [path.rpartition("/")[2] for path in files.contents] == set_aside
    for path in files.contents:
        assert path.startswith(f"{ROOT}/_set_aside/")
        assert path.endswith("/data_warehouse/t/v=1-a/000000_0")


@pytest.mark.parametrize(("is_rebuilt", "remaining"), [(True, {"/live/f"}), (False, set())])
@pytest.mark.usefixtures("hive")
def test_folders_that_a_replay_replaced_stay_if_a_rollback_uses_them_again(
    settings: Settings, is_rebuilt: bool, remaining: set[str]
) -> None:
    files = MemoryFiles({"/live/f": b""})
    rebuilt_tables = ("t",) if is_rebuilt else ()
    keeper = expiry(
        settings,
        files,
        version(1, 3000, "/live"),
        version(
            2, 2000, "/rebuilt", replaced_folders=("/live",), rebuilt_tables=rebuilt_tables
        ),
        version(3, 1000, "/live", replaced_folders=()),
    )
    keeper.expire_versions()
    assert set(files.contents) == remaining


@pytest.mark.usefixtures("hive")
def test_only_old_folders_that_no_version_names_are_orphans(settings: Settings) -> None:
    folders = {
        "needed": f"{WAREHOUSE}/t/v=1-a",
        "orphan": f"{WAREHOUSE}/t/v=2-killed",
        "young": f"{WAREHOUSE}/t/v=3-running",
        "day": f"{WAREHOUSE}/o/order_date=2026-07-01/v=2-killed",
        "waiting": f"{ROOT}/data_lake/_staging/a",
        "staged": f"{ROOT}/data_lake/_staging/killed",
    }
    files = MemoryFiles({f"{folder}/f": b"" for folder in folders.values()})
    old = NOW.timestamp() - GRACE_SECONDS - 1
    files.changed_at = dict.fromkeys(folders.values(), old) | {
        folders["young"]: NOW.timestamp()
    }
    waiting = (f"{folders['waiting']}/f", f"{ROOT}/data_lake/t/f")
    keeper = expiry(settings, files, version(1, 10, folders["needed"], arrivals=(waiting,)))
    assert list(keeper.orphan_removal())[-1] == 3
    assert set(files.contents) == {
        f"{folders[name]}/f" for name in ("needed", "young", "waiting")
    }


@pytest.mark.usefixtures("hive")
def test_versions_that_come_and_go_while_the_removal_pauses_keep_their_folders(
    settings: Settings,
) -> None:
    folders = [f"{WAREHOUSE}/t/v={number}-a" for number in range(3)]
    files = MemoryFiles({f"{folder}/f": b"" for folder in folders})
    old = NOW.timestamp() - GRACE_SECONDS - 1
    files.changed_at = dict.fromkeys(folders, old)
    versions = Versions({1: version(1, 10), 2: version(2, 5, folders[0])})
    removal = VersionExpiry(settings, files, versions).orphan_removal()
    for _ in folders:
        next(removal)
    versions.forget(1)
    versions.manifests[3] = version(3, 0, folders[1])
    assert list(removal)[-1] == 1
    assert set(files.contents) == {f"{folders[0]}/f", f"{folders[1]}/f"}


ARRIVALS = (("/staging/a/1", "/lake/day/1"), ("/staging/a/2", "/lake/day/2"))


@pytest.mark.parametrize(
    "moved", [[], [0], [0, 1]], ids=["before any move", "after one", "after all"]
)
def test_arrivals_are_moved_once_whenever_a_run_was_killed(moved: list[int]) -> None:
    files = MemoryFiles()
    for number, (waiting, final) in enumerate(ARRIVALS):
        files.contents[final if number in moved else waiting] = str(number).encode()
    move_arrivals(files, version(3, 0, arrivals=ARRIVALS))
    assert files.contents == {"/lake/day/1": b"0", "/lake/day/2": b"1"}
    assert (files.folders, files.deleted) == ({"/lake/day"}, ["/staging/a"])


def test_an_arrival_that_is_nowhere_is_named_and_its_folder_stays() -> None:
    files = MemoryFiles({"/staging/a/2": b""})
    with pytest.raises(
        Unavailable, match="version 3: the file /staging/a/1 can be neither moved"
    ):
        move_arrivals(files, version(3, 0, arrivals=ARRIVALS))
    assert files.deleted == []
