"""The load of the compaction benchmark: orders in HDFS, and batches of changes in two forms.

Days have 100,000 orders at any size of the table: a shop's table grows by days.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.hadoop.hdfs import Hdfs
from infra.terminal.progress_line import Report
from schemas.envelope import CREATE, DELETE, POSITION, UPDATE
from schemas.logical_types import INSTANT, Column, plain
from schemas.manifest import HivePartition
from schemas.warehouse_layout import partition_location, partitioning, utc_dates
from spark.storage.parquet import ParquetWriter

TABLE = "orders"
COLUMNS = (
    Column("order_id", plain(pa.int64(), "bigint")),
    Column("user_id", plain(pa.int64(), "bigint")),
    Column("product_id", plain(pa.int64(), "bigint")),
    Column("orderedAt", plain(INSTANT, "timestamp")),
    Column("status", plain(pa.string(), "string")),
)
SCHEMA = pa.schema([pa.field(column.name, column.type.arrow) for column in COLUMNS])
STATUS_INDEX = SCHEMA.get_field_index("status")
DAY_ROWS = 100_000
DAY_US = 86_400_000_000
FIRST_DAY_US = 1_767_225_600_000_000  # 2026-01-01
MAX_USER = 1_000_000
MAX_PRODUCT = 10_000
WRITERS = 2
ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
# Shares of the changes of a batch; the others change an order's status.
INSERT_SHARE = 0.05
DELETE_SHARE = 0.05

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Changes: a file as the archive holds them, and one of plain rows with `op`.

    `days` are the names of the days that they touch.
    """

    archived: str
    plain: str
    days: tuple[str, ...]
    changes: int


@dataclass(frozen=True)
class Changes:
    """The rows before and after some changes; an insert has null before, a delete null after."""

    before: pa.Table
    after: pa.Table

    def shuffled(self, draw: np.random.Generator) -> "Changes":
        """Return the changes in another order."""
        order = pa.array(draw.permutation(self.before.num_rows))
        return Changes(self.before.take(order), self.after.take(order))


