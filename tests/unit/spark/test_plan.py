"""What one compaction has to do."""

from dataclasses import replace

import pyarrow as pa
import pytest

from connectors.kafka import Range
from infra.errors import WarehouseError
from schemas.logical import INSTANT, Column, plain
from schemas.warehouse import WHOLE, Kind, Source
from spark.archive import Archived
from spark.log_reader import Reading
from spark.manifest import NOTHING, HivePartition, Table
from spark.plan import (
    MOST_OFFSETS,
    SMALL_OFFSETS,
    SMALL_ROWS,
    TableChange,
    few_records,
    few_rows,
    next_offsets,
    readings,
    share,
    split_evenly,
)
from spark.spans import KeySpan

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)
COLUMNS = (Column("order_id", plain(pa.int64(), "bigint")), Column("orderedAt", plain(INSTANT, "timestamp")))
COMMITTED = replace(NOTHING, version=3, offsets={ORDERS.topic: {0: 100}})


def test_only_what_is_new_and_stable_is_read() -> None:
    log = {(ORDERS.topic, 0): Range(0, 150, 180), (USERS.topic, 0): Range(0, 20, 20)}
    assert readings(COMMITTED, [ORDERS, USERS], log) == [Reading(ORDERS, 0, 100, 150), Reading(USERS, 0, 0, 20)]
    assert readings(COMMITTED, [ORDERS], {(ORDERS.topic, 0): Range(0, 100, 180)}) == []


def test_a_long_backlog_of_facts_is_taken_in_parts() -> None:
    (reading,) = readings(NOTHING, [CLICKS], {(CLICKS.topic, 0): Range(0, 3 * MOST_OFFSETS, 3 * MOST_OFFSETS)})
    assert reading.length == MOST_OFFSETS


def test_records_that_are_gone_before_they_were_read_stop_publishing_and_are_named() -> None:
    with pytest.raises(WarehouseError, match=r"cdc.eCommerce.orders\[0\] begins at offset 120: records 100 to 119 are gone"):
        readings(COMMITTED, [ORDERS], {(ORDERS.topic, 0): Range(120, 150, 150)})
    with pytest.raises(WarehouseError, match="records 0 to 4 are gone"):
        readings(NOTHING, [USERS], {(USERS.topic, 0): Range(5, 9, 9)})


def test_a_topic_that_was_made_anew_stops_publishing() -> None:
    with pytest.raises(WarehouseError, match="made anew"):
        readings(COMMITTED, [ORDERS], {(ORDERS.topic, 0): Range(0, 7, 7)})


def test_ranges_are_shared_evenly_and_the_short_ones_of_a_topic_stay_together() -> None:
    ranges = [Reading(ORDERS, number, 0, length) for number, length in enumerate((10, 90_000, 20, 80_000))] + [Reading(USERS, 0, 0, 30)]
    hands = [{(reading.source.table, reading.partition) for reading in hand} for hand in share(ranges, 2)]
    assert hands == [{("orders", 1)}, {("orders", 3), ("orders", 0), ("orders", 2), ("user", 0)}]


def test_the_next_compaction_begins_where_this_one_ended() -> None:
    done = [Archived(ORDERS, (Reading(ORDERS, 0, 100, 150),)), Archived(USERS, (Reading(USERS, 0, 0, 20),))]
    assert next_offsets(COMMITTED, done) == {ORDERS.topic: {0: 150}, USERS.topic: {0: 20}}
    assert COMMITTED.offsets == {ORDERS.topic: {0: 100}}


def change(source: Source = ORDERS, **said: object) -> TableChange:
    return TableChange(source, COLUMNS, ("order_id",), 1, (Archived(source, (Reading(source, 0, 0, 1),), **said),))  # type: ignore[arg-type]


def table(**days: tuple[int, int]) -> Table:
    partitions = {day.replace("_", "-"): HivePartition(f"/{day}", 1, 1, *keys) for day, keys in days.items()}
    return Table("cdc.eCommerce.orders", "changes", (), ("order_id",), "order_date", 1, 0, "", partitions)


THREE_DAYS = table(d_1=(1, 10), d_2=(8, 20), d_3=(21, 30))


def test_only_the_days_that_changes_name_are_rewritten() -> None:
    assert change(hive_partitions={"d-2", "d-4"}).concerned(THREE_DAYS) == {"d-2": THREE_DAYS.partitions["d-2"], "d-4": None}


def test_a_new_order_looks_into_no_other_day_if_its_number_is_higher_than_all() -> None:
    assert change(hive_partitions={"d-3"}, unplaced=KeySpan(31, 35)).concerned(THREE_DAYS) == {"d-3": THREE_DAYS.partitions["d-3"]}


def test_a_row_that_comes_without_its_old_one_is_looked_for_where_it_may_be() -> None:
    assert list(change(hive_partitions={"d-3"}, unplaced=KeySpan(9, 9)).concerned(THREE_DAYS)) == ["d-1", "d-2", "d-3"]
    assert list(change(hive_partitions={"d-3"}, unplaced=KeySpan()).concerned(THREE_DAYS)) == ["d-1", "d-2", "d-3"]


def test_a_truncate_concerns_every_day() -> None:
    assert list(change(truncated=True).concerned(THREE_DAYS)) == ["d-1", "d-2", "d-3"]


def test_a_table_that_is_not_cut_is_rewritten_whole() -> None:
    assert change(USERS).concerned(None) == {WHOLE: None}


def test_hive_partitions_are_shared_between_tasks() -> None:
    assert split_evenly({"a": None, "b": None, "c": None}, 2) == [{"a": None, "c": None}, {"b": None}]
    assert split_evenly({}, 2) == []


def test_a_spark_job_is_for_much_work_only() -> None:
    assert few_records([Reading(ORDERS, 0, 5, SMALL_OFFSETS)])
    assert not few_records([Reading(ORDERS, 0, 0, SMALL_OFFSETS), Reading(USERS, 0, 0, 1)])
    large = HivePartition("/d", SMALL_ROWS, 1)
    assert few_rows([{"d-1": large, "d-2": None}], 0)
    assert not few_rows([{"d-1": large}, {"d-2": None}], 1)
