"""A version of a warehouse in memory, with a table of each kind."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.logical_types import INSTANT
from schemas.manifest import (
    EMPTY_MANIFEST,
    HivePartition,
    LakeDay,
    LakeTable,
    Manifest,
    PublishedTable,
)
from schemas.warehouse_layout import NO_DATE
from tests.unit.spark.memory_files import MemoryFiles

WAREHOUSE = "/ecomm_data/data_warehouse"
LAKE = "/ecomm_data/data_lake"

ORDER_COLUMNS = (
    ("order_id", "bigint"),
    ("orderedAt", "timestamp"),
    ("price", "decimal(10,2)"),
    ("status", "string"),
    ("note", "string"),
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def orders(*ids: int, note: str | None = None) -> pa.Table:
    """Orders at noon, without the column `note` unless there is a note: older files lack it."""
    columns: dict[str, Any] = {
        "order_id": pa.array(ids, pa.int64()),
        "orderedAt": pa.array([NOON] * len(ids), INSTANT),
        "price": pa.array([Decimal(number) / 4 for number in ids], pa.decimal128(10, 2)),
        "status": pa.array(["1" if number % 2 else None for number in ids], pa.string()),
    }
    if note is not None:
        columns["note"] = pa.array([note] * len(ids), pa.string())
    return pa.table(columns)


def table(
    columns: tuple[tuple[str, str], ...],
    partitions: dict[str, HivePartition],
    partition_column: str | None = None,
    kind: str = "changes",
) -> PublishedTable:
    """A published table, whose key is its first column."""
    return PublishedTable(
        topic="cdc.eCommerce.t",
        kind=kind,
        columns=columns,
        key=(columns[0][0],),
        partition_column=partition_column,
        schema_id=1,
        version=3,
        gtid="",
        partitions=partitions,
    )


@dataclass
class SampleWarehouse:
    """Files and the manifest of version 3."""

    files: MemoryFiles = field(default_factory=MemoryFiles)
    manifest: Manifest = field(default_factory=lambda: replace(EMPTY_MANIFEST, version=3))

    def add_partition(self, folder: str, name: str, *tables: pa.Table) -> HivePartition:
        """Write the only file of a hive partition."""
        size = self.files.write_table(f"{folder}/{name}", *tables)
        rows = sum(rows.num_rows for rows in tables)
        return HivePartition(location=folder, rows=rows, size=size)

    def publish(self, name: str, published_table: PublishedTable) -> None:
        """Add a table to the version."""
        tables = {**self.manifest.tables, name: published_table}
        self.manifest = replace(self.manifest, tables=tables)

    def archive(self, name: str, lake_table: LakeTable) -> None:
        """Add an archive to the version."""
        archives = {**self.manifest.archives, name: lake_table}
        self.manifest = replace(self.manifest, archives=archives)

    def numbers(self) -> list[int]:
        """The versions: a `ManifestReader` of one."""
        return [self.manifest.version]

    def read(self, _number: int) -> Manifest:
        """The only version."""
        return self.manifest

    def newest(self) -> Manifest:
        """The only version."""
        return self.manifest


def sample_warehouse() -> SampleWarehouse:
    """Orders of two days and of none, users, an empty table, and an archive."""
    sample = SampleWarehouse()
    folder = f"{WAREHOUSE}/orders/order_date="
    first_day = sample.add_partition(
        f"{folder}2026-01-30/v=1-a", "rows.parquet", orders(1, 2)
    )
    second_day = sample.add_partition(
        f"{folder}2026-01-31/v=3-c", "rows-0000.parquet", orders(3, 4, 5, note="ring twice")
    )
    no_day = sample.add_partition(f"{folder}{NO_DATE}/v=2-b", "rows.parquet", orders(6))
    days = {"2026-01-30": first_day, "2026-01-31": second_day, NO_DATE: no_day}
    sample.publish("orders", table(ORDER_COLUMNS, days, "order_date"))

    users = pa.table({"id": pa.array([7], pa.int64()), "B_c": ["x"], "key": [b"\x00\xff"]})
    whole = sample.add_partition(f"{WAREHOUSE}/user/v=3-c", "rows.parquet", users)
    columns = (("id", "bigint"), ("b-c", "string"), ("key", "binary"))
    sample.publish("user", table(columns, {"": whole}))
    sample.publish("nothing", table((("id", "int"), ("day_of", "date")), {}, "day"))

    after = pa.array([{"id": 7, "b_c": "x"}])
    records = pa.table({"offset": pa.array([0], pa.int64()), "after": after})
    day = f"{LAKE}/user/log_date=2026-01-31/v=0-a"
    sample.files.write_table(f"{day}/user-s1-aaaaaaaaaaaa.parquet", records)
    lake_columns = (("offset", "bigint"), ("after", "struct<id:bigint,b_c:string,new:int>"))
    days_of_archive = {"2026-01-31": LakeDay(day, 1)}
    sample.archive("user", LakeTable("cdc.eCommerce.user", lake_columns, days_of_archive))
    return sample
