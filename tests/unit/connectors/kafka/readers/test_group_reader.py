from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.kafka.readers import committed_start, group_reader
from connectors.runtime.settings import Kafka
from schemas.errors import Refused, Unavailable

Reader = group_reader.GroupReader[list[Any]]


class Message:
    def __init__(self, topic: str, offset: int, error: KafkaError | None = None) -> None:
        self._topic = topic
        self._offset = offset
        self._error = error

    def topic(self) -> str:
        return self._topic

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error


class Consumer:
    """A consumer of one partition of one topic that does as it is told: `arriving` holds what each
    poll meets, messages or a rebalance.
    """

    def __init__(self, **callbacks: Any) -> None:
        self.callbacks = callbacks
        self.arriving: list[Any] = []
        self.subscribed: list[str] = []
        self.committed_offset = -1001
        self.note = ""
        self.log = (0, 100)
        self.paused = self.unheard_of = False
        self.commits: list[tuple[int, str]] = []

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self.subscribed = topics
        self.callbacks |= callbacks

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def unassign(self) -> None: ...

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused = True

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused = False

    def committed(
        self, partitions: list[TopicPartition], timeout: float
    ) -> list[TopicPartition]:
        return [
            TopicPartition(p.topic, p.partition, self.committed_offset, self.note)
            for p in partitions
        ]

    def get_watermark_offsets(
        self, partition: TopicPartition, **how: Any
    ) -> tuple[int, int]:
        if self.unheard_of:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
        return self.log

    def poll(self, seconds: float) -> Any:
        met = self.arriving.pop(0) if self.arriving else None
        if callable(met):
            met()
            return self.poll(seconds)
        return met

    def consume(self, most: int, seconds: float) -> list[Any]:
        at_hand: list[Any] = []
        while self.arriving and len(at_hand) < most:
            met = self.arriving.pop(0)
            if isinstance(met, Exception):
                raise met
            if callable(met):
                met()
            else:
                at_hand.append(met)
        return at_hand

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.commits += [(p.offset, p.metadata) for p in offsets]

    def rebalance(self) -> None:
        mine = [TopicPartition("productview", 0)]
        self.callbacks["on_revoke"](self, mine)
        self.callbacks["on_assign"](self, mine)


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    made = Consumer()

    def group_consumer(*_: Any, **callbacks: Any) -> Consumer:
        made.callbacks |= callbacks
        return made

    monkeypatch.setattr(group_reader, "group_consumer", group_consumer)
    monkeypatch.setattr(group_reader, "COMMIT_SECONDS", 0)
    return made


@pytest.fixture
def reader(consumer: Consumer) -> Reader:
    made = group_reader.GroupReader(Kafka(), "counts", "counts", {"productview": list})
    consumer.arriving = [consumer.rebalance]
    assert made.read(10, 0) == []
    return made


def test_a_worker_that_does_not_read_yet_takes_no_partitions(consumer: Consumer) -> None:
    made = group_reader.GroupReader(Kafka(), "counts", "counts", {"productview": list})
    assert consumer.subscribed == []
    made.read(10, 0)
    assert consumer.subscribed == ["productview"]


def test_batches_of_an_epoch_are_numbered(reader: Reader, consumer: Consumer) -> None:
    numbers = []
    for offset in range(2):
        consumer.arriving = [Message("productview", offset)]
        numbers += [
            (batch.epoch, batch.number) for _ in range(2) for batch in reader.read(10, 0)
        ]
    assert numbers == [(reader.epoch, 0), (reader.epoch, 1)]


def test_what_was_fetched_before_a_rebalance_is_left_to_the_next_epoch(
    reader: Reader, consumer: Consumer
) -> None:
    before = reader.epoch
    consumer.arriving = [consumer.rebalance, Message("productview", 7)]
    assert reader.read(10, 0) == []
    consumer.arriving = [Message("productview", 5)]
    (batch,) = reader.read(10, 0)
    assert (batch.epoch > before, batch.number, batch.parts[0][0].offset()) == (True, 0, 5)


def test_a_rebalance_is_noticed_while_the_log_does_not_continue(
    reader: Reader, consumer: Consumer
) -> None:
    consumer.committed_offset = 40
    consumer.log = (50, 100)
    consumer.arriving = [consumer.rebalance]
    with pytest.raises(Refused):
        reader.read(10, 0)
    consumer.arriving = [lambda: consumer.callbacks["on_revoke"](consumer, [])]
    assert reader.read(10, 0) == []


@pytest.mark.parametrize("log", [(50, 100), (0, 30)])
def test_a_log_that_does_not_continue_the_counts_is_not_read(
    log: tuple[int, int], reader: Reader, consumer: Consumer
) -> None:
    consumer.committed_offset = 40
    consumer.log = log
    consumer.arriving = [consumer.rebalance]
    for _ in range(2):
        with pytest.raises(Refused, match=r"productview\[0\] holds offsets"):
            reader.read(10, 0)
    assert consumer.paused
    consumer.log = (0, 40)
    assert reader.read(10, 0) == []
    assert not consumer.paused


