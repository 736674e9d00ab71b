"""A small warehouse: its versions, and Hive as it should be after each."""

from dataclasses import replace

from connectors.hadoop.hdfs import Entry
from connectors.hadoop.hive_metastore import HiveTable, PartitionDefinition
from connectors.runtime.settings import load
from infra.verify.metastore.compare import FoundTable
from infra.verify.metastore.expected_tables import ExpectedTable
from schemas.manifest import (
    EMPTY_MANIFEST,
    DebeziumSnapshot,
    HivePartition,
    LakeDay,
    LakeTable,
    Manifest,
    PublishedTable,
)

SETTINGS = load({})
DATABASE = SETTINGS.hive.warehouse_database
LAKE = SETTINGS.hive.lake_database
ROOT = SETTINGS.hdfs.root
COLUMNS = (("order_id", "bigint"), ("orderedAt", "timestamp"))
HIVE_COLUMNS = (("order_id", "bigint"), ("orderedat", "timestamp"))
PART_OF_SNAPSHOT = DebeziumSnapshot(id="b:4", version=2, transactions_end=0, tables=())


def uri(path: str) -> str:
    return f"hdfs://here{path}"


def folder(table: str, value: str, version: int) -> str:
    inner = f"/order_date={value}" if value else ""
    return f"{ROOT}/data_warehouse/{table}{inner}/v={version}-a"


def published_table(name: str, version: int, **days: int) -> PublishedTable:
    """A table by day, each in the folder of a version; without days it is not partitioned."""
    values = days or {"": version}
    return PublishedTable(
        topic=f"cdc.{SETTINGS.mysql.database}.{name}",
        kind="changes",
        columns=COLUMNS,
        key=("order_id",),
        partition_column="order_date" if days else None,
        schema_id=1,
        version=version,
        gtid=f"a:1-{version}",
        partitions={
            value: HivePartition(location=folder(name, value, number), rows=1, size=10)
            for value, number in values.items()
        },
    )


def manifest(
    number: int, archive_files: int = 2, whole: bool = True, **tables: PublishedTable
) -> Manifest:
    archive = LakeTable(
        "cdc.eCommerce.orders",
        COLUMNS,
        {"d1": LakeDay(f"{ROOT}/data_lake/orders/log_date=d1/v=1-a", archive_files)},
    )
    return replace(
        EMPTY_MANIFEST,
        version=number,
        gtid=f"a:1-{number}",
        tables=tables,
        archives={"orders": archive},
        snapshot=None if whole else PART_OF_SNAPSHOT,
    )


FIRST = manifest(
    1,
    orders=published_table("orders", 1, d1=1, d2=1),
    user=published_table("user", 1),
)
# d1 is rewritten, d2 is gone, d3 is new.
SECOND = manifest(
    2,
    orders=published_table("orders", 2, d1=2, d3=2),
    user=published_table("user", 1),
)


def shown(expected: ExpectedTable) -> FoundTable:
    """Return the table as Hive has it after the version is published."""
    table = replace(
        expected.table, properties={"EXTERNAL": "TRUE", **expected.table.properties}
    )
    if table.partition_column is None:
        return FoundTable(table)
    partitions = {
        value: PartitionDefinition(place.uri, table.columns)
        for value, place in expected.folders.items()
    }
    return FoundTable(table, partitions)


def entries(*sizes: int) -> list[Entry]:
    """Return files with names as the compactor gives them."""
    return [
        Entry(f"{number}-a.parquet", False, size, float(number))
        for number, size in enumerate(sizes, 1)
    ]


def hive_table(name: str = "orders") -> HiveTable:
    return HiveTable(
        database=DATABASE,
        name=name,
        columns=HIVE_COLUMNS,
        partition_column="order_date",
        location=uri(f"{ROOT}/data_warehouse/{name}"),
    )
