"""What a scan finds in the log, and what it refuses, on a log in memory."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from connectors.kafka.client import Watermarks
from schemas import topics
from schemas.errors import Unavailable, WarehouseError
from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, LaggingTopic, Manifest
from schemas.topics import TopicPartition
from schemas.warehouse_layout import Kind, Source
from spark.compactor.log_scan import MOST_LAGGING, LogScan, scan_log
from spark.log.range_reader import OffsetRange
from spark.log.transactions import TransactionRecords, transaction_source

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
DATABASE = "eCommerce"
ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)


@dataclass
class FakeLog:
    """Partition 0 of some topics: up to which offset each is stable, and the END records."""

    stable: dict[str, int]
    end_records: dict[int, str] = field(default_factory=dict)  # GTID by offset
    high: dict[str, int] = field(default_factory=dict)
    low: dict[str, int] = field(default_factory=dict)
    gtids: str | None = f"{UUID}:1-9"
    reads: list[tuple[int, int]] = field(default_factory=list)

    def topics(self) -> list[str]:
        return [*self.stable, topics.CHANGE_PREFIX, "somebody.elses"]

    def offsets(self, names: Iterable[str]) -> dict[TopicPartition, Watermarks]:
        return {
            (name, 0): Watermarks(
                self.low.get(name, 0),
                self.stable[name],
                self.high.get(name, self.stable[name]),
            )
            for name in names
            if name in self.stable
        }

    def transactions(self, start: int, end: int) -> TransactionRecords:
        self.reads.append((start, end))
        counts = [{"data_collection": "eCommerce.orders", "event_count": 1}]
        return [
            (offset, {"status": "END", "id": gtid, "data_collections": counts})
            for offset, gtid in self.end_records.items()
            if start <= offset < end
        ]

    def connector_gtids(self) -> str | None:
        if self.gtids == "unreachable":
            raise Unavailable("Connect does not answer")
        return self.gtids


def committed(**offsets: int) -> Manifest:
    """A version that has read the topics of some tables up to some offsets."""
    names = {"orders": ORDERS.topic, "ends": topics.TRANSACTIONS, "clicks": CLICKS.topic}
    by_topic = {names[name]: {0: offset} for name, offset in offsets.items()}
    return replace(EMPTY_MANIFEST, version=1, offsets=by_topic, transactions=f"{UUID}:1-3")


def scan(log: FakeLog, previous: Manifest = EMPTY_MANIFEST, **refused: str) -> LogScan:
    return scan_log(log, DATABASE, previous, refused)


def test_new_ranges_of_all_tables_and_clicks_are_found_and_other_topics_are_not() -> None:
    log = FakeLog({ORDERS.topic: 7, CLICKS.topic: 9, topics.TRANSACTIONS: 4})
    found = scan(log, committed(orders=5))
    assert found.ranges == [OffsetRange(ORDERS, 0, 5, 7), OffsetRange(CLICKS, 0, 0, 9)]
    assert found.partition_counts == {
        ORDERS.topic: 1,
        CLICKS.topic: 1,
        topics.TRANSACTIONS: 1,
    }
    assert found.refusals == {}
    assert not found.is_limited


def test_the_topic_of_transactions_is_read_from_the_committed_offset_to_the_end_of_the_cut() -> (
    None
):
    log = FakeLog(
        {ORDERS.topic: 7, topics.TRANSACTIONS: 12}, {9: f"{UUID}:4", 11: f"{UUID}:5"}
    )
    found = scan(log, committed(orders=5, ends=8))
    assert log.reads == [(8, 12)]
    assert found.ranges_in_cut() == [
        OffsetRange(transaction_source(), 0, 8, 12),
        OffsetRange(ORDERS, 0, 5, 7),
    ]
    assert found.ranges_in_cut(only=[ORDERS.topic]) == [OffsetRange(ORDERS, 0, 5, 7)]
    found.cut.shared_scope.selection = found.cut.shared_scope.selection[:1]
    assert found.ranges_in_cut(only=[topics.TRANSACTIONS]) == [
        OffsetRange(transaction_source(), 0, 8, 10)
    ]


def test_only_topics_with_changes_have_allowed_transactions() -> None:
    log = FakeLog(
        {ORDERS.topic: 7, CLICKS.topic: 9, topics.TRANSACTIONS: 12}, {9: f"{UUID}:4"}
    )
    found = scan(log, committed(ends=8))
    allowed = found.allowed(found.ranges)
    assert set(allowed) == {ORDERS.topic}
    assert allowed[ORDERS.topic].includes(f"{UUID}:4")
    assert not allowed[ORDERS.topic].includes(f"{UUID}:5")


def test_a_long_backlog_of_clicks_is_limited_and_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spark.compactor.plan.MOST_OFFSETS", 3)
    found = scan(FakeLog({CLICKS.topic: 9}))
    assert found.ranges == [OffsetRange(CLICKS, 0, 0, 3)]
    assert found.is_limited


def test_refused_topics_are_not_read_and_a_topic_that_is_gone_is_refused_by_name() -> None:
    log = FakeLog({USERS.topic: 3, topics.TRANSACTIONS: 4})
    found = scan_log(log, DATABASE, committed(orders=5), {USERS.topic: "held"})
    assert found.ranges == []
    assert found.refusals == {
        USERS.topic: "held",
        ORDERS.topic: "the topic is gone from Kafka; its table stays as it was",
    }


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (FakeLog({ORDERS.topic: 7}), "the topic cdc.transaction is gone from Kafka"),
        (
            FakeLog({topics.TRANSACTIONS: 20}, low={topics.TRANSACTIONS: 9}),
            "begins at offset 9: records 8 to 8 are gone",
        ),
        (FakeLog({topics.TRANSACTIONS: 2}), "ends at offset 2"),
        (
            FakeLog({topics.TRANSACTIONS: 8, ORDERS.topic: 9}, low={ORDERS.topic: 6}),
            "begins at offset 6: records 5 to 5 are gone",
        ),
    ],
    ids=["no topic", "ends lost", "topic recreated", "changes lost"],
)
def test_a_log_that_lacks_what_was_not_read_yet_stops_publishing(
    log: FakeLog, reason: str
) -> None:
    with pytest.raises(WarehouseError, match=reason):
        scan(log, committed(orders=5, ends=8))


def test_a_log_without_any_transaction_yet_is_no_error() -> None:
    found = scan(FakeLog({ORDERS.topic: 7}))
    assert (found.ranges, found.cut.end) == ([OffsetRange(ORDERS, 0, 0, 7)], 0)


def test_a_topic_that_lags_behind_is_read_again_from_where_it_is_in_parts() -> None:
    log = FakeLog({ORDERS.topic: 7, topics.TRANSACTIONS: 90_000})
    lagging = {ORDERS.topic: LaggingTopic(10, f"{UUID}:1-2")}
    previous = replace(committed(ends=80_000), lagging_topics=lagging)
    found = scan(log, previous)
    assert log.reads == [(10, 10 + MOST_LAGGING), (80_000, 90_000)]
    assert str(found.cut.merged_gtids(ORDERS.topic)) == f"{UUID}:1-2"
    assert str(found.cut.merged_gtids(USERS.topic)) == f"{UUID}:1-3"
    log.reads.clear()
    scan_log(log, DATABASE, previous, {ORDERS.topic: "held"})
    assert log.reads == [(80_000, 90_000)], "while it is refused it is not read"


def snapshot(has_ended: bool, whole: bool = False) -> DebeziumSnapshot:
    return DebeziumSnapshot(
        id="binlog.000002:4",
        version=1,
        transactions_end=0,
        tables=(),
        has_ended=has_ended,
        whole=whole,
    )


@pytest.mark.parametrize(
    ("newest", "log", "gtids"),
    [
        (None, FakeLog({ORDERS.topic: 7}), None),
        (snapshot(has_ended=False), FakeLog({ORDERS.topic: 7}), None),
        (snapshot(has_ended=True), FakeLog({ORDERS.topic: 7}), f"{UUID}:1-9"),
        (snapshot(has_ended=True, whole=True), FakeLog({ORDERS.topic: 7}), None),
        (snapshot(has_ended=True), FakeLog({ORDERS.topic: 7}, gtids="unreachable"), None),
        (
            snapshot(has_ended=True),
            FakeLog({ORDERS.topic: 7}, high={ORDERS.topic: 9}),
            None,
        ),
    ],
    ids=[
        "no snapshot",
        "not over",
        "over",
        "merged",
        "Connect unreachable",
        "not all visible",
    ],
)
def test_connect_says_where_a_snapshot_was_taken_once_it_is_over_and_all_of_it_visible(
    newest: DebeziumSnapshot | None, log: FakeLog, gtids: str | None
) -> None:
    assert scan(log, replace(EMPTY_MANIFEST, snapshot=newest)).connector_gtids == gtids