def test_a_partition_that_only_the_groups_leader_has_heard_of_is_waited_for(
    reader: Reader, consumer: Consumer
) -> None:
    consumer.unheard_of = True
    consumer.arriving = [consumer.rebalance]
    with pytest.raises(Unavailable, match=r"UNKNOWN_PARTITION"):
        reader.read(10, 0)
    consumer.unheard_of = False
    consumer.arriving = [Message("productview", 0)]
    assert reader.read(10, 0) == []
    consumer.arriving = [Message("productview", 0)]
    assert [batch.number for batch in reader.read(10, 0)] == [0]


def test_a_worker_that_gets_no_share_says_so(
    reader: Reader, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_reader, "REBALANCE_SECONDS", 0)
    assert reader.read(10, 0) == []
    consumer.arriving = [lambda: consumer.callbacks["on_revoke"](consumer, [])]
    with pytest.raises(Unavailable, match="no partitions of group counts"):
        [reader.read(10, 0) for _ in range(2)]
    consumer.arriving = [consumer.rebalance]
    assert reader.read(10, 0) == []


def test_a_rewound_reader_begins_a_new_epoch(reader: Reader) -> None:
    before = reader.epoch
    reader.rewind()
    reader.read(10, 0)
    assert reader.epoch == before + 1


def test_offsets_that_kafka_did_not_take_are_committed_again(
    reader: Reader, consumer: Consumer
) -> None:
    reader.commit("productview", reader.epoch, {0: (5, "17")})
    reader.read(10, 0)
    consumer.callbacks["on_commit"](
        KafkaError(KafkaError._TIMED_OUT), [TopicPartition("productview", 0, 5, "17")]
    )
    reader.read(10, 0)
    reader.commit("productview", reader.epoch, {0: (6, "18")})
    consumer.callbacks["on_commit"](
        KafkaError(KafkaError._TIMED_OUT), [TopicPartition("productview", 0, 5, "17")]
    )
    reader.read(10, 0)
    assert consumer.commits == [(5, "17"), (5, "17"), (6, "18")]


def test_offsets_of_an_epoch_that_is_over_are_not_committed(
    reader: Reader, consumer: Consumer
) -> None:
    before = reader.epoch
    reader.commit("productview", before, {0: (5, "17")})
    reader.read(10, 0)
    consumer.arriving = [consumer.rebalance]
    reader.read(10, 0)
    consumer.callbacks["on_commit"](
        KafkaError(KafkaError.ILLEGAL_GENERATION),
        [TopicPartition("productview", 0, 5, "17")],
    )
    reader.commit("productview", before, {0: (6, "18")})
    reader.read(10, 0)
    assert consumer.commits == [(5, "17")]


def test_nothing_more_of_an_epoch_is_committed_once_it_is_to_be_read_again(
    reader: Reader, consumer: Consumer
) -> None:
    reader.commit("productview", reader.epoch, {0: (5, "17")})
    reader.rewind()
    reader.commit("productview", reader.epoch, {0: (6, "18")})
    reader.read(10, 0)
    reader.commit("productview", reader.epoch, {0: (7, "19")})
    reader.read(10, 0)
    assert consumer.commits == [(5, "17"), (7, "19")]


def test_an_epoch_begins_with_the_note_that_was_committed(
    reader: Reader, consumer: Consumer
) -> None:
    assert reader.notes == {("productview", 0): committed_start.NEVER_COMMITTED}
    for offset, note, expected in ((40, "1700", "1700"), (40, "", "")):
        consumer.committed_offset = offset
        consumer.note = note
        consumer.arriving = [consumer.rebalance]
        reader.read(10, 0)
        assert reader.notes == {("productview", 0): expected}


def test_an_error_of_kafka_is_told_and_is_no_record(
    reader: Reader, consumer: Consumer
) -> None:
    consumer.arriving = [Message("productview", -1, KafkaError(KafkaError._TRANSPORT))]
    with pytest.raises(Unavailable):
        reader.read(10, 0)


