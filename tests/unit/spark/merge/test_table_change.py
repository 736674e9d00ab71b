"""Which Hive partitions new records touch."""

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from schemas.logical_types import INSTANT, Column, plain
from schemas.manifest import HivePartition, PublishedTable
from schemas.warehouse_layout import WHOLE, Kind, Source
from spark.archive.archived_ranges import ArchivedFile, ArchivedRanges, RecordSummary
from spark.log.range_reader import OffsetRange
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.table_change import TableChange, split_evenly
from spark.storage.key_bounds import KeySpan

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)
COLUMNS = (
    Column("order_id", plain(pa.int64(), "bigint")),
    Column("orderedAt", plain(INSTANT, "timestamp")),
)


def change(
    source: Source = ORDERS,
    hive_partitions: Iterable[str] = (),
    unplaced_keys: KeySpan | None = None,
    is_truncated: bool = False,
) -> TableChange:
    summary = RecordSummary(
        hive_partitions=set(hive_partitions),
        unplaced_keys=unplaced_keys,
        is_truncated=is_truncated,
    )
    archived = ArchivedRanges(
        source=source, ranges=(OffsetRange(source, 0, 0, 1),), summary=summary
    )
    return TableChange(
        source=source, columns=COLUMNS, key=("order_id",), schema_id=1, archived=(archived,)
    )


def table(**days: tuple[int, int]) -> PublishedTable:
    partitions = {}
    for day, (lowest_key, highest_key) in days.items():
        partitions[day.replace("_", "-")] = HivePartition(
            location=f"/{day}",
            rows=1,
            size=1,
            lowest_key=lowest_key,
            highest_key=highest_key,
        )
    return PublishedTable(
        topic="cdc.eCommerce.orders",
        kind="changes",
        columns=(),
        key=("order_id",),
        partition_column="order_date",
        schema_id=1,
        version=0,
        gtid="",
        partitions=partitions,
    )


THREE_DAYS = table(d_1=(1, 10), d_2=(8, 20), d_3=(21, 30))


def test_only_the_days_that_changes_name_are_rewritten() -> None:
    assert change(hive_partitions={"d-2", "d-4"}).touched_partitions(THREE_DAYS) == {
        "d-2": THREE_DAYS.partitions["d-2"],
        "d-4": None,
    }


def test_a_new_order_looks_into_no_other_day_if_its_number_is_higher_than_all() -> None:
    assert change(
        hive_partitions={"d-3"}, unplaced_keys=KeySpan(31, 35)
    ).touched_partitions(THREE_DAYS) == {"d-3": THREE_DAYS.partitions["d-3"]}


def test_a_row_that_comes_without_its_old_one_is_looked_for_where_it_may_be() -> None:
    assert list(
        change(hive_partitions={"d-3"}, unplaced_keys=KeySpan(9, 9)).touched_partitions(
            THREE_DAYS
        )
    ) == [
        "d-1",
        "d-2",
        "d-3",
    ]
    assert list(
        change(hive_partitions={"d-3"}, unplaced_keys=KeySpan()).touched_partitions(
            THREE_DAYS
        )
    ) == [
        "d-1",
        "d-2",
        "d-3",
    ]


def test_a_truncate_concerns_every_day() -> None:
    assert list(change(is_truncated=True).touched_partitions(THREE_DAYS)) == [
        "d-1",
        "d-2",
        "d-3",
    ]


def test_a_table_that_is_not_cut_is_rewritten_whole() -> None:
    assert change(USERS).touched_partitions(None) == {WHOLE: None}


def test_hive_partitions_are_shared_between_tasks() -> None:
    assert split_evenly({"a": None, "b": None, "c": None}, 2) == [
        {"a": None, "c": None},
        {"b": None},
    ]
    assert split_evenly({}, 2) == []


def test_another_snapshot_and_a_statement_concern_every_day() -> None:
    days = ["d-1", "d-2", "d-3"]
    assert list(replace(change(), snapshot="b:1").touched_partitions(THREE_DAYS)) == days
    periods = (SchemaPeriod("orders", until=(1, 5)), SchemaPeriod("orders", after=(1, 5)))
    assert list(replace(change(), periods=periods).touched_partitions(THREE_DAYS)) == days
    assert list(change().touched_partitions(THREE_DAYS)) == []


def test_a_change_has_the_readable_files_of_each_name_that_its_table_had() -> None:
    person = Source("cdc.eCommerce.person", "person", Kind.CHANGES)
    archived = (
        ArchivedRanges(source=person, files=[ArchivedFile("/a", "d", 1)]),
        ArchivedRanges(
            source=USERS, files=[ArchivedFile("/b", "d", 2), ArchivedFile("/x", "d", None)]
        ),
        ArchivedRanges(source=USERS, files=[ArchivedFile("/c", "d", 2)]),
    )
    renamed = replace(change(USERS), archived=archived)
    assert renamed.files == {"person": ("/a",), "user": ("/b", "/c")}
    clicks = ArchivedRanges(source=CLICKS, files=[ArchivedFile("/d", "d", 3)])
    assert replace(change(CLICKS), archived=(clicks,)).files == {"productview": ("/d",)}


def test_the_definition_of_a_table_has_its_columns_key_and_partitioning() -> None:
    definition = change().definition
    assert definition.name == "orders"
    assert definition.schema.names == ["order_id", "orderedAt"]
    assert definition.partitioning is not None
    assert definition.partitioning.hive_column == "order_date"
