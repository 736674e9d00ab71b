"""How the history of a table becomes a rebuilt table."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from schemas.logical_types import Column, plain
from schemas.manifest import (
    EMPTY_MANIFEST,
    DdlPosition,
    DebeziumSnapshot,
    HivePartition,
    Manifest,
    PublishedTable,
)
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedFile, ArchivedRanges
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.table_change import TableChange
from spark.replayer.rebuilt_tables import (
    force_new_files,
    since_snapshot,
    sliced_files,
    with_file_counts,
)

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
LAKE = f"/r/data_lake/{ORDERS.topic}"
SNAPSHOT = DebeziumSnapshot(
    id="binlog.000002:500", version=0, transactions_end=0, tables=(), whole=True
)


def table(location: str, version: int = 1) -> PublishedTable:
    return PublishedTable(
        topic=ORDERS.topic,
        kind="changes",
        columns=(("id", "bigint"),),
        key=("id",),
        partition_column=None,
        schema_id=1,
        version=version,
        gtid="",
        partitions={"": HivePartition(location=location, rows=1, size=1)},
    )


def manifest(version: int, location: str, **more: Any) -> Manifest:
    return replace(
        EMPTY_MANIFEST,
        version=version,
        previous=version - 1,
        owner="compactor",
        tables={"orders": table(location, version)},
        **more,
    )


def change(
    *periods: SchemaPeriod, snapshot: str = "", files: tuple[str, ...] = ()
) -> TableChange:
    archived = ArchivedRanges(
        source=ORDERS, files=[ArchivedFile(path, "", 1) for path in files]
    )
    return TableChange(
        source=ORDERS,
        columns=(Column("id", plain(pa.int64(), "bigint")),),
        key=("id",),
        schema_id=1,
        archived=(archived,),
        snapshot=snapshot,
        periods=periods,
        start=DdlPosition(0, "orders"),
    )


def test_a_table_that_the_newest_snapshot_has_no_row_of_began_empty_with_it() -> None:
    cut = replace(EMPTY_MANIFEST, snapshot=SNAPSHOT)
    before = SchemaPeriod("orders", until=(2, 400))
    after = SchemaPeriod("orders", (2, 400))
    assert since_snapshot(change(before, after), cut).periods == (
        SchemaPeriod("orders", (2, 500)),
    )
    assert since_snapshot(change(before, after, snapshot=SNAPSHOT.id), cut).periods == (
        before,
        after,
    )


def test_each_slice_reads_its_own_files_and_one_for_all_reads_each_once() -> None:
    held = change(SchemaPeriod("orders"), files=("/s/a", "/s/b", "/s/a"))
    assert sliced_files(held, {ORDERS: 2}, 2)[1] == {
        "orders": ("/s/a-0001.parquet", "/s/b-0001.parquet")
    }
    (whole,) = sliced_files(held, {ORDERS: 2}, 1)
    assert whole == {
        "orders": (
            "/s/a-0000.parquet",
            "/s/a-0001.parquet",
            "/s/b-0000.parquet",
            "/s/b-0001.parquet",
        )
    }


def test_facts_get_a_further_file_when_catching_up_however_many_they_have() -> None:
    clicks = Source("productview", "productview", Kind.FACTS)
    made = replace(change(SchemaPeriod("productview")), source=clicks, key=())
    many = HivePartition(location="/c", rows=9, size=9, files=500)
    assert force_new_files(made, {"d": many, "e": None}) == {
        "d": replace(many, files=0),
        "e": None,
    }
    assert force_new_files(change(SchemaPeriod("orders")), {"": many}) == {"": many}
    standing = replace(
        table("/c"), topic="productview", kind="facts", partitions={"d": many, "e": many}
    )
    added = replace(
        standing,
        partitions={
            "d": replace(many, rows=10, files=1),
            "e": many,
            "f": HivePartition(location="/f", rows=1, size=1),
        },
    )
    found = with_file_counts(
        added, replace(EMPTY_MANIFEST, tables={"productview": standing})
    ).partitions
    assert {value: part.files for value, part in found.items()} == {
        "d": 501,
        "e": 500,
        "f": 1,
    }
