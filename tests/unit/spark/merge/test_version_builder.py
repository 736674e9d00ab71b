"""How the next version follows from the one before."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from connectors.runtime.settings import Hdfs
from schemas.gtid import gtid_set
from schemas.hive import lake_tables
from schemas.logical_types import INSTANT, Column, plain
from schemas.manifest import (
    EMPTY_MANIFEST,
    HivePartition,
    LakeDay,
    LakeTable,
    Manifest,
    PartitionFile,
    PublishedTable,
)
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedFile, ArchivedRanges, RecordSummary
from spark.archive.small_files import MAX_FILES, RollUpResult
from spark.log.row_decoder import Contract
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.rewrite_task import ChangesToMerge, NewVersion, RewriteResult
from spark.merge.table_change import TableChange
from spark.merge.version_builder import VersionBuilder, files_by_day

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)
COLUMNS = (
    Column("id", plain(pa.int64(), "bigint")),
    Column("orderedAt", plain(INSTANT, "timestamp")),
)
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
HDFS = replace(Hdfs(), root="/r")
RANGES = (PartitionFile("a", 1, 1, 1, 1), PartitionFile("b", 1, 1, 2, 2))
OLD = HivePartition(location="/old", rows=2, size=2, ranges=RANGES)
TABLE = PublishedTable(
    topic=ORDERS.topic,
    kind="changes",
    columns=(("id", "bigint"),),
    key=("id",),
    partition_column="order_date",
    schema_id=1,
    version=3,
    gtid="",
    partitions={"d-1": OLD, "d-2": OLD},
    snapshot="b:1",
)
LAKE = f"/r/data_lake/{ORDERS.topic}/log_date=2026-07-01"
NEW_DAY = f"{LAKE}/v=4-token"


class Registry:
    """The columns behind schema ids: the higher the id, the more."""

    def contract(self, source: Source, schema_id: int) -> Contract:
        return Contract(COLUMNS[:schema_id])

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        raise AssertionError("no key is needed here")


def change(**more: Any) -> TableChange:
    known = TableChange(
        source=ORDERS,
        columns=COLUMNS,
        key=("id",),
        schema_id=2,
        archived=(archived("/a"),),
        snapshot="b:2",
        base="orders",
        periods=(SchemaPeriod("orders"),),
    )
    return replace(known, **more)


def archived(
    *paths: str, day: str = "2026-07-01", schema_id: int | None = 2, position: int = 1
) -> ArchivedRanges:
    files = [ArchivedFile(path, day, schema_id) for path in paths]
    summary = RecordSummary(schema_id=schema_id, position=(1, position, ""))
    return ArchivedRanges(source=ORDERS, files=files, summary=summary)


EMPTY = replace(EMPTY_MANIFEST, version=3)


def builder(previous: Manifest = EMPTY) -> VersionBuilder:
    return VersionBuilder(previous, "token", "/r")


PUBLISHED = replace(EMPTY_MANIFEST, version=3, tables={"orders": TABLE})


def test_a_version_has_the_next_number_and_a_staging_folder_of_its_token() -> None:
    version = builder()
    assert (version.version, version.staging) == (4, "/r/data_lake/_staging/token")
    assert builder(EMPTY_MANIFEST).version == 0


def test_a_change_continues_from_its_base_table() -> None:
    assert builder(PUBLISHED).base_table(change()) == TABLE
    assert builder(PUBLISHED).base_table(change(base=None)) is None
    assert builder(PUBLISHED).base_table(change(base="other")) is None


# Rewriting


@pytest.mark.parametrize(
    ("in_threads", "shares", "threads"),
    [(True, [["d-1", "d-2", "d-3"]], 2), (False, [["d-1", "d-3"], ["d-2"]], 1)],
    ids=["one task with threads", "one task per slot of the cluster"],
)
def test_partitions_are_rewritten_by_threads_or_by_tasks(
    in_threads: bool, shares: list[list[str]], threads: int
) -> None:
    partitions = {"d-1": OLD, "d-2": None, "d-3": OLD}
    merged = {"orders": gtid_set(f"{UUID}:1-3")}
    tasks = builder(PUBLISHED).rewrite_tasks(
        change(), partitions, merged, HDFS, parallelism=2, in_threads=in_threads
    )
    assert [list(task.partitions) for task in tasks] == shares
    for task in tasks:
        assert task.threads == threads
        assert task.table == change().definition
        assert task.target == NewVersion(4, "token", "/r/data_lake/_staging/token")
        assert task.changes == ChangesToMerge(
            {"orders": ("/a",)}, (SchemaPeriod("orders"),), merged, snapshot="b:1"
        )


def test_a_new_table_has_no_snapshot_of_its_own_yet() -> None:
    (task,) = builder().rewrite_tasks(
        change(base=None), {"d-1": None}, {}, HDFS, parallelism=2, in_threads=True
    )
    assert task.changes.snapshot == ""


@pytest.mark.parametrize(("key", "ranges"), [(("id",), RANGES), (("name", "id"), ())])
def test_files_with_ranges_of_another_key_column_are_rewritten_whole(
    key: tuple[str, ...], ranges: tuple[PartitionFile, ...]
) -> None:
    (task,) = builder(PUBLISHED).rewrite_tasks(
        change(key=key), {"d-1": OLD, "d-2": None}, {}, HDFS, parallelism=1, in_threads=True
    )
    assert task.partitions == {"d-1": replace(OLD, ranges=ranges), "d-2": None}


def test_no_partitions_need_no_task() -> None:
    assert not builder().rewrite_tasks(
        change(), {}, {}, HDFS, parallelism=2, in_threads=False
    )


NEW = HivePartition(location="/new", rows=1, size=1)


@pytest.mark.parametrize(
    ("results", "partitions"),
    [
        ([], {"d-1": OLD, "d-2": OLD}),
        ([RewriteResult("orders", {"d-1": NEW})], {"d-1": NEW, "d-2": OLD}),
        (
            [RewriteResult("orders", {"d-1": None}), RewriteResult("orders", {"d-3": NEW})],
            {"d-2": OLD, "d-3": NEW},
        ),
        ([RewriteResult("user", {"d-1": None})], {"d-1": OLD, "d-2": OLD}),
        ([RewriteResult("orders", {"d-9": None})], {"d-1": OLD, "d-2": OLD}),
    ],
    ids=[
        "nothing differs",
        "replaced",
        "emptied, and new",
        "of another table",
        "never there",
    ],
)
def test_the_next_table_has_the_rewritten_partitions_in_place_of_the_old_ones(
    results: list[RewriteResult], partitions: dict[str, HivePartition]
) -> None:
    assert builder(PUBLISHED).next_table(change(), results, "gtid") == PublishedTable(
        topic=ORDERS.topic,
        kind="changes",
        columns=(("id", "bigint"), ("orderedAt", "timestamp")),
        key=("id",),
        partition_column="order_date",
        schema_id=2,
        version=4,
        gtid="gtid",
        partitions=partitions,
        snapshot="b:2",
    )


def test_a_new_table_has_only_its_new_partitions() -> None:
    table = builder(PUBLISHED).next_table(
        change(base=None), [RewriteResult("orders", {"d-1": NEW})], "gtid"
    )
    assert table.partitions == {"d-1": NEW}


def test_the_previous_version_stays_as_it_is() -> None:
    builder(PUBLISHED).next_table(
        change(), [RewriteResult("orders", {"d-1": None})], "gtid"
    )
    assert PUBLISHED.tables["orders"].partitions == {"d-1": OLD, "d-2": OLD}


# The archive


def with_day(files: int) -> Manifest:
    archive = LakeTable(ORDERS.topic, (), {"2026-07-01": LakeDay(LAKE, files)})
    return replace(PUBLISHED, archives={"orders": archive})


@pytest.mark.parametrize(
    ("files", "new_files", "is_rolled_up"),
    [(MAX_FILES - 1, 1, False), (MAX_FILES, 1, True), (MAX_FILES - 1, 2, True)],
)
def test_a_day_is_rolled_up_once_it_would_have_too_many_files(
    files: int, new_files: int, is_rolled_up: bool
) -> None:
    paths = [f"/staged/{number}" for number in range(new_files)]
    tasks = builder(with_day(files)).roll_up_tasks([archived(*paths)], HDFS)
    assert bool(tasks) is is_rolled_up
    for task in tasks:
        assert (task.table, task.day, task.location) == ("orders", "2026-07-01", LAKE)
        assert (task.further_files, task.target) == (tuple(paths), NEW_DAY)


def test_a_day_without_files_is_never_rolled_up() -> None:
    paths = [f"/staged/{number}" for number in range(MAX_FILES + 1)]
    assert builder().roll_up_tasks([archived(*paths)], HDFS) == []


def test_new_files_of_a_day_join_its_folder_after_the_commit() -> None:
    archives, arrivals = builder(with_day(3)).next_archives(
        [archived("/staged/a", "/staged/b")], [], Registry()
    )
    assert archives["orders"].days == {"2026-07-01": LakeDay(LAKE, 5)}
    assert arrivals == [("/staged/a", f"{LAKE}/a"), ("/staged/b", f"{LAKE}/b")]


def test_a_new_day_has_a_folder_of_its_version() -> None:
    archives, arrivals = builder().next_archives([archived("/staged/a")], [], Registry())
    assert archives["orders"].topic == ORDERS.topic
    assert archives["orders"].days == {"2026-07-01": LakeDay(NEW_DAY, 1)}
    assert arrivals == [("/staged/a", f"{NEW_DAY}/a")]


def test_a_rolled_up_day_has_its_new_folder_and_nothing_to_move() -> None:
    rolled_up = RollUpResult("orders", "2026-07-01", NEW_DAY, 2)
    archives, arrivals = builder(with_day(MAX_FILES)).next_archives(
        [archived("/staged/a")], [rolled_up], Registry()
    )
    assert (archives["orders"].days, arrivals) == ({"2026-07-01": LakeDay(NEW_DAY, 2)}, [])


def test_other_days_of_the_archive_stay() -> None:
    archives, _ = builder(with_day(3)).next_archives(
        [archived("/staged/a", day="2026-07-02")], [], Registry()
    )
    assert set(archives["orders"].days) == {"2026-07-01", "2026-07-02"}
    assert archives["orders"].days["2026-07-01"] == LakeDay(LAKE, 3)


def test_a_lake_table_has_the_columns_of_the_last_change_in_the_binlog() -> None:
    ranges = [
        archived("/staged/a", schema_id=2, position=9),
        archived("/staged/b", schema_id=1, position=5),
        archived("/staged/c", schema_id=None, position=10),
    ]
    archives, _ = builder().next_archives(ranges, [], Registry())
    expected = lake_tables.hive_columns(Kind.CHANGES, COLUMNS[:2])
    assert archives["orders"].columns == expected


def test_an_archive_of_undecoded_records_has_no_row_columns() -> None:
    archives, _ = builder().next_archives(
        [archived("/staged/a", schema_id=None)], [], Registry()
    )
    assert archives["orders"].columns == lake_tables.hive_columns(Kind.CHANGES, None)


def test_files_are_grouped_by_topic_and_day() -> None:
    clicks = replace(archived("/c"), source=CLICKS)
    groups = files_by_day(
        [archived("/a"), clicks, archived("/b"), archived("/d", day="2026-07-02")]
    )
    assert {key: [file.path for file in files] for key, files in groups.items()} == {
        (ORDERS, "2026-07-01"): ["/a", "/b"],
        (CLICKS, "2026-07-01"): ["/c"],
        (ORDERS, "2026-07-02"): ["/d"],
    }
