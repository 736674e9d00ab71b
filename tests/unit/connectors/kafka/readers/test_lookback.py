"""A topic read again: every record from some time on, up to an offset, and nothing else."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from connectors import kafka, kafka_past
from connectors.kafka import Range
from connectors.kafka_past import Past
from infra.errors import Unavailable
from infra.settings import Kafka

TOPIC = "productview"


class Message:
    def __init__(self, partition: int, offset: int, error: int | None = None) -> None:
        self._place, self._error = (partition, offset), KafkaError(error) if error is not None else None

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def error(self) -> KafkaError | None:
        return self._error


class Log:
    """Two partitions; some offsets hold no record."""

    def __init__(self) -> None:
        self.first: dict[int, int | None] = {0: 3, 1: None}
        self.arriving: list[list[Message]] = []
        self.assigned: dict[int, int] = {}
        self.closed = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = {p.partition: p.offset for p in partitions}

    def consume(self, most: int, seconds: float) -> list[Message]:
        return self.arriving.pop(0) if self.arriving else []

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(kafka, "reader", lambda *_, **__: made)
    monkeypatch.setattr(kafka, "offsets", lambda *_: {(TOPIC, partition): Range(0, 10, 12) for partition in made.first})
    monkeypatch.setattr(kafka, "offsets_at", lambda *_: {(TOPIC, partition): at for partition, at in made.first.items()})
    return made


def records(upto: dict[int, int]) -> list[tuple[int, int]]:
    stretch = Past(Kafka(), "past").since(TOPIC, 1, {(TOPIC, partition): offset for partition, offset in upto.items()})
    found: list[Any] = [message for part in stretch.records for message in part]
    return [(message.partition(), message.offset()) for message in found]


def test_records_up_to_an_offset_are_read(log: Log) -> None:
    log.first = {0: 3, 1: 8}
    log.arriving = [[Message(0, 3), Message(0, 4), Message(1, 8)], [Message(0, 5), Message(1, 9), Message(0, 6)]]
    assert records({0: 6, 1: 10}) == [(0, 3), (0, 4), (1, 8), (0, 5), (1, 9)]
    assert (log.assigned, log.closed) == ({0: 3, 1: 8}, 1)


def test_the_last_offsets_may_hold_no_record(log: Log) -> None:
    log.first = {0: 3, 1: 8}
    log.arriving = [[Message(0, 3), Message(1, 8)], [Message(0, 7)], [Message(1, 10, KafkaError._PARTITION_EOF)]]
    assert records({0: 6, 1: 10}) == [(0, 3), (1, 8)]


def test_a_partition_without_a_record_of_that_time_is_not_read(log: Log) -> None:
    log.arriving = [[Message(0, 3), Message(0, 4)]]
    assert records({0: 5, 1: 10}) == [(0, 3), (0, 4)]
    assert log.assigned == {0: 3}


def test_where_nothing_was_read_before_nothing_is_read_again(log: Log) -> None:
    assert records({0: 3, 1: 0}) == []
    assert log.closed == 0


@pytest.mark.parametrize(("first", "whole"), [({0: 0, 1: 0}, True), ({0: 0, 1: 1}, False), ({0: 0, 1: None}, False)])
def test_it_is_said_whether_the_log_holds_older_records(log: Log, first: dict[int, int | None], whole: bool) -> None:
    log.first = first
    assert Past(Kafka(), "past").since(TOPIC, 1, {}).from_the_first is whole


def test_a_silent_kafka_is_not_waited_for_for_ever(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_past, "SILENCE_SECONDS", 0)
    with pytest.raises(Unavailable, match="Kafka gave nothing of productview"):
        records({0: 6})
    assert log.closed == 1


def test_an_error_is_not_taken_for_the_end(log: Log) -> None:
    log.arriving = [[Message(0, 3), Message(0, 4, KafkaError._TRANSPORT)]]
    with pytest.raises(Unavailable):
        records({0: 6})
