"""A table in MySQL that nobody captures, and the same rows as a warehouse table that the test writes itself: good, then spoilt at will."""

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

from connectors.hdfs import Hdfs
from connectors.mysql import Connection, connect
from connectors.mysql_snapshot import snapshot
from infra.row_differences import TableOutcome
from infra.settings import Settings
from infra.table_compare import compare
from infra.table_shape import table_shapes
from infra.warehouse_side import WarehouseTable
from spark.manifest import HivePartition, Table

DATABASE, NAME = "shadow", "orders"
START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
CREATE = (
    f"CREATE TABLE {DATABASE}.{NAME} (order_id INT PRIMARY KEY, user_id BIGINT UNSIGNED NOT NULL, product_id INT, orderedAt TIMESTAMP(6) NULL,"
    " status ENUM('0','1') NOT NULL, price DECIMAL(12,3), ratio DOUBLE, note VARCHAR(50), raw VARBINARY(10), doc JSON, seen DATETIME)"
)
SCHEMA = pa.schema(
    [
        ("order_id", pa.int32()), ("user_id", pa.decimal128(20, 0)), ("product_id", pa.int32()), ("orderedAt", pa.timestamp("us", tz="UTC")),
        ("status", pa.string()), ("price", pa.decimal128(12, 3)), ("ratio", pa.float64()), ("note", pa.string()), ("raw", pa.binary()),
        ("doc", pa.string()), ("seen", pa.timestamp("us", tz="UTC")),
    ]
)  # fmt: skip
Row = dict[str, Any]
Files = dict[str, list[Row]]  # the rows of each hive partition


def order(number: int) -> Row:
    """An order whose every value follows from its number; some are NULL."""
    return {
        "order_id": number, "user_id": Decimal(2**63 + number), "product_id": number % 200 if number % 5 else None,
        "orderedAt": START + timedelta(seconds=61 * number, microseconds=number), "status": str(number % 2),
        "price": Decimal(number * 7) / 1000 if number % 3 else None, "ratio": number / 7, "note": f" żółw {number} " if number % 4 else None,
        "raw": number.to_bytes(3, "big"), "doc": f'{{"n": {number}}}', "seen": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
    }  # fmt: skip


def day(row: Row) -> str:
    """The hive partition that a row belongs to."""
    return row["orderedAt"].date().isoformat() if row["orderedAt"] else "__HIVE_DEFAULT_PARTITION__"


def by_day(rows: list[Row]) -> Files:
    found: Files = {}
    for row in rows:
        found.setdefault(day(row), []).append(row)
    return found


@dataclass
class Shadow:
    """The table on both sides."""

    settings: Settings
    root: str

    def fill(self, mysql: Connection, rows: list[Row]) -> None:
        """Put rows into MySQL."""
        mysql.execute(f"USE {DATABASE}")
        mysql.insert(NAME, rows)

    def write(self, files: Files) -> Table:
        """Put rows into HDFS as they are given; what the manifest says of them is always true."""
        return self.write_tables({value: pa.Table.from_pylist(rows, SCHEMA) for value, rows in files.items()})

    def write_tables(self, tables: Mapping[str, pa.Table], hive_column: str | None = "order_date", key: str = "order_id") -> Table:
        hdfs, partitions, version = Hdfs(self.settings.hdfs), {}, uuid4().hex[:8]
        for value, rows in tables.items():
            file = io.BytesIO()
            pq.write_table(rows, file, compression="zstd", coerce_timestamps="us", version="2.6", store_schema=False, row_group_size=131_072)
            location = f"{self.root}/{hive_column}={value}/v={version}"
            hdfs.write_bytes(f"{location}/rows.parquet", file.getvalue())
            partitions[value] = HivePartition(location, rows.num_rows, file.tell())
        columns = tuple((name, "") for name in next(iter(tables.values())).column_names)
        return Table(f"cdc.{DATABASE}.{NAME}", "changes", columns, (key,), hive_column, 1, 1, "", partitions)

    def compare(self, table: Table, name: str = NAME) -> TableOutcome:
        """What the proof says of it."""
        mysql, login = replace(self.settings.mysql, database=DATABASE), self.settings.login("mysql.admin")
        with snapshot(mysql, login, 2) as taken:
            shape = table_shapes(taken.readers[0], DATABASE)[name]
            return compare(taken.readers, shape, WarehouseTable(Hdfs(self.settings.hdfs), shape, table), lambda side, rows: None)


@contextmanager
def shadow(settings: Settings) -> Iterator[tuple[Shadow, Connection]]:
    """An empty shadow of the orders, and a connection that writes to it without the binary log."""
    made = Shadow(settings, f"/shadow-{uuid4().hex[:8]}")
    with connect(settings.mysql, settings.login("mysql.admin"), answer_seconds=600) as mysql:
        mysql.execute("SET sql_log_bin = 0")
        mysql.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        mysql.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        mysql.execute(CREATE)
        try:
            yield made, mysql
        finally:
            mysql.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            Hdfs(settings.hdfs).delete(made.root)
