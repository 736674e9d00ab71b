"""Topics read whole and side by side, and their offsets committed together."""

from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.kafka.readers import aligned_reader
from connectors.kafka.readers.aligned_reader import AlignedBatch, AlignedReader
from connectors.runtime.settings import Kafka
from schemas.errors import Refused, Unavailable

NOON_MS = 1_772_366_400_000
MINUTE_MS = 60_000
ORDERS = "cdc.shop.orders"
VIEWS = "productview"


class Message:
    def __init__(
        self,
        offset: int,
        at_ms: int = NOON_MS,
        partition: int = 0,
        error: int | None = None,
    ) -> None:
        self._offset = offset
        self._at_ms = at_ms
        self._partition = partition
        self._error = KafkaError(error) if error is not None else None

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, self._at_ms

    def error(self) -> KafkaError | None:
        return self._error


def end(partition: int = 0, offset: int = 100) -> Message:
    return Message(offset, partition=partition, error=KafkaError._PARTITION_EOF)


class Consumer:
    """A consumer of one topic: `arriving` holds what is fetched, one list at a time."""

    def __init__(self, callbacks: Mapping[str, Any]) -> None:
        self.callbacks = callbacks
        self.arriving: list[list[Message]] = []
        self.fetched: list[Message] = []
        self.assigned: list[tuple[int, int]] = []
        self.polls = 0
        self.waited = 0.0
        self.away = False

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = [(p.partition, p.offset) for p in partitions]

    def poll(self, seconds: float) -> Message | None:
        self.polls += 1
        self.waited = seconds
        self.fetched = self.arriving.pop(0) if self.arriving else []
        return self.fetched.pop(0) if self.fetched else None

    def consume(self, most: int, seconds: float) -> list[Message]:
        return self.fetched[:most]

    def list_topics(self, topic: str, timeout: float) -> None:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def get_watermark_offsets(self, place: TopicPartition, cached: bool) -> tuple[int, int]:
        return 0, 100 + place.partition

    def close(self) -> None: ...


