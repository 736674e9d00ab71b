"""Tables, archived changes and tasks for tests of the rewriting of partitions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from connectors.runtime.settings import Hdfs
from schemas.gtid import GtidSet, gtid_set
from schemas.logical_types import INSTANT
from schemas.manifest import HivePartition, PartitionFile
from schemas.warehouse_layout import WHOLE, Kind, Partitioning
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.rewrite_task import (
    ChangesToMerge,
    NewVersion,
    RewriteTask,
    TableDefinition,
)
from tests.unit.spark.memory_files import MemoryFiles

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
USER_SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
ORDER_SCHEMA = pa.schema([("id", pa.int64()), ("orderedAt", INSTANT)])
CLICK_SCHEMA = pa.schema([("product", pa.int64()), ("viewed_at", INSTANT)])
USERS = TableDefinition("user", USER_SCHEMA, ("id",), None)
ORDERS = TableDefinition(
    "orders", ORDER_SCHEMA, ("id",), Partitioning("orderedAt", "order_date")
)
CLICKS = TableDefinition(
    "productview",
    CLICK_SCHEMA,
    (),
    Partitioning("viewed_at", "view_date"),
    Kind.FACTS,
)
NOTES = TableDefinition("notes", USER_SCHEMA, (), None)
TARGET = NewVersion(7, "token", "/staging")
POSITION_TYPES = [
    ("partition", pa.int32()),
    ("offset", pa.int64()),
    ("op", pa.string()),
    ("snapshot", pa.string()),
    ("gtid", pa.string()),
    ("binlog_file", pa.string()),
    ("binlog_pos", pa.int64()),
    ("binlog_row", pa.int32()),
    ("tx_id", pa.string()),
    ("tx_table_order", pa.int64()),
    ("key", pa.binary()),
]
Row = tuple[Any, ...]
Change = dict[str, Any]


def instant(day: int) -> datetime:
    """Noon of a day of July 2026."""
    return datetime(2026, 7, day, 12, tzinfo=UTC)


def date(day: int) -> str:
    """The Hive partition of a day of July 2026."""
    return f"2026-07-{day:02}"


def insert(*row: Any) -> Change:
    return {"op": "c", "after": row}


def update(before: Row, after: Row) -> Change:
    return {"op": "u", "before": before, "after": after}


def delete(*row: Any) -> Change:
    return {"op": "d", "before": row}


TRUNCATE: Change = {"op": "t", "gtid": f"{UUID}:1000"}


def archived(schema: pa.Schema, *changes: Change, first: int = 1) -> pa.Table:
    """Changes as archived: number n is transaction n, at offset n and binlog position 10 n."""
    names = schema.names
    records = []
    for number, change in enumerate(changes, first):
        gtid = None if change["op"] == "t" else f"{UUID}:{number}"
        record = {
            "partition": 0,
            "offset": number,
            "binlog_file": "binlog.000001",
            "binlog_pos": 10 * number,
            "binlog_row": 0,
            "gtid": gtid,
            "tx_id": gtid,
            "tx_table_order": 1,
            "key": b"key",
            **change,
        }
        for image in ("before", "after"):
            row = change.get(image)
            record[image] = dict(zip(names, row, strict=True)) if row else None
        records.append(record)
    image_type = pa.struct(list(schema))
    fields = [*POSITION_TYPES, ("before", image_type), ("after", image_type)]
    return pa.Table.from_pylist(records, pa.schema(fields))


def table_of(schema: pa.Schema, rows: Sequence[Row]) -> pa.Table:
    names = schema.names
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows], schema
    )


def publish(
    files: MemoryFiles, schema: pa.Schema, rows: Sequence[Row], location: str = "/old"
) -> HivePartition:
    """A published Hive partition of one file."""
    size = files.write_table(f"{location}/rows.parquet", table_of(schema, rows))
    keys = [row[0] for row in rows]
    return HivePartition(
        location=location,
        rows=len(rows),
        size=size,
        lowest_key=min(keys, default=None),
        highest_key=max(keys, default=None),
    )


def publish_ranges(
    files: MemoryFiles, schema: pa.Schema, *ranges: Sequence[Row], location: str = "/old"
) -> HivePartition:
    """A published Hive partition of one file per range."""
    stored = []
    for number, rows in enumerate(ranges):
        name = f"rows-{number:04}.parquet"
        size = files.write_table(f"{location}/{name}", table_of(schema, rows))
        keys = [row[0] for row in rows]
        stored.append(PartitionFile(name, len(rows), size, min(keys), max(keys)))
    return HivePartition(
        location=location,
        rows=sum(file.rows for file in stored),
        size=sum(file.size for file in stored),
        lowest_key=stored[0].lowest_key,
        highest_key=stored[-1].highest_key,
        files=len(stored),
        ranges=tuple(stored),
    )


def task_for(
    table: TableDefinition,
    partitions: dict[str, HivePartition | None],
    *paths: str,
    periods: tuple[SchemaPeriod, ...] | None = None,
    merged: str = "",
    snapshot: str = "",
    threads: int = 1,
) -> RewriteTask:
    """The rewriting of partitions by the changes in some archive files under the table's name."""
    merged_gtids = gtid_set(merged) if merged else GtidSet()
    changes = ChangesToMerge(
        files={table.name: paths},
        periods=(SchemaPeriod(table.name),) if periods is None else periods,
        merged={table.name: merged_gtids},
        snapshot=snapshot,
    )
    return RewriteTask(
        table=table,
        changes=changes,
        target=TARGET,
        partitions=partitions,
        hdfs=replace(Hdfs(), root="/r"),
        threads=threads,
    )


def rows_in(files: MemoryFiles, partition: HivePartition | None) -> list[Row]:
    """The rows of a Hive partition, in the order of its files' names."""
    if partition is None:
        return []
    rows: list[Row] = []
    for entry in files.list(partition.location):
        table = files.table(f"{partition.location}/{entry.name}")
        rows += [tuple(row.values()) for row in table.to_pylist()]
    return rows


def whole(partitions: dict[str, HivePartition | None]) -> HivePartition:
    """The only partition of a table that is not partitioned."""
    partition = partitions[WHOLE]
    assert partition is not None
    return partition
