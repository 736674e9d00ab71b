"""What the manifest of the next version says, from the values of a compaction."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from schemas import topics
from schemas.manifest import (
    DdlPosition,
    DebeziumSnapshot,
    HivePartition,
    Manifest,
    PublishedTable,
    TableBase,
)
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedRanges
from spark.compactor.archived_changes import ArchivedChanges
from spark.compactor.next_manifest import next_manifest
from spark.compactor.rewritten_tables import RewrittenTables
from spark.log.range_reader import OffsetRange
from spark.log.row_decoder import RowDecoder
from spark.merge.rewrite_task import RewriteResult
from spark.merge.table_change import TableChange
from tests.unit.spark.compactor.test_archived_changes import ORDERS, USERS, UUID
from tests.unit.spark.compactor.test_rewritten_tables import (
    SNAPSHOT,
    WHOLE,
    archived_changes,
    change_of,
    table_of,
)

NO_DECODER = cast(RowDecoder, None)  # no archived range has a schema here
AT = datetime(2026, 11, 26, 12, 0, 1, 234_567, tzinfo=UTC)
OLD = HivePartition(location="/w/orders/v=3", rows=5, size=1)
NEW = HivePartition(location="/w/orders/v=4", rows=6, size=1)


def table_with(source: Source, partition: HivePartition) -> PublishedTable:
    return replace(table_of(source), partitions={"": partition})


def ranges_of(source: Source, end: int, records: int, **unreadable: int) -> ArchivedRanges:
    return ArchivedRanges(
        source=source,
        ranges=(OffsetRange(source, 0, 0, end),),
        records=records,
        unreadable=unreadable,
    )


def rewritten(
    archived: ArchivedChanges,
    *changes: TableChange,
    results: tuple[RewriteResult, ...] = (),
    snapshot: DebeziumSnapshot | None = None,
    refusals: dict[str, str] | None = None,
) -> RewrittenTables:
    return RewrittenTables(
        archived_changes=archived,
        snapshot=snapshot,
        changes=list(changes),
        results=list(results),
        roll_ups=[],
        refusals=refusals or {},
    )


def manifest_of(tables: RewrittenTables) -> Manifest:
    manifest = next_manifest(tables, NO_DECODER, AT, tables.previous)
    assert manifest is not None
    return manifest


TABLES = {"orders": table_with(ORDERS, OLD), "user": table_of(USERS)}
MERGED = RewriteResult("orders", {"": NEW}, arrivals=[("/staged", "/there")])


def test_a_changed_table_has_its_new_files_and_the_transactions_of_the_version() -> None:
    archived = archived_changes(
        ranges_of(ORDERS, 50, 3, poison=2), tables=TABLES, snapshot=None
    )
    manifest = manifest_of(
        rewritten(archived, change_of(ORDERS, "orders"), results=(MERGED,))
    )
    assert (manifest.version, manifest.previous, manifest.owner) == (4, 3, "token")
    assert manifest.created_at == "2026-11-26T12:00:01.234+00:00"
    assert (manifest.gtid, manifest.transactions) == (f"{UUID}:1-10", f"{UUID}:1-10")
    assert manifest.tables["orders"].partitions == {"": NEW}
    assert (manifest.tables["orders"].version, manifest.tables["orders"].gtid) == (
        4,
        f"{UUID}:1-10",
    )
    assert manifest.tables["user"] == TABLES["user"]
    assert (manifest.changes, manifest.offsets[ORDERS.topic]) == (3, {0: 50})
    assert manifest.offsets[topics.TRANSACTIONS] == {0: 10}
    assert manifest.unreadable_records == {ORDERS.topic: 2}
    assert manifest.arrivals == (("/staged", "/there"),)
    assert manifest.replaced_folders == (OLD.location,)
    assert manifest.ddl_positions == {"orders": DdlPosition(7, "orders")}


def test_there_is_no_version_without_news() -> None:
    archived = archived_changes(ranges_of(ORDERS, 50, 0), tables=TABLES, snapshot=SNAPSHOT)
    tables = rewritten(archived, snapshot=SNAPSHOT)
    assert next_manifest(tables, NO_DECODER, AT, tables.previous) is None


def test_a_snapshot_that_becomes_whole_is_news_and_its_transactions_are_in_every_gtid() -> (
    None
):
    archived = archived_changes(tables=TABLES, connector_gtids=f"{UUID}:1-12")
    manifest = manifest_of(
        rewritten(archived, change_of(ORDERS, "orders"), results=(MERGED,), snapshot=WHOLE)
    )
    assert manifest.snapshot == WHOLE
    assert manifest.snapshot_transactions == f"{UUID}:1-12"
    assert (manifest.gtid, manifest.transactions) == (f"{UUID}:1-12", f"{UUID}:1-10")
    assert manifest.tables["orders"].gtid == f"{UUID}:1-12"
    archived = archived_changes(
        ranges_of(ORDERS, 50, 1), tables=TABLES, connector_gtids="x"
    )
    manifest = manifest_of(rewritten(archived, snapshot=SNAPSHOT))
    assert manifest.snapshot_transactions == "", (
        "while nothing of it changes, Connect is not asked"
    )


def test_a_refused_topic_is_left_where_it_was_and_read_again_from_there() -> None:
    archived = archived_changes(
        ranges_of(ORDERS, 50, 3), ranges_of(USERS, 40, 2), tables=TABLES, snapshot=None
    )
    refusals = {ORDERS.topic: "a value does not fit"}
    manifest = manifest_of(rewritten(archived, results=(MERGED,), refusals=refusals))
    assert (manifest.changes, manifest.arrivals) == (2, ())
    assert ORDERS.topic not in manifest.offsets
    assert manifest.offsets[USERS.topic] == {0: 40}
    assert manifest.tables["orders"] == TABLES["orders"]
    lagging = manifest.lagging_topics[ORDERS.topic]
    assert (lagging.offset, lagging.transactions) == (10, f"{UUID}:1-9")


def test_a_lagging_topics_table_says_which_transactions_it_holds() -> None:
    archived = archived_changes(
        ranges_of(ORDERS, 50, 3), tables=TABLES, snapshot=None, lagging=ORDERS.topic
    )
    manifest = manifest_of(
        rewritten(archived, change_of(ORDERS, "orders"), results=(MERGED,))
    )
    assert manifest.tables["orders"].gtid == f"{UUID}:1-4"
    assert manifest.gtid == f"{UUID}:1-10"


def test_a_truncate_counts_among_the_transactions_though_nothing_else_ended() -> None:
    emptied = replace(ranges_of(ORDERS, 50, 1), truncate_gtids={f"{UUID}:11"})
    archived = archived_changes(emptied, tables=TABLES, snapshot=None)
    assert manifest_of(rewritten(archived)).gtid == f"{UUID}:1-11"


def test_a_dropped_table_is_news_and_a_renamed_one_is_dropped_under_its_old_name_only() -> (
    None
):
    archived = archived_changes(tables=TABLES, snapshot=None, removed=["orders"])
    manifest = manifest_of(rewritten(archived))
    assert (set(manifest.tables), manifest.dropped_tables) == ({"user"}, ("orders",))
    assert manifest.replaced_folders == (OLD.location,)
    purchases = Source("cdc.eCommerce.purchases", "purchases", Kind.CHANGES)
    renamed = change_of(purchases, "orders")
    manifest = manifest_of(rewritten(archived, renamed))
    assert manifest.tables["purchases"].partitions == {"": OLD}, "over the same files"
    assert (manifest.dropped_tables, manifest.replaced_folders) == (("orders",), ())


def test_a_table_dropped_and_created_again_in_one_version_is_not_dropped_from_hive() -> (
    None
):
    archived = archived_changes(tables=TABLES, snapshot=None, removed=["orders"])
    manifest = manifest_of(rewritten(archived, change_of(ORDERS), results=(MERGED,)))
    assert manifest.tables["orders"].partitions == {"": NEW}
    assert manifest.dropped_tables == ()


def test_a_table_that_was_read_again_is_news_with_its_own_files() -> None:
    archived = archived_changes(tables=TABLES, snapshot=None)
    read = replace(TABLES["user"], version=4, partitions={"": NEW})
    base = TableBase(
        topic=USERS.topic,
        gtids=f"{UUID}:1-9",
        position=(1, 9),
        read_at="",
        partitions={"": NEW},
    )
    scan = archived.scan
    adopted = replace(scan.previous, tables={**TABLES, "user": read}, bases={"user": base})
    archived = replace(archived, scan=replace(scan, previous=adopted))
    manifest = next_manifest(rewritten(archived), NO_DECODER, AT, scan.previous)
    assert manifest is not None
    assert manifest.tables["user"].partitions == {"": NEW}
    assert manifest.tables["user"].gtid == manifest.gtid, "it is at the cut of the version"
    assert manifest.bases == {"user": base}


def test_a_table_that_mysql_no_longer_has_is_dropped() -> None:
    archived = archived_changes(tables=TABLES, snapshot=None)
    scan = archived.scan
    adopted = replace(scan.previous, tables={"user": TABLES["user"]})
    archived = replace(archived, scan=replace(scan, previous=adopted))
    manifest = next_manifest(rewritten(archived), NO_DECODER, AT, scan.previous)
    assert manifest is not None
    assert (set(manifest.tables), manifest.dropped_tables) == ({"user"}, ("orders",))
    assert manifest.replaced_folders == (OLD.location,)


def test_a_topic_that_begins_to_lag_behind_is_news() -> None:
    archived = archived_changes(tables=TABLES, snapshot=None)
    refusals = {ORDERS.topic: "its table is read again"}
    assert (
        ORDERS.topic in manifest_of(rewritten(archived, refusals=refusals)).lagging_topics
    )