def test_what_is_at_hand_is_one_batch(
    reader: Reader, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.arriving = [Message("productview", offset) for offset in range(5)]
    (batch,) = reader.read(2, 0)
    assert (
        [[message.offset() for message in part] for part in batch.parts],
        batch.more,
    ) == (
        [[0, 1], [2, 3], [4]],
        False,
    )
    monkeypatch.setattr(group_reader, "MAX_BATCH_RECORDS", 4)
    reader.counted_within(0)
    consumer.arriving = [Message("productview", offset) for offset in range(5)]
    (first,), (last,) = reader.read(2, 0), reader.read(2, 0)
    assert [(batch.number, len(batch.parts), batch.more) for batch in (first, last)] == [
        (1, 2, True),
        (2, 1, False),
    ]


def test_batches_are_small_at_first_and_as_large_as_counting_them_is_quick(
    reader: Reader, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_reader, "MIN_BATCH_RECORDS", 2)
    monkeypatch.setattr(group_reader, "MAX_BATCH_RECORDS", 5)
    consumer.arriving = [consumer.rebalance]
    reader.read(10, 0)

    def size(counted_within: float) -> int:
        reader.counted_within(counted_within)
        consumer.arriving = [Message("productview", offset) for offset in range(9)]
        (batch,) = reader.read(10, 0)
        return sum(map(len, batch.parts))

    assert [size(seconds) for seconds in (1, 0.1, 0.1, 0.1, 1, 1)] == [2, 4, 5, 5, 2, 2]
    assert size(0.1) == 4
    consumer.arriving = [consumer.rebalance]
    reader.read(10, 0)
    consumer.arriving = [Message("productview", offset) for offset in range(9)]
    assert [len(part) for part in reader.read(10, 0)[0].parts] == [2]


def test_each_topic_has_its_own_batches(consumer: Consumer) -> None:
    reader = group_reader.GroupReader(
        Kafka(), "counts", "counts", {"productview": list, "orderview": len}
    )
    consumer.arriving = [consumer.rebalance]
    reader.read(10, 0)
    told = Message("orderview", -1, KafkaError(KafkaError._TRANSPORT))
    consumer.arriving = [
        Message("productview", 0),
        Message("orderview", 0),
        told,
        Message("orderview", 1),
    ]
    assert [
        (batch.topic, batch.number, len(batch.parts)) for batch in reader.read(10, 0)
    ] == [
        ("productview", 0, 1),
        ("orderview", 0, 1),
    ]
    consumer.arriving = [Message("orderview", 2), Message("orderview", 3)]
    (batch,) = reader.read(10, 0)
    assert (batch.topic, batch.number, batch.parts) == ("orderview", 1, [2])


def test_a_rebalance_while_more_is_fetched_leaves_all_of_it_to_the_next_epoch(
    reader: Reader, consumer: Consumer
) -> None:
    consumer.arriving = [
        Message("productview", 0),
        Message("productview", 1),
        consumer.rebalance,
        Message("productview", 2),
    ]
    assert reader.read(2, 0) == []
    consumer.arriving = [Message("productview", 0)]
    (batch,) = reader.read(2, 0)
    assert (batch.epoch, batch.number) == (reader.epoch, 0)


def test_records_that_come_after_an_error_are_read_again_if_they_cannot_be_decoded(
    consumer: Consumer,
) -> None:
    def decode(_messages: Sequence[Any]) -> int:
        raise Unavailable("the registry is unreachable")

    reader = group_reader.GroupReader(Kafka(), "counts", "counts", {"productview": decode})
    consumer.arriving = [consumer.rebalance]
    reader.read(2, 0)
    before = reader.epoch
    error = Message("productview", -1, KafkaError(KafkaError._TRANSPORT))
    consumer.arriving = [error, Message("productview", 0)]
    with pytest.raises(Unavailable):
        reader.read(2, 0)
    reader.read(2, 0)
    assert reader.epoch == before + 1


def test_rewinding_a_reader_without_partitions_keeps_it_waiting_for_some(
    consumer: Consumer,
) -> None:
    reader = group_reader.GroupReader(Kafka(), "counts", "counts", {"productview": list})
    reader.rewind()
    reader.read(10, 0)
    reader.rewind()
    consumer.arriving = [consumer.rebalance]
    reader.read(10, 0)
    reader.commit("productview", reader.epoch, {0: (5, "17")})
    reader.read(10, 0)
    assert consumer.commits == [(5, "17")]


@pytest.mark.parametrize(
    "failure", [KafkaException(KafkaError(KafkaError._TRANSPORT)), None]
)
def test_what_was_fetched_before_a_failure_is_read_again(
    failure: Exception | None, consumer: Consumer
) -> None:
    def decode(messages: Sequence[Any]) -> int:
        if failure is None and messages[-1].offset() == 2:
            raise Unavailable("the registry is away")
        return len(messages)

    reader = group_reader.GroupReader(Kafka(), "counts", "counts", {"productview": decode})
    consumer.arriving = [consumer.rebalance]
    reader.read(2, 0)
    before = reader.epoch
    consumer.arriving = [
        Message("productview", 0),
        Message("productview", 1),
        Message("productview", 2),
        *([failure] if failure else []),
    ]
    with pytest.raises(Unavailable):
        reader.read(2, 0)
    consumer.arriving = []
    reader.read(2, 0)
    assert reader.epoch == before + 1
