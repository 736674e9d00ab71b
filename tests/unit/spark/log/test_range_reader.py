"""Ranges of the log are read to their ends; what is gone is named."""

import pytest
from confluent_kafka import KafkaError

from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError, WarehouseError
from schemas.warehouse_layout import Kind, Source
from spark.log.range_reader import OffsetRange, RangeReader, check_retained
from tests.unit.connectors.kafka.readers.assigned_consumer import (
    AssignedConsumer,
    LogMessage,
    end_of_partition,
)

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)


def record(source: Source, offset: int, partition: int = 0) -> LogMessage:
    return LogMessage(source.topic, partition, offset)


def consumer_with(
    monkeypatch: pytest.MonkeyPatch, *fetches: list[LogMessage]
) -> AssignedConsumer:
    consumer = AssignedConsumer(list(fetches))
    monkeypatch.setattr(kafka, "reader", lambda *_, **__: consumer)
    return consumer


def read(*ranges: OffsetRange) -> dict[OffsetRange, list[int]]:
    offsets: dict[OffsetRange, list[int]] = {}
    with RangeReader(Kafka(), "test", ranges) as reader:
        for offset_range, messages in reader.batches():
            found = [message.offset() for message in messages]
            offsets.setdefault(offset_range, []).extend(found)
    return offsets


def test_a_range_tells_its_length_and_its_place() -> None:
    orders = OffsetRange(ORDERS, 2, 10, 15)
    assert orders.length == 5
    assert str(orders) == "cdc.eCommerce.orders[2]@10-15"


def test_ranges_of_several_topics_are_read_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = OffsetRange(ORDERS, 0, 3, 5)
    more_orders = OffsetRange(ORDERS, 1, 0, 1)
    users = OffsetRange(USERS, 0, 8, 9)
    consumer = consumer_with(
        monkeypatch,
        [record(ORDERS, 3), record(USERS, 8), record(ORDERS, 0, partition=1)],
        [record(ORDERS, 4), record(ORDERS, 5)],
    )
    assert read(orders, more_orders, users) == {
        orders: [3, 4],
        more_orders: [0],
        users: [8],
    }
    assert consumer.assigned[ORDERS.topic, 0] == 3
    assert consumer.closed == 1


def test_topics_that_are_one_in_kafka_are_read_once_and_each_has_all_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("cdc.shop.a b", "cdc.shop.a_b")
    spaced, plain = (Source(name, "t", Kind.CHANGES) for name in names)
    ranges = [OffsetRange(spaced, 0, 1, 3), OffsetRange(plain, 0, 2, 5)]
    consumer = consumer_with(monkeypatch, [record(plain, offset) for offset in range(1, 6)])
    assert read(*ranges) == {ranges[0]: [1, 2], ranges[1]: [2, 3, 4]}
    assert consumer.assigned == {("cdc.shop.a_b", 0): 1}


def test_a_stopped_range_does_not_stop_another_of_the_same_topic_in_kafka(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("cdc.shop.a b", "cdc.shop.a_b")
    spaced, plain = (Source(name, "t", Kind.CHANGES) for name in names)
    ranges = [OffsetRange(spaced, 0, 0, 2), OffsetRange(plain, 0, 0, 2)]
    consumer_with(monkeypatch, [record(plain, 0)], [record(plain, 1)])
    offsets = []
    with RangeReader(Kafka(), "test", ranges) as reader:
        for offset_range, messages in reader.batches():
            offsets += [(offset_range.source, message.offset()) for message in messages]
            reader.stop_reading(ranges[0])
    assert offsets == [(spaced, 0), (plain, 0), (plain, 1)]


def test_a_range_may_end_with_offsets_that_hold_no_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = OffsetRange(ORDERS, 0, 3, 6)
    consumer_with(monkeypatch, [record(ORDERS, 3), end_of_partition(ORDERS.topic, 0, 6)])
    assert read(orders) == {orders: [3]}


def test_a_stopped_range_gives_no_further_records(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = OffsetRange(ORDERS, 0, 0, 9)
    users = OffsetRange(USERS, 0, 0, 2)
    consumer = consumer_with(
        monkeypatch,
        [record(ORDERS, 0), record(USERS, 0)],
        [record(ORDERS, 1), record(USERS, 1)],
    )
    read_offsets = []
    with RangeReader(Kafka(), "test", [orders, users]) as reader:
        for offset_range, messages in reader.batches():
            read_offsets += [(offset_range, message.offset()) for message in messages]
            reader.stop_reading(orders)
    assert [offset for part, offset in read_offsets if part == orders] == [0]
    assert [offset for part, offset in read_offsets if part == users] == [0, 1]
    assert (ORDERS.topic, 0) in consumer.left


def test_an_error_of_kafka_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = LogMessage(ORDERS.topic, 0, 0, KafkaError._FAIL)
    consumer_with(monkeypatch, [failure])
    with pytest.raises(KappaError, match="reading the log"):
        read(OffsetRange(ORDERS, 0, 0, 1))


@pytest.mark.parametrize(
    ("next_offset", "watermarks", "message"),
    [
        (
            None,
            Watermarks(5, 9, 9),
            r"orders\[0\] begins at offset 5: records 0 to 4 are gone",
        ),
        (
            3,
            Watermarks(5, 9, 9),
            r"orders\[0\] begins at offset 5: records 3 to 4 are gone",
        ),
        (
            10,
            Watermarks(0, 9, 9),
            r"ends at offset 9, .* up to 10 is published: .* recreated",
        ),
    ],
    ids=["never read", "read in part", "recreated topic"],
)
def test_records_that_were_lost_are_named_with_the_next_step(
    next_offset: int | None, watermarks: Watermarks, message: str
) -> None:
    with pytest.raises(WarehouseError, match=message) as stopped:
        check_retained("orders", 0, next_offset, watermarks)
    assert "restore the topic" in stopped.value.hint


@pytest.mark.parametrize(
    ("next_offset", "watermarks"),
    [(None, Watermarks(0, 9, 9)), (5, Watermarks(5, 9, 9)), (9, Watermarks(0, 9, 9))],
    ids=["never read", "at the beginning", "at the end"],
)
def test_a_log_that_holds_what_is_read_next_is_fine(
    next_offset: int | None, watermarks: Watermarks
) -> None:
    check_retained("orders", 0, next_offset, watermarks)
    assert watermarks.low <= (next_offset or 0) <= watermarks.high
