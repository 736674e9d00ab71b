"""A table of MySQL that is not captured, and its rows as a table of the warehouse.

The test writes both, so it can spoil rows of the warehouse at will.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.hadoop.hdfs import Hdfs
from connectors.mysql.client import Connection, connect
from connectors.mysql.consistent_snapshot import snapshot
from connectors.runtime.settings import Settings
from infra.verify.warehouse.compare_table import compare
from infra.verify.warehouse.differences import TableOutcome
from infra.verify.warehouse.hdfs_rows import WarehouseTable
from infra.verify.warehouse.table_shape import table_shapes
from schemas.manifest import HivePartition, PublishedTable

DATABASE = "shadow"
NAME = "orders"
START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
CREATE = f"""\
CREATE TABLE {DATABASE}.{NAME} (
    order_id INT PRIMARY KEY,
    user_id BIGINT UNSIGNED NOT NULL,
    product_id INT,
    orderedAt TIMESTAMP(6) NULL,
    status ENUM('0','1') NOT NULL,
    price DECIMAL(12,3),
    ratio DOUBLE,
    note VARCHAR(50),
    raw VARBINARY(10),
    doc JSON,
    seen DATETIME
)"""
SCHEMA = pa.schema(
    [
        ("order_id", pa.int32()),
        ("user_id", pa.decimal128(20, 0)),
        ("product_id", pa.int32()),
        ("orderedAt", pa.timestamp("us", tz="UTC")),
        ("status", pa.string()),
        ("price", pa.decimal128(12, 3)),
        ("ratio", pa.float64()),
        ("note", pa.string()),
        ("raw", pa.binary()),
        ("doc", pa.string()),
        ("seen", pa.timestamp("us", tz="UTC")),
    ]
)
Row = dict[str, Any]
Files = dict[str, list[Row]]  # the rows of each hive partition


def order(number: int) -> Row:
    """Return an order whose every value follows from its number; some are NULL."""
    return {
        "order_id": number,
        "user_id": Decimal(2**63 + number),
        "product_id": number % 200 if number % 5 else None,
        "orderedAt": START + timedelta(seconds=61 * number, microseconds=number),
        "status": str(number % 2),
        "price": Decimal(number * 7) / 1000 if number % 3 else None,
        "ratio": number / 7,
        "note": f" żółw {number} " if number % 4 else None,
        "raw": number.to_bytes(3, "big"),
        "doc": f'{{"n": {number}}}',
        "seen": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
    }


def day(row: Row) -> str:
    """Return the hive partition that a row belongs to."""
    if row["orderedAt"] is None:
        return "__HIVE_DEFAULT_PARTITION__"
    return str(row["orderedAt"].date().isoformat())


def by_day(rows: list[Row]) -> Files:
    """Return rows by their hive partition."""
    files: Files = {}
    for row in rows:
        files.setdefault(day(row), []).append(row)
    return files


@dataclass
class Shadow:
    """The table on both sides. `root` is its folder in HDFS."""

    settings: Settings
    root: str

    def fill(self, mysql: Connection, rows: list[Row]) -> None:
        """Put rows into MySQL."""
        mysql.execute(f"USE {DATABASE}")
        mysql.insert(NAME, rows)

    def write(self, files: Files) -> PublishedTable:
        """Put rows into HDFS as they are. The table's manifest states their real number."""
        tables = {
            value: pa.Table.from_pylist(rows, SCHEMA) for value, rows in files.items()
        }
        return self.write_tables(tables)

    def write_tables(
        self,
        tables: Mapping[str, pa.Table],
        hive_column: str | None = "order_date",
        key: str = "order_id",
    ) -> PublishedTable:
        """Write a Parquet file per hive partition, and return the table for the manifest."""
        hdfs = Hdfs(self.settings.hdfs)
        partitions = {}
        version = uuid4().hex[:8]
        for value, rows in tables.items():
            data = parquet_bytes(rows)
            location = f"{self.root}/{hive_column}={value}/v={version}"
            hdfs.write_bytes(f"{location}/rows.parquet", data)
            partitions[value] = HivePartition(
                location=location, rows=rows.num_rows, size=len(data)
            )
        column_names = next(iter(tables.values())).column_names
        return PublishedTable(
            topic=f"cdc.{DATABASE}.{NAME}",
            kind="changes",
            columns=tuple((name, "") for name in column_names),
            key=(key,),
            partition_column=hive_column,
            schema_id=1,
            version=1,
            gtid="",
            partitions=partitions,
        )

    def compare(self, table: PublishedTable, name: str = NAME) -> TableOutcome:
        """Return the proof's outcome for a table of the warehouse."""
        mysql = replace(self.settings.mysql, database=DATABASE)
        login = self.settings.login("mysql.admin")
        with snapshot(mysql, login, 2) as taken:
            shape = table_shapes(taken.readers[0], DATABASE)[name]
            warehouse_table = WarehouseTable(Hdfs(self.settings.hdfs), shape, table)
            return compare(taken.readers, shape, warehouse_table, lambda side, rows: None)


def parquet_bytes(rows: pa.Table) -> bytes:
    """Return a Parquet file with the options that the compactor uses."""
    file = io.BytesIO()
    pq.write_table(
        rows,
        file,
        compression="zstd",
        coerce_timestamps="us",
        version="2.6",
        store_schema=False,
        row_group_size=131_072,
    )
    return file.getvalue()


@contextmanager
def shadow(settings: Settings) -> Iterator[tuple[Shadow, Connection]]:
    """Yield an empty shadow of the orders, and a connection that writes to it.

    The connection writes nothing to the binary log.
    """
    empty_shadow = Shadow(settings, f"/shadow-{uuid4().hex[:8]}")
    login = settings.login("mysql.admin")
    with connect(settings.mysql, login, answer_seconds=600) as mysql:
        mysql.execute("SET sql_log_bin = 0")
        mysql.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        mysql.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        mysql.execute(CREATE)
        try:
            yield empty_shadow, mysql
        finally:
            mysql.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            Hdfs(settings.hdfs).delete(empty_shadow.root)
