"""Which tables a compaction refuses. How rows are rewritten is in tests of the merge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pytest

from schemas.logical_types import Column, plain
from schemas.manifest import (
    DdlPosition,
    DebeziumSnapshot,
    LaggingTopic,
    PublishedTable,
)
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedRanges, SnapshotRows
from spark.compactor.archived_changes import ArchivedChanges
from spark.compactor.cut_builder import CutBuilder
from spark.compactor.initial_snapshot import NO_SNAPSHOT_ROWS
from spark.compactor.rewritten_tables import refusals_of, refuse_unread, snapshot_after
from spark.merge.rewrite_task import RewriteResult
from spark.merge.table_change import TableChange
from spark.merge.version_builder import VersionBuilder
from tests.unit.spark.compactor.test_archived_changes import (
    ORDERS,
    USERS,
    UUID,
    FakeHistory,
    scan_of,
)

SNAPSHOT = DebeziumSnapshot(
    id="binlog.000002:4",
    version=3,
    transactions_end=10,
    tables=("orders", "user"),
    has_ended=True,
    is_superseded=True,
)
WHOLE = replace(SNAPSHOT, whole=True)


def change_of(
    source: Source, base: str | None = None, *archived: ArchivedRanges
) -> TableChange:
    return TableChange(
        source=source,
        columns=(Column("id", plain(pa.int64(), "bigint")),),
        key=("id",),
        schema_id=1,
        archived=archived,
        base=base,
    )


def table_of(source: Source, version: int = 2, snapshot: str = "") -> PublishedTable:
    return PublishedTable(
        topic=source.topic,
        kind=source.kind.value,
        columns=(("id", "bigint"),),
        key=("id",),
        partition_column=None,
        schema_id=1,
        version=version,
        gtid=f"{UUID}:1-9",
        snapshot=snapshot,
    )


@dataclass
class History(FakeHistory):
    """Tables that are removed."""

    removed: set[str] = field(default_factory=set)

    def removed_tables(self, changes: Iterable[TableChange]) -> set[str]:
        return self.removed

    def starts(self, changes: Iterable[TableChange]) -> dict[str, DdlPosition]:
        return {
            change.source.table: DdlPosition(7, change.source.table) for change in changes
        }


def archived_changes(
    *ranges: ArchivedRanges,
    tables: dict[str, PublishedTable] | None = None,
    snapshot: DebeziumSnapshot | None = SNAPSHOT,
    lagging: str = "",
    removed: Sequence[str] = (),
    refusals: dict[str, str] | None = None,
    connector_gtids: str | None = None,
) -> ArchivedChanges:
    scan = scan_of(10)
    previous = replace(
        scan.previous,
        tables=tables or {},
        snapshot=snapshot,
        lagging_topics={lagging: LaggingTopic(5, f"{UUID}:1-4")} if lagging else {},
    )
    return ArchivedChanges(
        scan=replace(
            scan,
            previous=previous,
            cut=CutBuilder(previous, scan.cut.log_range, {}),
            connector_gtids=connector_gtids,
        ),
        version=VersionBuilder(previous, "token", "/r"),
        ranges=list(ranges),
        history=History("", set(removed)),
        refusals=refusals or {},
        waiting_reasons=[],
        gap=None,
        has_more=False,
    )


BEFORE = {"orders": table_of(ORDERS, snapshot=SNAPSHOT.id), "user": table_of(USERS)}


def test_the_topics_of_tables_without_rows_in_a_whole_snapshot_are_refused() -> None:
    refusals = {USERS.topic: "no key"}
    refuse_unread(BEFORE, WHOLE, [], refusals)
    assert refusals == {USERS.topic: "no key"}, "the first reason remains"
    refusals = {}
    refuse_unread(BEFORE, WHOLE, [], refusals)
    assert refusals == {USERS.topic: NO_SNAPSHOT_ROWS}


def test_a_table_without_snapshot_rows_is_refused_also_under_its_new_name() -> None:
    refusals: dict[str, str] = {}
    renamed = Source("cdc.eCommerce.customer", "customer", Kind.CHANGES)
    refuse_unread(BEFORE, WHOLE, [change_of(renamed, "user")], refusals)
    assert refusals == dict.fromkeys([renamed.topic, USERS.topic], NO_SNAPSHOT_ROWS)


@pytest.mark.parametrize("snapshot", [None, SNAPSHOT], ids=["none", "not whole"])
def test_no_table_is_refused_before_a_snapshot_is_whole(
    snapshot: DebeziumSnapshot | None,
) -> None:
    refusals: dict[str, str] = {}
    refuse_unread(BEFORE, snapshot, [change_of(USERS, "user")], refusals)
    assert refusals == {}


def test_a_refused_rewriting_refuses_the_old_topic_of_a_renamed_table_too() -> None:
    renamed = change_of(ORDERS, "purchases", ArchivedRanges(source=USERS))
    refused = RewriteResult("orders", refusal="a value does not fit")
    assert refusals_of(refused, [renamed]) == dict.fromkeys(
        [ORDERS.topic, USERS.topic], "a value does not fit"
    )
    assert refusals_of(RewriteResult("orders"), [renamed]) == {}


@pytest.mark.parametrize(
    ("rows", "gtids", "is_cut_complete", "whole"),
    [
        ((), None, True, False),
        ((), f"{UUID}:1-9", True, True),
        ((), f"{UUID}:1-9", False, False),
        ((SnapshotRows(SNAPSHOT.id, (2, 4)),), f"{UUID}:1-9", True, False),
    ],
    ids=["point unknown", "Connect knows it", "not all taken", "rows come in"],
)
def test_a_snapshot_is_whole_when_its_point_is_known_and_all_of_it_is_archived(
    rows: tuple[SnapshotRows, ...], gtids: str | None, is_cut_complete: bool, whole: bool
) -> None:
    not_followed = replace(SNAPSHOT, is_superseded=False, transactions_end=99)
    ranges = [ArchivedRanges(source=ORDERS, snapshot=row) for row in rows]
    archived = archived_changes(*ranges, snapshot=not_followed, connector_gtids=gtids)
    if not is_cut_complete:
        archived.cut.shared_scope.selection = []
    snapshot = snapshot_after(archived)
    assert snapshot is not None
    assert snapshot.whole is whole


def test_there_is_no_snapshot_in_a_log_without_one() -> None:
    assert snapshot_after(archived_changes(snapshot=None)) is None
