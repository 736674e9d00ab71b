"""What one compaction has to do."""

from dataclasses import replace

import pyarrow as pa
import pytest

from connectors.kafka.client import Watermarks
from schemas.errors import WarehouseError
from schemas.logical_types import INSTANT, Column, plain
from schemas.manifest import EMPTY_MANIFEST, HivePartition
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedRanges
from spark.compactor.plan import (
    MOST_OFFSETS,
    SMALL_OFFSETS,
    SMALL_ROWS,
    distribute_ranges,
    is_small_log_range,
    is_small_rewrite,
    next_offsets,
    ranges_to_read,
)
from spark.log.range_reader import OffsetRange

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)
COLUMNS = (
    Column("order_id", plain(pa.int64(), "bigint")),
    Column("orderedAt", plain(INSTANT, "timestamp")),
)
COMMITTED = replace(EMPTY_MANIFEST, version=3, offsets={ORDERS.topic: {0: 100}})


def test_only_what_is_new_and_stable_is_read() -> None:
    log = {
        (ORDERS.topic, 0): Watermarks(0, 150, 180),
        (USERS.topic, 0): Watermarks(0, 20, 20),
    }
    assert ranges_to_read(COMMITTED, [ORDERS, USERS], log) == [
        OffsetRange(ORDERS, 0, 100, 150),
        OffsetRange(USERS, 0, 0, 20),
    ]
    assert (
        ranges_to_read(COMMITTED, [ORDERS], {(ORDERS.topic, 0): Watermarks(0, 100, 180)})
        == []
    )


def test_a_long_backlog_of_facts_is_taken_in_parts() -> None:
    (reading,) = ranges_to_read(
        EMPTY_MANIFEST,
        [CLICKS],
        {(CLICKS.topic, 0): Watermarks(0, 3 * MOST_OFFSETS, 3 * MOST_OFFSETS)},
    )
    assert reading.length == MOST_OFFSETS


def test_records_that_are_gone_before_they_were_read_stop_publishing_and_are_named() -> (
    None
):
    with pytest.raises(
        WarehouseError,
        match=r"cdc.eCommerce.orders\[0\] begins at offset 120: records 100 to 119 are gone",
    ):
        ranges_to_read(COMMITTED, [ORDERS], {(ORDERS.topic, 0): Watermarks(120, 150, 150)})
    with pytest.raises(WarehouseError, match="records 0 to 4 are gone"):
        ranges_to_read(EMPTY_MANIFEST, [USERS], {(USERS.topic, 0): Watermarks(5, 9, 9)})


def test_a_topic_that_was_made_anew_stops_publishing() -> None:
    with pytest.raises(WarehouseError, match="recreated"):
        ranges_to_read(COMMITTED, [ORDERS], {(ORDERS.topic, 0): Watermarks(0, 7, 7)})


def test_ranges_are_shared_evenly_and_the_short_ones_of_a_topic_stay_together() -> None:
    ranges = [
        OffsetRange(ORDERS, number, 0, length)
        for number, length in enumerate((10, 90_000, 20, 80_000))
    ] + [OffsetRange(USERS, 0, 0, 30)]
    hands = [
        {(reading.source.table, reading.partition) for reading in hand}
        for hand in distribute_ranges(ranges, 2)
    ]
    assert hands == [
        {("orders", 1)},
        {("orders", 3), ("orders", 0), ("orders", 2), ("user", 0)},
    ]


def test_the_next_compaction_begins_where_this_one_ended() -> None:
    done = [
        ArchivedRanges(source=ORDERS, ranges=(OffsetRange(ORDERS, 0, 100, 150),)),
        ArchivedRanges(source=USERS, ranges=(OffsetRange(USERS, 0, 0, 20),)),
    ]
    assert next_offsets(COMMITTED, done) == {ORDERS.topic: {0: 150}, USERS.topic: {0: 20}}
    assert COMMITTED.offsets == {ORDERS.topic: {0: 100}}


def test_a_spark_job_is_for_much_work_only() -> None:
    assert is_small_log_range([OffsetRange(ORDERS, 0, 5, SMALL_OFFSETS)])
    assert not is_small_log_range(
        [OffsetRange(ORDERS, 0, 0, SMALL_OFFSETS), OffsetRange(USERS, 0, 0, 1)]
    )
    large = HivePartition(location="/d", rows=SMALL_ROWS, size=1)
    assert is_small_rewrite([{"d-1": large, "d-2": None}], 0)
    assert not is_small_rewrite([{"d-1": large}, {"d-2": None}], 1)
