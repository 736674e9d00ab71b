"""Which files of the archive a replay reads, and how they become tasks."""

from dataclasses import replace

from connectors.hadoop.hdfs import Entry
from schemas.manifest import EMPTY_MANIFEST, LakeDay, LakeTable, Manifest
from schemas.warehouse_layout import Kind, Source
from spark.archive.files import batch_files, new_files

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
LAKE = f"/r/data_lake/{ORDERS.topic}"


def test_files_are_dealt_to_tasks_by_size_and_a_large_one_has_a_task_of_its_own() -> None:
    assert batch_files([("a", 3), ("b", 3), ("c", 20), ("d", 1)], 8) == [
        ("a", "b"),
        ("c",),
        ("d",),
    ]
    assert batch_files([], 8) == []


class Folders:
    """What a replay asks of HDFS here."""

    def list(self, folder: str) -> list[Entry]:
        return [Entry("rolled-0.parquet", False, 9, 0.0)]


def version_with(number: int, location: str, *names: str) -> Manifest:
    archive = LakeTable(ORDERS.topic, (), {"2026-11-26": LakeDay(location, 1)})
    arrivals = tuple((f"/staged/{name}", f"{location}/{name}") for name in names)
    return replace(
        EMPTY_MANIFEST,
        version=number,
        archives={"orders": archive},
        arrivals=(*arrivals, ("/staged/x", "/r/data_warehouse/x")),
    )


def test_only_the_files_that_later_versions_brought_are_read_when_catching_up() -> None:
    first = f"{LAKE}/log_date=2026-11-26/v=1-a"
    before = version_with(1, first).archives["orders"]
    since = [version_with(2, first, "b.parquet"), version_with(3, first, "c.parquet")]
    found = new_files(Folders(), "/r", before, since, ORDERS)  # type: ignore[arg-type]
    assert [path for path, _ in found] == [f"{first}/b.parquet", f"{first}/c.parquet"]


def test_a_day_that_was_rolled_up_meanwhile_is_read_as_it_is_now() -> None:
    first = f"{LAKE}/log_date=2026-11-26/v=1-a"
    rolled = f"{LAKE}/log_date=2026-11-26/v=3-b"
    since = [version_with(2, first, "b.parquet"), version_with(3, rolled)]
    found = new_files(
        Folders(), "/r", version_with(1, first).archives["orders"], since, ORDERS
    )  # type: ignore[arg-type]
    assert found == [(f"{rolled}/rolled-0.parquet", 9)]
