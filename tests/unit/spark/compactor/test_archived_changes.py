"""Archiving up to the cut: what is not complete leaves the cut, and is archived again without."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from connectors.kafka.client import Watermarks
from schemas import topics
from schemas.ddl.statements import Position
from schemas.errors import Unavailable
from schemas.gtid import gtid_set
from schemas.manifest import EMPTY_MANIFEST, DdlPosition
from schemas.topics import change_topic
from schemas.warehouse_layout import TRANSACTION_TABLE, Kind, Source
from spark.archive.archived_ranges import ArchivedRanges, SnapshotRows
from spark.compactor.archived_changes import (
    MOST_ATTEMPTS,
    ArchivedChanges,
    History,
    archive_changes,
    topics_to_repeat,
)
from spark.compactor.cut_builder import SHARED, CutBuilder, TransactionLogRange
from spark.compactor.log_scan import LogScan
from spark.log.consistent_cut import PartitionChanges
from spark.log.range_reader import OffsetRange
from spark.log.transactions import TransactionRecords
from spark.merge.table_change import TableChange
from spark.merge.version_builder import VersionBuilder

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)
OBSOLETE = {ORDERS.topic: (2, 400)}


def gtid(number: int) -> str:
    return f"{UUID}:{number}"


def end_records(numbers: Iterable[int]) -> TransactionRecords:
    """Transactions with one change of an order and one of a user each."""
    counts = [
        {"data_collection": "eCommerce.orders", "event_count": 1},
        {"data_collection": "eCommerce.user", "event_count": 1},
    ]
    return [
        (number, {"status": "END", "id": gtid(number), "data_collections": counts})
        for number in numbers
    ]


def scan_of(*numbers: int) -> LogScan:
    """A scan after transactions 1 to 9 that finds further ones."""
    previous = replace(
        EMPTY_MANIFEST,
        version=3,
        transactions=f"{UUID}:1-9",
        offsets={topics.TRANSACTIONS: {0: 10}},
    )
    log_range = TransactionLogRange(end_records(numbers), 10, max(numbers) + 1)
    sources = (ORDERS, USERS, CLICKS)
    watermarks = {(source.topic, 0): Watermarks(0, 50, 50) for source in sources}
    return LogScan(
        previous=previous,
        ranges=[OffsetRange(source, 0, 0, 50) for source in sources],
        cut=CutBuilder(previous, log_range, {}),
        watermarks=watermarks,
        connector_gtids=None,
    )


@dataclass
class FakeHistory:
    """The statements about tables: none, but records of a dropped table."""

    last_transactions: str

    def obsolete_positions(self) -> dict[str, Position]:
        return OBSOLETE

    def changes(
        self, archived: Sequence[ArchivedRanges], refused: dict[str, str]
    ) -> list[TableChange]:
        raise AssertionError("nothing is merged here")

    def removed_tables(self, changes: Iterable[TableChange]) -> set[str]:
        raise AssertionError("nothing is merged here")

    def starts(self, changes: Iterable[TableChange]) -> dict[str, DdlPosition]:
        raise AssertionError("nothing is merged here")


@dataclass
class Histories:
    """Counts how often a history is built, and up to which transactions."""

    built: list[str] = field(default_factory=list)

    def history(self, scan: LogScan) -> History:
        self.built.append(
            str(gtid_set(",".join(sorted(scan.cut.shared_scope.allowed().new))))
        )
        return FakeHistory(self.built[-1])


@dataclass
class FakeArchiver:
    """Holds, for each topic, the transactions with a change in it; reads those that are allowed.

    Before each read, the topic loses so many of its last transactions as `losses` says.
    """

    held: dict[str, list[int]]
    refusals: dict[str, str] = field(default_factory=dict)
    truncates: dict[str, set[str]] = field(default_factory=dict)
    full: bool = False
    losses: int = 0
    reads: list[list[str]] = field(default_factory=list)

    def archive(
        self,
        scan: LogScan,
        version: VersionBuilder,
        ranges: Sequence[OffsetRange],
        obsolete_positions: Mapping[str, Position],
    ) -> list[ArchivedRanges]:
        assert obsolete_positions == OBSOLETE
        self.reads.append([read.source.table for read in ranges])
        allowed = scan.allowed(ranges)
        archived = []
        for read in ranges:
            topic = read.source.topic
            numbers = self.held.get(topic, [])
            del numbers[len(numbers) - self.losses :]
            changes: dict[str, int] = {}
            is_beyond = False
            for number in numbers:
                if not allowed[topic].includes(gtid(number)):
                    is_beyond = True
                    break
                changes[gtid(number)] = 1
            partition = PartitionChanges(changes, is_beyond=is_beyond, is_full=self.full)
            archived.append(
                ArchivedRanges(
                    source=read.source,
                    ranges=(read,),
                    refusal=self.refusals.get(topic),
                    partition_changes=[]
                    if read.source.kind is Kind.TRANSACTIONS
                    else [partition],
                    truncate_gtids=self.truncates.get(topic, set()),
                )
            )
        return archived


def archive(
    scan: LogScan, archiver: FakeArchiver, histories: Histories | None = None
) -> ArchivedChanges:
    version = VersionBuilder(scan.previous, "token", "/r")
    return archive_changes(scan, version, archiver, histories or Histories())


def tables(archived: ArchivedChanges) -> list[str]:
    return sorted(one.source.table for one in archived.ranges)


def test_a_complete_cut_is_archived_in_one_pass_and_the_history_of_the_tables_is_built_once() -> (
    None
):
    archiver = FakeArchiver({ORDERS.topic: [10, 11], USERS.topic: [10, 11]})
    histories = Histories()
    archived = archive(scan_of(10, 11), archiver, histories)
    assert archiver.reads == [["transaction", "orders", "user", "productview"]]
    assert histories.built == [f"{UUID}:10-11"]
    assert tables(archived) == ["orders", "productview", "transaction", "user"]
    assert (archived.refusals, archived.gap, archived.has_more) == ({}, None, False)
    assert str(archived.cut.transactions({})) == f"{UUID}:1-11"


def test_an_incomplete_transaction_leaves_the_cut_and_topics_with_its_changes_are_repeated() -> (
    None
):
    archiver = FakeArchiver({ORDERS.topic: [10, 11], USERS.topic: [10]})
    histories = Histories()
    archived = archive(scan_of(10, 11), archiver, histories)
    assert archiver.reads[1:] == [["transaction", "orders"]]
    assert [
        one.ranges[0].end for one in archived.ranges if one.source.table == "transaction"
    ] == [11]
    assert histories.built == [f"{UUID}:10-11", f"{UUID}:10"], (
        "statements end at the smaller cut"
    )
    assert archived.gap is not None
    assert (archived.gap.gtid, archived.gap.topic) == (gtid(11), USERS.topic)
    assert str(archived.cut.transactions({})) == f"{UUID}:1-10"


def test_a_topic_that_lost_changes_is_refused_and_the_others_keep_their_transactions() -> (
    None
):
    archiver = FakeArchiver({ORDERS.topic: [10, 12], USERS.topic: [10, 11, 12]})
    archived = archive(scan_of(10, 11, 12), archiver)
    assert list(archived.refusals) == [ORDERS.topic]
    assert f"transaction {gtid(11)} has 1 changes in" in archived.refusals[ORDERS.topic]
    assert tables(archived) == ["productview", "transaction", "user"]
    assert str(archived.cut.transactions({})) == f"{UUID}:1-12"


def test_a_topic_that_cannot_be_decoded_is_refused_with_its_reason_and_blocks_nobody() -> (
    None
):
    archiver = FakeArchiver(
        {ORDERS.topic: [], USERS.topic: [10]}, refusals={ORDERS.topic: "no primary key"}
    )
    archived = archive(scan_of(10), archiver)
    assert archived.refusals == {ORDERS.topic: "no primary key"}
    assert tables(archived) == ["productview", "transaction", "user"]
    assert archived.gap is None


def test_a_log_that_loses_records_while_it_is_read_stops_the_compaction() -> None:
    numbers = range(10, 30)
    archiver = FakeArchiver(
        {ORDERS.topic: list(numbers), USERS.topic: list(numbers)}, losses=5
    )
    archiver.held[USERS.topic].pop()
    with pytest.raises(Unavailable, match="the log changes while it is read"):
        archive(scan_of(*numbers), archiver)
    assert len(archiver.reads) == MOST_ATTEMPTS


def test_behind_the_rest_of_a_snapshot_nothing_counts_as_missing() -> None:
    archiver = FakeArchiver({ORDERS.topic: [], USERS.topic: []}, full=True)
    archived = archive(scan_of(10), archiver)
    assert (archived.gap, archived.has_more) == (None, True)
    assert not archived.reaches_ceiling


@pytest.mark.parametrize(
    ("is_logged", "full", "reaches"),
    [(True, False, True), (False, False, False), (True, True, False)],
    ids=["all archived", "not all in the log", "behind a snapshot's rows"],
)
def test_a_requested_point_is_reached_once_all_of_it_is_in_the_log_and_archived(
    is_logged: bool, full: bool, reaches: bool
) -> None:
    scan = scan_of(10, 11)
    scan.cut.stop_at(gtid_set(f"{UUID}:1-10"), is_logged)
    held = {ORDERS.topic: [10, 11], USERS.topic: [10, 11]}
    archived = archive(scan, FakeArchiver(held, full=full))
    assert archived.reaches_ceiling is reaches
    assert str(archived.cut.transactions({})) == f"{UUID}:1-10"


def test_a_snapshot_that_ended_is_looked_after_again_at_once() -> None:
    class WithSnapshot(FakeArchiver):
        def archive(
            self,
            scan: LogScan,
            version: VersionBuilder,
            ranges: Sequence[OffsetRange],
            obsolete_positions: Mapping[str, Position],
        ) -> list[ArchivedRanges]:
            archived = super().archive(scan, version, ranges, obsolete_positions)
            archived[1].snapshot = SnapshotRows("binlog.000002:4", (2, 4), has_ended=True)
            return archived

    archived = archive(scan_of(10), WithSnapshot({ORDERS.topic: [10], USERS.topic: [10]}))
    assert archived.has_more


def ranges_of(source: Source, *gtids: str, truncate: str = "") -> ArchivedRanges:
    return ArchivedRanges(
        source=source,
        partition_changes=[PartitionChanges(dict.fromkeys(gtids, 1))],
        truncate_gtids={truncate} if truncate else set(),
    )


TRANSACTIONS = Source(topics.TRANSACTIONS, TRANSACTION_TABLE, Kind.TRANSACTIONS)


@pytest.mark.parametrize(
    ("dropped", "repeated"),
    [
        ({}, set()),
        ({SHARED: {"g:3"}}, {ORDERS.topic, topics.TRANSACTIONS, "cdc.s.emptied"}),
        ({SHARED: {"g:9"}}, {topics.TRANSACTIONS, "cdc.s.emptied"}),
        ({USERS.topic: {"g:2"}}, {USERS.topic}),
        ({ORDERS.topic: {"g:2"}}, set()),
    ],
    ids=[
        "nothing",
        "orders have it",
        "nobody has it",
        "a lagging topic",
        "not in that topic",
    ],
)
def test_only_topics_with_dropped_changes_are_archived_again(
    dropped: dict[str, set[str]], repeated: set[str]
) -> None:
    emptied = Source(change_topic("s", "emptied"), "emptied", Kind.CHANGES)
    archived = [
        ranges_of(ORDERS, "g:1", "g:3"),
        ranges_of(USERS, "g:1", "g:2"),
        ranges_of(emptied, truncate="g:4"),
        ranges_of(TRANSACTIONS),
    ]
    assert topics_to_repeat(archived, dropped) == repeated