class Log:
    """Kafka as the reader sees it."""

    def __init__(self) -> None:
        self.ranges = {
            (ORDERS, 0): Watermarks(0, 100, 100),
            (VIEWS, 0): Watermarks(0, 100, 100),
            (VIEWS, 1): Watermarks(10, 100, 100),
        }
        self.offsets: dict[tuple[str, int], tuple[int, str]] = {}
        self.commits: list[dict[tuple[str, int], tuple[int, str]]] = []
        self.refusing: KafkaError | None = None
        self.consumers: list[Consumer] = []

    def reader(self, cluster: Kafka, client_id: str, **more: Any) -> Any:
        assert more["group.id"] == "conversion"
        log = self
        made = Consumer(more)

        def committed(asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
            return [
                TopicPartition(
                    p.topic,
                    p.partition,
                    *log.offsets.get((p.topic, p.partition), (-1001, "")),
                )
                for p in asked
            ]

        def commit(offsets: list[TopicPartition], asynchronous: bool) -> None:
            log.commits.append(
                {(p.topic, p.partition): (p.offset, p.metadata) for p in offsets}
            )
            if log.refusing is None:
                log.offsets |= log.commits[-1]
            more["on_commit"](log.refusing, offsets)

        # type: ignore[attr-defined]
        made.committed = committed
        made.commit = commit
        self.consumers.append(made)
        return made

    def counts(self) -> dict[str, int]:
        return {
            topic: sum(name == topic for name, _ in self.ranges) for topic, _ in self.ranges
        }


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(kafka, "reader", made.reader)
    monkeypatch.setattr(
        kafka,
        "offsets",
        lambda _, names: {
            place: found for place, found in made.ranges.items() if place[0] in names
        },
    )
    monkeypatch.setattr(kafka, "list_topics", lambda _: made.counts())
    monkeypatch.setattr(aligned_reader, "COMMIT_SECONDS", 0)
    return made


@pytest.fixture
def reader(log: Log) -> AlignedReader:
    return AlignedReader(Kafka(), "conversion", "conversion", [ORDERS, VIEWS])


def read(reader: AlignedReader) -> list[AlignedBatch]:
    batches = reader.read(1000, 0)
    assert all(isinstance(batch, AlignedBatch) for batch in batches)
    return batches  # type: ignore[return-value]


def test_reading_begins_at_the_committed_offsets_and_otherwise_at_the_first_record(
    log: Log, reader: AlignedReader
) -> None:
    log.offsets = {(VIEWS, 0): (17, "5")}
    assert read(reader) == []
    assert [consumer.assigned for consumer in log.consumers] == [
        [(0, 0)],
        [(0, 17), (1, 10)],
    ]
    assert reader.starts == {(ORDERS, 0): 0, (VIEWS, 0): 17, (VIEWS, 1): 10}


def test_the_offsets_of_all_topics_are_committed_in_one_request(
    log: Log, reader: AlignedReader
) -> None:
    log.consumers[1].arriving = [[Message(0), Message(1)]]
    (batch,) = read(reader)
    reader.commit(batch, {0: 2}, "a note")
    read(reader)
    assert log.commits == [
        {(ORDERS, 0): (0, "a note"), (VIEWS, 0): (2, "a note"), (VIEWS, 1): (10, "a note")}
    ]
    read(reader)
    assert len(log.commits) == 1
    reader.rewind()
    log.consumers[0].arriving = [[Message(0)]]
    (batch,) = read(reader)
    assert batch.start.notes == dict.fromkeys(log.ranges, "a note")


def test_offsets_that_kafka_did_not_take_are_committed_again(
    log: Log, reader: AlignedReader
) -> None:
    log.consumers[1].arriving = [[Message(0)]]
    (batch,) = read(reader)
    reader.commit(batch, {0: 1}, "")
    log.refusing = KafkaError(KafkaError._TIMED_OUT)
    read(reader)
    log.refusing = None
    read(reader)
    read(reader)
    assert len(log.commits) == 2


def test_an_epoch_that_is_over_commits_nothing(log: Log, reader: AlignedReader) -> None:
    log.consumers[1].arriving = [[Message(0)]]
    (batch,) = read(reader)
    reader.rewind()
    read(reader)
    reader.commit(batch, {0: 1}, "")
    reader.close()
    assert log.commits == []


def test_batches_of_all_topics_are_numbered_in_the_order_of_their_reading(
    log: Log, reader: AlignedReader
) -> None:
    for consumer in log.consumers:
        consumer.arriving = [[Message(0), end(1)], [Message(1)]]
    found = read(reader) + read(reader)
    assert [(batch.topic, batch.number, batch.epoch) for batch in found] == [
        (ORDERS, 0, 1),
        (VIEWS, 1, 1),
        (ORDERS, 2, 1),
        (VIEWS, 3, 1),
    ]


def test_a_topic_waits_for_another_that_is_far_behind_in_time(
    log: Log, reader: AlignedReader
) -> None:
    orders, looks = log.consumers
    orders.arriving = [[Message(0, NOON_MS)], [Message(1, NOON_MS + 9 * MINUTE_MS)]]
    looks.arriving = [
        [Message(0, NOON_MS - 5 * MINUTE_MS)],
        [Message(1, NOON_MS - MINUTE_MS), Message(0, NOON_MS - MINUTE_MS, 1)],
        [],
    ]
    assert [batch.topic for batch in read(reader)] == [ORDERS, VIEWS]
    (batch,) = read(reader)
    assert (batch.topic, batch.reached_ms) == (VIEWS, NOON_MS - MINUTE_MS)
    assert [batch.topic for batch in read(reader)] == [ORDERS]


def test_a_topic_at_its_end_is_not_waited_for(log: Log, reader: AlignedReader) -> None:
    orders, looks = log.consumers
    orders.arriving = [
        [Message(0, NOON_MS)],
        [Message(1, NOON_MS + MINUTE_MS), Message(2, NOON_MS + 5 * MINUTE_MS)],
    ]
    looks.arriving = [[end(0), end(1)]]
    (batch,) = read(reader)
    assert batch.reached_ms == 0  # the other topic has not said yet that it is at its end
    (batch,) = read(reader)
    assert (batch.topic, batch.reached_ms) == (ORDERS, NOON_MS + 5 * MINUTE_MS)


def test_while_a_topic_has_records_nobody_waits_for_more_of_one_that_is_at_its_end(
    log: Log, reader: AlignedReader
) -> None:
    orders, looks = log.consumers
    orders.arriving = [[end(0)]]
    looks.arriving = [[Message(0)], [Message(1)]]
    read(reader)
    (batch,) = reader.read(1000, 0.01)
    assert (batch.topic, orders.waited) == (VIEWS, 0)
    assert reader.read(1000, 0.01) == []
    assert orders.waited == 0.01


def test_a_new_partition_is_read_from_its_first_record(
    log: Log, reader: AlignedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(reader)
    log.ranges[VIEWS, 2] = Watermarks(0, 5, 5)
    read(reader)
    assert reader.epoch == 1
    monkeypatch.setattr(aligned_reader, "NEW_PARTITIONS_SECONDS", 0)
    read(reader)
    assert reader.epoch == 2
    assert (2, 0) in log.consumers[1].assigned


def test_a_topic_that_is_not_there_yet_is_waited_for(
    log: Log, reader: AlignedReader
) -> None:
    away = log.ranges.pop((ORDERS, 0))
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"cdc\.shop\.orders does not exist yet"):
            read(reader)
    log.ranges[ORDERS, 0] = away
    read(reader)
    assert reader.epoch == 1


def test_a_topic_made_anew_is_not_continued(log: Log, reader: AlignedReader) -> None:
    log.offsets = {(VIEWS, 1): (101, "")}
    for _ in range(2):
        with pytest.raises(
            Refused,
            match=r"productview\[1\] holds offsets 10 to 100, but group conversion is at 101",
        ):
            read(reader)


def test_after_an_error_within_a_topic_reading_begins_again(
    log: Log, reader: AlignedReader
) -> None:
    orders, looks = log.consumers
    orders.arriving = [[Message(0)]]
    looks.arriving = [[Message(0), Message(1, error=KafkaError._AUTO_OFFSET_RESET)]]
    with pytest.raises(Refused):
        read(reader)
    orders.arriving = [[Message(0)]]
    (batch,) = read(reader)
    assert (batch.epoch, batch.number) == (2, 0)


def test_it_says_that_kafka_is_away_and_reads_on_when_it_is_back(
    log: Log, reader: AlignedReader
) -> None:
    read(reader)
    log.consumers[0].callbacks["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN))
    log.consumers[1].away = True
    with pytest.raises(Unavailable):
        read(reader)
    log.consumers[1].away = False
    read(reader)
    log.consumers[1].arriving = [[Message(0)]]
    assert len(read(reader)) == 1
    assert reader.epoch == 1


def test_marks_of_kafka_behind_the_last_record_are_nothing_to_wait_for(
    log: Log, reader: AlignedReader
) -> None:
    orders, looks = log.consumers
    orders.arriving = [[Message(98), end()]]
    looks.arriving = [[end(0), end(1)]]
    (batch,) = read(reader)
    read(reader)
    assert log.commits == []
    assert reader.ends()[ORDERS, 0] == 99
    reader.commit(batch, {0: 99}, "a note")
    read(reader)
    assert log.commits == [
        {
            (ORDERS, 0): (100, "a note"),
            (VIEWS, 0): (100, "a note"),
            (VIEWS, 1): (100, "a note"),
        }
    ]
    orders.arriving = [[Message(101)]]
    assert len(read(reader)) == 1
    assert reader.ends()[ORDERS, 0] == 100


def test_what_is_fetched_but_not_handled_is_not_committed(
    log: Log, reader: AlignedReader
) -> None:
    orders, looks = log.consumers
    orders.arriving = [[Message(97)], [Message(98), end()]]
    looks.arriving = [[end(0), end(1)]]
    (first,), (_,) = read(reader), read(reader)
    reader.commit(first, {0: 98}, "a note")
    read(reader)
    assert log.commits[-1][ORDERS, 0] == (98, "a note")


def test_the_ends_of_all_partitions_are_known(log: Log, reader: AlignedReader) -> None:
    assert reader.ends() == {}
    read(reader)
    assert reader.ends() == {(ORDERS, 0): 100, (VIEWS, 0): 100, (VIEWS, 1): 101}
