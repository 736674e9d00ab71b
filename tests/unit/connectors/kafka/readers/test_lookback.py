"""A topic read again: every record from some time on, up to an offset, and nothing else."""

from typing import Any

import pytest
from confluent_kafka import KafkaError

from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.kafka.readers import lookback
from connectors.kafka.readers.lookback import Lookback
from connectors.runtime.settings import Kafka
from schemas.errors import Unavailable
from tests.unit.connectors.kafka.readers.assigned_consumer import (
    AssignedConsumer,
    LogMessage,
)

TOPIC = "productview"


class Log:
    """Two partitions; some offsets hold no record."""

    def __init__(self) -> None:
        self.first: dict[int, int | None] = {0: 3, 1: None}
        self.arriving: list[list[LogMessage]] = []
        self.consumers: list[AssignedConsumer] = []

    def open(self, *_: object, **__: object) -> AssignedConsumer:
        self.consumers.append(AssignedConsumer(list(self.arriving)))
        return self.consumers[-1]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(kafka, "reader", log.open)
    monkeypatch.setattr(
        kafka,
        "offsets",
        lambda *_: {(TOPIC, partition): Watermarks(0, 10, 12) for partition in log.first},
    )
    monkeypatch.setattr(
        kafka,
        "offsets_at",
        lambda *_: {(TOPIC, partition): at for partition, at in log.first.items()},
    )
    return log


def record(partition: int, offset: int, error: int | None = None) -> LogMessage:
    return LogMessage(TOPIC, partition, offset, error)


def records(upto: dict[int, int]) -> list[tuple[int, int]]:
    past = Lookback(Kafka(), "past").since(
        TOPIC, 1, {(TOPIC, partition): offset for partition, offset in upto.items()}
    )
    found: list[Any] = [message for part in past.records for message in part]
    return [(message.partition(), message.offset()) for message in found]


def test_records_up_to_an_offset_are_read(log: Log) -> None:
    log.first = {0: 3, 1: 8}
    log.arriving = [
        [record(0, 3), record(0, 4), record(1, 8)],
        [record(0, 5), record(1, 9), record(0, 6)],
    ]
    assert records({0: 6, 1: 10}) == [(0, 3), (0, 4), (1, 8), (0, 5), (1, 9)]
    (consumer,) = log.consumers
    assert consumer.assigned == {(TOPIC, 0): 3, (TOPIC, 1): 8}
    assert consumer.closed == 1


def test_the_last_offsets_may_hold_no_record(log: Log) -> None:
    log.first = {0: 3, 1: 8}
    log.arriving = [
        [record(0, 3), record(1, 8)],
        [record(0, 7)],
        [record(1, 10, KafkaError._PARTITION_EOF)],
    ]
    assert records({0: 6, 1: 10}) == [(0, 3), (1, 8)]


def test_a_partition_without_a_record_of_that_time_is_not_read(log: Log) -> None:
    log.arriving = [[record(0, 3), record(0, 4)]]
    assert records({0: 5, 1: 10}) == [(0, 3), (0, 4)]
    assert [consumer.assigned for consumer in log.consumers] == [{(TOPIC, 0): 3}]


def test_where_nothing_was_read_before_nothing_is_read_again(log: Log) -> None:
    assert records({0: 3, 1: 0}) == []
    assert log.consumers == []


@pytest.mark.parametrize(
    ("first", "whole"),
    [({0: 0, 1: 0}, True), ({0: 0, 1: 1}, False), ({0: 0, 1: None}, False)],
)
def test_it_is_said_whether_the_log_holds_older_records(
    log: Log, first: dict[int, int | None], whole: bool
) -> None:
    log.first = first
    assert Lookback(Kafka(), "past").since(TOPIC, 1, {}).from_log_start is whole


def test_a_silent_kafka_is_not_waited_for_for_ever(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "SILENCE_SECONDS", 0)
    with pytest.raises(Unavailable, match="Kafka sent nothing of productview"):
        records({0: 6})
    assert [consumer.closed for consumer in log.consumers] == [1]


def test_an_error_is_not_taken_for_the_end(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "SILENCE_SECONDS", 0)
    log.arriving = [[record(0, 3), record(0, 4, KafkaError._TRANSPORT)]]
    with pytest.raises(Unavailable):
        records({0: 6})
