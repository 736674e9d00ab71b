"""Ranges of offsets are read to their ends, whatever holds their last offsets."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError

from connectors.kafka import client as kafka
from connectors.kafka.readers.partition_consumer import PartitionConsumer
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.runtime.settings import Kafka
from schemas.errors import Refused, Unavailable
from tests.unit.connectors.kafka.readers.assigned_consumer import (
    AssignedConsumer,
    LogMessage,
    end_of_partition,
)

TOPIC = "productview"
Open = Callable[..., AssignedConsumer]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Open:
    def holds(*fetches: list[LogMessage]) -> AssignedConsumer:
        consumer = AssignedConsumer(list(fetches))
        monkeypatch.setattr(kafka, "reader", lambda *_, **__: consumer)
        return consumer

    return holds


def record(partition: int, offset: int) -> LogMessage:
    return LogMessage(TOPIC, partition, offset)


def consumer_of(
    ranges: dict[int, tuple[int, int]], silence_seconds: float = 30.0
) -> RangeConsumer:
    return RangeConsumer(
        Kafka(),
        "test",
        {(TOPIC, partition): range(*offsets) for partition, offsets in ranges.items()},
        subject="the clicks",
        silence_seconds=silence_seconds,
    )


def offsets_in(consumer: RangeConsumer) -> list[tuple[int, int]]:
    with consumer:
        return [(message.partition(), message.offset()) for message in consumer.records()]


def test_ranges_are_read_side_by_side_up_to_their_ends(log: Open) -> None:
    driver = log(
        [record(0, 3), record(0, 4), record(1, 8)],
        [record(0, 5), record(1, 9), record(0, 6)],
    )
    assert offsets_in(consumer_of({0: (3, 6), 1: (8, 10)})) == [
        (0, 3),
        (0, 4),
        (1, 8),
        (0, 5),
        (1, 9),
    ]
    assert driver.assigned == {(TOPIC, 0): 3, (TOPIC, 1): 8}
    assert driver.closed == 1


@pytest.mark.parametrize("behind", [record(0, 7), end_of_partition(TOPIC, 0, 6)])
def test_the_last_offsets_of_a_range_may_hold_no_record(
    log: Open, behind: LogMessage
) -> None:
    driver = log([record(0, 3)], [behind])
    assert offsets_in(consumer_of({0: (3, 6)})) == [(0, 3)]
    assert driver.polls == 2


def test_the_end_of_the_log_before_the_end_of_the_range_is_waited_behind(log: Open) -> None:
    log([record(0, 3), end_of_partition(TOPIC, 0, 4)], [record(0, 4), record(0, 5)])
    assert offsets_in(consumer_of({0: (3, 6)})) == [(0, 3), (0, 4), (0, 5)]


def test_empty_ranges_need_no_consumer(log: Open) -> None:
    driver = log()
    assert offsets_in(consumer_of({0: (3, 3), 1: (5, 2)})) == []
    assert (driver.polls, driver.closed) == (0, 0)


def test_a_range_that_the_caller_stops_is_read_no_further(log: Open) -> None:
    driver = log([record(0, 3), record(1, 8)], [record(0, 4), record(1, 9)])
    offsets = []
    with consumer_of({0: (3, 6), 1: (8, 10)}) as consumer:
        for batch in consumer.batches():
            for partition, messages in batch.items():
                offsets += [(partition[1], message.offset()) for message in messages]
            consumer.stop_reading((TOPIC, 0))
    assert offsets == [(0, 3), (1, 8), (1, 9)]
    assert driver.left == [(TOPIC, 0)]


def test_progress_counts_offsets_with_and_without_records(log: Open) -> None:
    log([record(0, 3)], [], [end_of_partition(TOPIC, 0, 9)])
    with consumer_of({0: (3, 8)}) as consumer:
        progress = [consumer.read_offsets for _ in consumer.batches()]
        assert (progress, consumer.total_offsets) == ([1, 1, 5], 5)


def test_a_log_that_falls_silent_is_unavailable_and_its_consumer_closed(log: Open) -> None:
    driver = log([record(0, 3)])
    with pytest.raises(Unavailable, match="Kafka sent nothing of the clicks for 0 s"):
        offsets_in(consumer_of({0: (3, 6)}, silence_seconds=0))
    assert driver.closed == 1


def test_a_broker_that_returns_does_not_end_the_reading(log: Open) -> None:
    log([record(0, 3), LogMessage(TOPIC, 0, 0, KafkaError._TRANSPORT)], [record(0, 4)])
    assert offsets_in(consumer_of({0: (3, 5)})) == [(0, 3), (0, 4)]


def test_a_broker_that_stays_away_is_named_when_the_log_falls_silent(log: Open) -> None:
    log([LogMessage(TOPIC, 0, 0, KafkaError._TRANSPORT)])
    with pytest.raises(Unavailable, match=r"the last error was: .*_TRANSPORT"):
        offsets_in(consumer_of({0: (3, 5)}, silence_seconds=0))


def test_offsets_that_the_log_no_longer_holds_are_refused(log: Open) -> None:
    driver = log([LogMessage(TOPIC, 0, 3, KafkaError._AUTO_OFFSET_RESET)])
    with pytest.raises(Refused, match="reading the clicks"):
        offsets_in(consumer_of({0: (3, 5)}))
    assert driver.closed == 1


def test_a_partition_that_is_added_is_read_too(log: Open) -> None:
    driver = log([record(0, 3), end_of_partition(TOPIC, 0, 4)], [record(1, 0)])
    with PartitionConsumer(Kafka(), "test", {(TOPIC, 0): 3}) as consumer:
        first = consumer.fetch_records(10, 0)
        consumer.add_partitions({(TOPIC, 1): 0})
        second = consumer.fetch_records(10, 0)
    assert [message.offset() for message in [*first, *second]] == [3, 0]
    assert driver.assigned == {(TOPIC, 0): 3, (TOPIC, 1): 0}
    assert driver.closed == 1
