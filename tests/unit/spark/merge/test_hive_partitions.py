"""Rows by the Hive partition that they belong to."""

from datetime import UTC, datetime

import pyarrow as pa

from schemas.logical_types import INSTANT
from schemas.warehouse_layout import NO_DATE, WHOLE, Partitioning
from spark.merge.hive_partitions import by_hive_partition, hive_partitions


def test_a_table_that_is_not_cut_has_one_partition() -> None:
    assert hive_partitions(pa.table({"id": [1, 2]}), None).to_pylist() == [WHOLE, WHOLE]


def test_orders_are_dealt_to_their_days_in_their_order() -> None:
    days = [datetime(2026, 7, day, 23, 59, tzinfo=UTC) for day in (2, 1, 2, 3, 1, 2)]
    rows = pa.table({"order_id": range(7), "orderedAt": pa.array([*days, None], INSTANT)})
    found = by_hive_partition(rows, Partitioning("orderedAt", "order_date"))
    assert {day: part.column("order_id").to_pylist() for day, part in found.items()} == {
        "2026-07-02": [0, 2, 5],
        "2026-07-01": [1, 4],
        "2026-07-03": [3],
        NO_DATE: [6],
    }
    assert by_hive_partition(rows, None) == {WHOLE: rows}
    assert by_hive_partition(rows.slice(0, 0), None) == {}