@dataclass
class Orders:
    """The table's days under a folder in HDFS.

    No change moves an order to another day, so a batch touches the days that it names.
    """

    hdfs: Hdfs
    root: str
    rows: int
    seed: int = 1
    partitions: dict[str, HivePartition] = field(default_factory=dict)
    _batches: int = 0

    @property
    def days(self) -> int:
        """How many days there are."""
        return max(1, self.rows // DAY_ROWS)

    def fill(self, report: Report) -> None:
        """Write the orders, a file for each day. Raises Unavailable, Refused."""
        with ThreadPoolExecutor(WRITERS) as threads:
            partitions = threads.map(self._write_day, range(self.days))
            for number, (day, partition) in enumerate(partitions, 1):
                self.partitions[day] = partition
                progress = f"{number * DAY_ROWS:,} of {self.rows:,}"
                report("writing orders", number / self.days, progress)

    def orders(self, day: int) -> pa.Table:
        """Return the orders of a day, by its number."""
        draw = np.random.default_rng([self.seed, day])
        times_of_day = np.sort(draw.integers(0, DAY_US, DAY_ROWS))
        return _orders_table(
            ids=np.arange(DAY_ROWS) + 1 + day * DAY_ROWS,
            users=draw.integers(1, MAX_USER, DAY_ROWS),
            products=draw.integers(1, MAX_PRODUCT, DAY_ROWS),
            ordered_us=FIRST_DAY_US + day * DAY_US + times_of_day,
            statuses=draw.integers(0, 2, DAY_ROWS),
        )

    def make_batch(self, days: int, changes: int, updates_only: bool = False) -> Batch:
        """Write changes that are spread evenly over the last so many days.

        No batch touches an order twice. With `updates_only` it changes only states.
        """
        self._batches += 1
        draw = np.random.default_rng([self.seed, 10**6, self._batches])
        touched_days = range(self.days - days, self.days)
        all_changes = self._changes(draw, touched_days, changes // days, updates_only)
        all_changes = all_changes.shuffled(draw)
        prefix = f"{self.root}/changes/{self._batches}"
        batch = Batch(
            archived=f"{prefix}-archived.parquet",
            plain=f"{prefix}-plain.parquet",
            days=tuple(sorted(self.partitions)[-days:]),
            changes=all_changes.before.num_rows,
        )
        self._write_file(batch.archived, archived_changes(all_changes))
        self._write_file(batch.plain, plain_changes(all_changes))
        return batch

    def _changes(
        self,
        draw: np.random.Generator,
        days: Sequence[int],
        changes_per_day: int,
        updates_only: bool,
    ) -> Changes:
        before = []
        after = []
        for day in days:
            day_changes = self._changes_of_day(draw, day, changes_per_day, updates_only)
            before.append(day_changes.before)
            after.append(day_changes.after)
        return Changes(
            pa.concat_tables(before).combine_chunks(),
            pa.concat_tables(after).combine_chunks(),
        )

    def _changes_of_day(
        self, draw: np.random.Generator, day: int, count: int, updates_only: bool
    ) -> Changes:
        """Return deletes, then updates with another status, then inserts."""
        orders = self.orders(day)
        deletes = 0 if updates_only else int(count * DELETE_SHARE)
        inserts = 0 if updates_only else int(count * INSERT_SHARE)
        # An order may have been deleted by an earlier batch; a change of it then brings it back, in
        # every implementation alike.
        indexes = np.sort(draw.choice(DAY_ROWS, count - inserts, replace=False))
        old_rows = orders.take(pa.array(indexes))
        new_rows = self._new_orders(draw, day, inserts)
        status = pa.repeat(str(self._batches % 2), old_rows.num_rows)
        updated_rows = old_rows.set_column(STATUS_INDEX, "status", status)
        return Changes(
            before=pa.concat_tables([old_rows, _null_rows(inserts)]),
            after=pa.concat_tables(
                [_null_rows(deletes), updated_rows.slice(deletes), new_rows]
            ),
        )

    def _new_orders(self, draw: np.random.Generator, day: int, count: int) -> pa.Table:
        first_id = 10**9 + self._batches * 10**6 + day * 10**3
        times_of_day = draw.integers(0, DAY_US, count)
        return _orders_table(
            ids=first_id + np.arange(count),
            users=draw.integers(1, MAX_USER, count),
            products=draw.integers(1, MAX_PRODUCT, count),
            ordered_us=FIRST_DAY_US + day * DAY_US + times_of_day,
            statuses=np.zeros(count, np.int64),
        )

    def _write_day(self, day: int) -> tuple[str, HivePartition]:
        rows = self.orders(day)
        table_partitioning = partitioning(TABLE, SCHEMA)
        hive_column = table_partitioning.hive_column if table_partitioning else None
        name = utc_dates(rows.column("orderedAt").slice(0, 1))[0].as_py()
        location = partition_location(self.root, TABLE, hive_column, name, 0, "base")
        size = self._write_file(f"{location}/rows.parquet", rows)
        partition = HivePartition(
            location=location,
            rows=rows.num_rows,
            size=size,
            lowest_key=1 + day * DAY_ROWS,
            highest_key=(day + 1) * DAY_ROWS,
        )
        return name, partition

    def _write_file(self, path: str, rows: pa.Table) -> int:
        """Write a Parquet file; return its size in bytes."""
        writer = ParquetWriter(rows.schema)
        writer.write_rows(rows)
        data = writer.finish()
        self.hdfs.write_bytes(path, data)
        return len(data)


def _orders_table(
    *, ids: Ints, users: Ints, products: Ints, ordered_us: Ints, statuses: Ints
) -> pa.Table:
    instants = pa.array(ordered_us, pa.int64()).cast(INSTANT)
    status_texts = pa.array(statuses.astype(str), pa.string())
    columns = [pa.array(ids), pa.array(users), pa.array(products), instants, status_texts]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _null_rows(count: int) -> pa.Table:
    columns = {column.name: pa.nulls(count, column.type) for column in SCHEMA}
    return pa.table(columns, schema=SCHEMA)


def archived_changes(changes: Changes) -> pa.Table:
    """Return changes as the archive holds them, each in a separate transaction.

    They are of one partition, in this order.
    """
    count = changes.before.num_rows
    gtids = pa.array([f"{ORIGIN}:{number}" for number in range(1, count + 1)])
    values = {
        "op": _operations(changes),
        "gtid": gtids,
        "tx_id": gtids,
        "binlog_file": pa.repeat("binlog.000002", count),
        "binlog_pos": pa.array(range(count), pa.int64()),
        "binlog_row": pa.repeat(pa.scalar(0, pa.int32()), count),
        "tx_order": pa.repeat(pa.scalar(1, pa.int64()), count),
        "tx_table_order": pa.repeat(pa.scalar(1, pa.int64()), count),
    }
    columns = {
        "partition": pa.repeat(pa.scalar(0, pa.int32()), count),
        "offset": pa.array(range(count), pa.int64()),
    }
    for name, (arrow_type, _) in POSITION.items():
        columns[name] = values.get(name, pa.nulls(count, arrow_type))
    columns["before"] = _image(changes.before)
    columns["after"] = _image(changes.after)
    return pa.table(columns)


def plain_changes(changes: Changes) -> pa.Table:
    """Return one row per change with its operation, so that nothing is left to work out."""
    is_delete = pc.is_null(changes.after.column("order_id"))
    columns = {"op": _operations(changes)}
    for name in SCHEMA.names:
        before = changes.before.column(name)
        after = changes.after.column(name)
        columns[name] = pc.if_else(is_delete, before, after)
    columns["order_date"] = utc_dates(columns["orderedAt"])
    return pa.table(columns)


def _operations(changes: Changes) -> pa.ChunkedArray:
    is_delete = pc.is_null(changes.after.column("order_id"))
    is_insert = pc.is_null(changes.before.column("order_id"))
    return pc.if_else(is_delete, DELETE, pc.if_else(is_insert, CREATE, UPDATE))


def _image(rows: pa.Table) -> pa.StructArray:
    columns = [column.combine_chunks() for column in rows.columns]
    is_null = columns[0].is_null()
    return pa.StructArray.from_arrays(columns, fields=list(SCHEMA), mask=is_null)
