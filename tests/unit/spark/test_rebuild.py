"""What a rebuilt table is made of, and what the version that shows it says."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from connectors.hdfs import Entry
from infra.errors import Refused, WarehouseError
from schemas.logical import Column, plain
from schemas.warehouse import Kind, Source
from spark.archive import Archived, ArchivedFile
from spark.archive_files import arrived_files, hands
from spark.build import together
from spark.lineage import Start, Stretch
from spark.manifest import NOTHING, Archive, HivePartition, LakeDay, Manifest, Snapshot, Table, from_json
from spark.plan import TableChange
from spark.rebuild import Rebuilt, added_to, counted, since_snapshot, sliced_files
from spark.switching import before_the_switch, following

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
LAKE = f"/r/data_lake/{ORDERS.topic}"
SNAPSHOT = Snapshot("binlog.000002:500", 0, 0, (), whole=True)


def table(location: str, version: int = 1) -> Table:
    return Table(ORDERS.topic, "changes", (("id", "bigint"),), ("id",), None, 1, version, "", {"": HivePartition(location, 1, 1)})


def manifest(version: int, location: str, **more: Any) -> Manifest:
    return replace(NOTHING, version=version, previous=version - 1, owner="compactor", tables={"orders": table(location, version)}, **more)


def change(*stretches: Stretch, snapshot: str = "", files: tuple[str, ...] = ()) -> TableChange:
    archived = Archived(ORDERS, (), files=[ArchivedFile(path, "", 1) for path in files])
    return TableChange(ORDERS, (Column("id", plain(pa.int64(), "bigint")),), ("id",), 1, (archived,), snapshot, None, stretches, Start(0, "orders"))


def test_files_are_dealt_to_tasks_by_size_and_a_large_one_has_a_task_of_its_own() -> None:
    assert hands([("a", 3), ("b", 3), ("c", 20), ("d", 1)], 8) == [("a", "b"), ("c",), ("d",)]
    assert hands([], 8) == []


def test_a_table_that_the_newest_snapshot_has_no_row_of_began_empty_with_it() -> None:
    cut = replace(NOTHING, snapshot=SNAPSHOT)
    (before, after) = Stretch("orders", until=(2, 400)), Stretch("orders", (2, 400))
    assert since_snapshot(change(before, after), cut).stretches == (Stretch("orders", (2, 500)),)
    assert since_snapshot(change(before, after, snapshot=SNAPSHOT.id), cut).stretches == (before, after)


def test_each_slice_reads_its_own_files_and_one_for_all_reads_each_once() -> None:
    held = change(Stretch("orders"), files=("/s/a", "/s/b", "/s/a"))
    assert sliced_files(held, {ORDERS: 2}, 2)[1] == {"orders": ("/s/a-0001.parquet", "/s/b-0001.parquet")}
    (whole,) = sliced_files(held, {ORDERS: 2}, 1)
    assert whole == {"orders": ("/s/a-0000.parquet", "/s/a-0001.parquet", "/s/b-0000.parquet", "/s/b-0001.parquet")}


def test_the_parts_of_a_hive_partition_are_one_with_the_span_of_all_their_keys() -> None:
    parts = {0: {"d": HivePartition("/d", 2, 10, 5, 9)}, 1: {"d": HivePartition("/d", 1, 7, 2, 2), "e": HivePartition("/e", 1, 1, 1, 1)}}
    assert together(parts) == {"d": HivePartition("/d", 3, 17, 2, 9, 2), "e": HivePartition("/e", 1, 1, 1, 1)}


class Folders:
    """What a replay asks of HDFS here."""

    def list(self, folder: str) -> list[Entry]:
        return [Entry("rolled-0.parquet", False, 9, 0.0)]


def version_with(number: int, location: str, *names: str) -> Manifest:
    archive = Archive(ORDERS.topic, (), {"2026-11-26": LakeDay(location, 1)})
    arrivals = tuple((f"/staged/{name}", f"{location}/{name}") for name in names)
    return replace(NOTHING, version=number, archives={"orders": archive}, arrivals=(*arrivals, ("/staged/x", "/r/data_warehouse/x")))


def test_only_the_files_that_later_versions_brought_are_read_when_catching_up() -> None:
    first = f"{LAKE}/log_date=2026-11-26/v=1-a"
    before = version_with(1, first).archives["orders"]
    since = [version_with(2, first, "b.parquet"), version_with(3, first, "c.parquet")]
    found = arrived_files(Folders(), "/r", before, since, ORDERS)  # type: ignore[arg-type]
    assert [path for path, _ in found] == [f"{first}/b.parquet", f"{first}/c.parquet"]


def test_a_day_that_was_rolled_up_meanwhile_is_read_as_it_is_now() -> None:
    first, rolled = f"{LAKE}/log_date=2026-11-26/v=1-a", f"{LAKE}/log_date=2026-11-26/v=3-b"
    since = [version_with(2, first, "b.parquet"), version_with(3, rolled)]
    found = arrived_files(Folders(), "/r", version_with(1, first).archives["orders"], since, ORDERS)  # type: ignore[arg-type]
    assert found == [(f"{rolled}/rolled-0.parquet", 9)]


def test_the_version_that_switches_stands_at_the_same_cut_and_says_what_it_replaced() -> None:
    newest = manifest(7, "/live", gtid="g", transactions="t", statements={"orders": Start(3, "orders"), "user": Start(1, "user")}, dropped=("x",))
    done = Rebuilt(manifest(7, "/rebuilt", statements={"orders": Start(5, "orders")}), arrivals=[("/staged", "/there")])
    made = following(newest, done, "r1")
    assert (made.version, made.previous, made.gtid, made.transactions, made.owner) == (8, 7, "g", "t", "r1")
    assert (made.tables["orders"].version, made.replaced, made.rebuilt, made.dropped) == (8, ("/live",), ("orders",), ())
    assert made.statements == {"orders": Start(5, "orders"), "user": Start(1, "user")}
    with pytest.raises(WarehouseError, match="the tables stand at version 7, and version 8 is published"):
        following(replace(newest, version=8), done, "r1")


class Kept:
    """Some kept versions."""

    def __init__(self, *manifests: Manifest) -> None:
        self._by_number = {one.version: one for one in manifests}

    def numbers(self) -> list[int]:
        return sorted(self._by_number)

    def read(self, number: int) -> Manifest:
        return self._by_number[number]


def test_the_way_back_is_to_the_tables_that_the_last_switch_replaced() -> None:
    made = replace(manifest(8, "/rebuilt"), rebuilt=("orders",))
    done = before_the_switch(Kept(manifest(7, "/live"), made, manifest(9, "/rebuilt")))  # type: ignore[arg-type]
    assert (done.manifest.version, done.manifest.tables["orders"].partitions[""].location) == (7, "/live")


def test_there_is_no_way_back_without_a_switch_or_when_what_it_replaced_is_gone() -> None:
    with pytest.raises(Refused, match="no kept version was made by a replay"):
        before_the_switch(Kept(manifest(7, "/live")))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="version 7, before the replay's version 8, is no longer kept"):
        before_the_switch(Kept(replace(manifest(8, "/rebuilt"), rebuilt=("orders",)), manifest(9, "/rebuilt")))  # type: ignore[arg-type]


def test_a_manifest_of_an_older_release_says_that_no_replay_made_it() -> None:
    stored = {"version": 1, "transactions": "", "offsets": {}, "tables": {}, "archives": {}, "left": {}, "arrivals": [], "replaced": []}
    rest = {"previous": None, "created_at": "", "owner": "", "gtid": "", "changes": 0}
    assert from_json({**stored, **rest}).rebuilt == ()


def test_facts_get_a_further_file_when_catching_up_however_many_they_have() -> None:
    clicks = Source("productview", "productview", Kind.FACTS)
    made = replace(change(Stretch("productview")), source=clicks, key=())
    many = HivePartition("/c", 9, 9, files=500)
    assert added_to(made, {"d": many, "e": None}) == {"d": replace(many, files=0), "e": None}
    assert added_to(change(Stretch("orders")), {"": many}) == {"": many}
    standing = replace(table("/c"), topic="productview", kind="facts", partitions={"d": many, "e": many})
    added = replace(standing, partitions={"d": replace(many, rows=10, files=1), "e": many, "f": HivePartition("/f", 1, 1)})
    found = counted(added, replace(NOTHING, tables={"productview": standing})).partitions
    assert {value: part.files for value, part in found.items()} == {"d": 501, "e": 500, "f": 1}
