"""The load of the measurement of compaction: orders in HDFS as the warehouse holds them, and batches of changes, each in two forms.

Days have 100,000 orders at any size of the table: a shop's table grows by days.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.hdfs import Hdfs
from infra.progress import Report
from schemas.envelope import CREATE, DELETE, POSITION, UPDATE
from schemas.logical import INSTANT, Column, plain
from schemas.warehouse import partition_location, partitioning, utc_dates
from spark.manifest import HivePartition
from spark.parquet import ParquetWriter

TABLE = "orders"
COLUMNS = (
    Column("order_id", plain(pa.int64(), "bigint")),
    Column("user_id", plain(pa.int64(), "bigint")),
    Column("product_id", plain(pa.int64(), "bigint")),
    Column("orderedAt", plain(INSTANT, "timestamp")),
    Column("status", plain(pa.string(), "string")),
)
SCHEMA = pa.schema([pa.field(column.name, column.type.arrow) for column in COLUMNS])
DAY_ROWS = 100_000
DAY_US = 86_400_000_000
FIRST_DAY_US = 1_767_225_600_000_000  # 2026-01-01
ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
NEW, GONE = 0.05, 0.05  # of the changes of a batch; the others change an order's status


@dataclass(frozen=True)
class Batch:
    """Changes: where they are as the archive holds them, where as plain rows with `op`, and the days that they touch, by name."""

    archived: str
    plain: str
    days: tuple[str, ...]
    changes: int


@dataclass
class Orders:
    """The table's days under a folder in HDFS. Nobody changes an order's day, so that a batch touches the days that it says."""

    hdfs: Hdfs
    root: str
    rows: int
    seed: int = 1
    partitions: dict[str, HivePartition] = field(default_factory=dict)
    _made: int = 0

    @property
    def days(self) -> int:
        """How many days there are."""
        return max(1, self.rows // DAY_ROWS)

    def fill(self, report: Report) -> None:
        """Write the orders, a file for each day."""
        with ThreadPoolExecutor(2) as threads:
            for number, (day, held) in enumerate(threads.map(self._write_day, range(self.days)), 1):
                self.partitions[day] = held
                report("writing orders", number / self.days, f"{number * DAY_ROWS:,} of {self.rows:,}")

    def orders(self, day: int) -> pa.Table:
        """The orders of a day, by number."""
        draw = np.random.default_rng([self.seed, day])
        ids = np.arange(DAY_ROWS) + 1 + day * DAY_ROWS
        at = FIRST_DAY_US + day * DAY_US + np.sort(draw.integers(0, DAY_US, DAY_ROWS))
        return _rows(ids, draw.integers(1, 1_000_000, DAY_ROWS), draw.integers(1, 10_000, DAY_ROWS), at, draw.integers(0, 2, DAY_ROWS))

    def batch(self, days: int, changes: int, updates_only: bool = False) -> Batch:
        """Changes spread evenly over the last so many days, of nothing but states if so wanted; no batch touches an order twice."""
        self._made += 1
        draw = np.random.default_rng([self.seed, 10**6, self._made])
        touched = range(self.days - days, self.days)
        before, after = (
            pa.concat_tables(found).combine_chunks() for found in zip(*self._changes(draw, touched, changes // days, updates_only), strict=True)
        )
        order = pa.array(draw.permutation(before.num_rows))
        before, after = before.take(order), after.take(order)
        names = f"{self.root}/changes/{self._made}"
        self._put(f"{names}-archived.parquet", archived(before, after))
        self._put(f"{names}-plain.parquet", plain_changes(before, after))
        return Batch(f"{names}-archived.parquet", f"{names}-plain.parquet", tuple(sorted(self.partitions)[-days:]), before.num_rows)

    def _changes(self, draw: np.random.Generator, touched: Sequence[int], each: int, updates_only: bool) -> Iterator[tuple[pa.Table, pa.Table]]:
        """By day, rows before and after: orders that go (null after), others with another status, and new ones (null before)."""
        for day in touched:
            orders, gone, new = self.orders(day), *((0, 0) if updates_only else (int(each * GONE), int(each * NEW)))
            # An order may have gone in an earlier batch; a change of it then brings it back, for everybody alike.
            old = orders.take(pa.array(np.sort(draw.choice(DAY_ROWS, each - new, replace=False))))
            ids = 10**9 + self._made * 10**6 + day * 10**3 + np.arange(new)
            at = FIRST_DAY_US + day * DAY_US + draw.integers(0, DAY_US, new)
            fresh = _rows(ids, draw.integers(1, 1_000_000, new), draw.integers(1, 10_000, new), at, np.zeros(new, int))
            changed = old.set_column(4, "status", pa.repeat(str(self._made % 2), old.num_rows))
            none = [pa.table({name: pa.nulls(size, SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA) for size in (gone, new)]
            yield pa.concat_tables([old, none[1]]), pa.concat_tables([none[0], changed.slice(gone), fresh])

    def _write_day(self, day: int) -> tuple[str, HivePartition]:
        rows, cut = self.orders(day), partitioning(TABLE, SCHEMA)
        name = utc_dates(rows.column("orderedAt").slice(0, 1))[0].as_py()
        location = partition_location(self.root, TABLE, cut.hive_column if cut else None, name, 0, "base")
        size = self._put(f"{location}/rows.parquet", rows)
        return name, HivePartition(location, rows.num_rows, size, 1 + day * DAY_ROWS, (day + 1) * DAY_ROWS)

    def _put(self, path: str, rows: pa.Table) -> int:
        file = ParquetWriter(rows.schema)
        file.write(rows)
        data = file.finish()
        self.hdfs.write_bytes(path, data)
        return len(data)


def _rows(ids: "np.ndarray", users: "np.ndarray", products: "np.ndarray", at_us: "np.ndarray", status: "np.ndarray") -> pa.Table:
    instants, states = pa.array(at_us, pa.int64()).cast(INSTANT), pa.array(status.astype(str), pa.string())
    return pa.Table.from_arrays([pa.array(ids), pa.array(users), pa.array(products), instants, states], schema=SCHEMA)


def archived(before: pa.Table, after: pa.Table) -> pa.Table:
    """Changes as the archive holds them: one partition, in this order, each a transaction of its own."""
    count = before.num_rows
    gtids = pa.array([f"{ORIGIN}:{number}" for number in range(1, count + 1)])
    said = {
        "op": _operations(before, after),
        "gtid": gtids,
        "tx_id": gtids,
        "binlog_file": pa.repeat("binlog.000002", count),
        "binlog_pos": pa.array(range(count), pa.int64()),
        "binlog_row": pa.repeat(pa.scalar(0, pa.int32()), count),
        "tx_order": pa.repeat(pa.scalar(1, pa.int64()), count),
        "tx_table_order": pa.repeat(pa.scalar(1, pa.int64()), count),
    }
    position = {name: said.get(name, pa.nulls(count, kind)) for name, (kind, _) in POSITION.items()}
    place = {"partition": pa.repeat(pa.scalar(0, pa.int32()), count), "offset": pa.array(range(count), pa.int64())}
    return pa.table({**place, **position, "before": _image(before), "after": _image(after)})


def plain_changes(before: pa.Table, after: pa.Table) -> pa.Table:
    """Changes as rows with what happens to them: nothing has to be worked out any more."""
    gone = pc.is_null(after.column("order_id"))
    columns = {name: pc.if_else(gone, before.column(name), after.column(name)) for name in SCHEMA.names}
    return pa.table({"op": _operations(before, after), **columns, "order_date": utc_dates(columns["orderedAt"])})


def _operations(before: pa.Table, after: pa.Table) -> pa.ChunkedArray:
    gone, new = pc.is_null(after.column("order_id")), pc.is_null(before.column("order_id"))
    return pc.if_else(gone, DELETE, pc.if_else(new, CREATE, UPDATE))


def _image(rows: pa.Table) -> pa.StructArray:
    columns = [column.combine_chunks() for column in rows.columns]
    return pa.StructArray.from_arrays(columns, fields=list(SCHEMA), mask=columns[0].is_null())
