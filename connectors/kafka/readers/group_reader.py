"""A member of a consumer group that reads batches in the order of the log, with none missing.

librdkafka shares the partitions and fetches the bytes. This adds what exact counting needs to know:
which batches belong to one uninterrupted reading (`epoch`), and whether one of them was lost on its
way to the counting code (`number`).
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

import confluent_kafka
from confluent_kafka import OFFSET_INVALID, Consumer, Message

from connectors.kafka.client import (
    SEE_KAFKA,
    as_kappa_error,
    errors,
    group_consumer,
)
from connectors.kafka.readers.batches import DecodedBatch, Part
from connectors.kafka.readers.broker_loss import BrokerLoss
from connectors.kafka.readers.committed_start import CommittedStart, committed_start
from connectors.kafka.readers.offset_commits import OffsetAndNote, OffsetCommits
from connectors.kafka.readers.reader_state import ReaderState, ReaderStateMachine
from connectors.runtime.settings import Kafka
from schemas.errors import Unavailable
from schemas.topics import TopicPartition

COMMIT_SECONDS = 0.2
# After the first record, more are awaited for this long: a batch costs about as much as a thousand
# of its records.
GATHER_SECONDS = 0.004
# A rebalance takes a session timeout if members were killed, and some seconds until all members
# have joined.
REBALANCE_SECONDS = 30.0

# A batch has at most MAX_BATCH_RECORDS, as far as they are at hand. The first batches are small:
# counting must read every row from Cassandra, and should count again soon with little memory. A
# batch that is counted within QUICK_SECONDS lets the next one be twice as large, a slower one half.
MAX_BATCH_RECORDS = 50_000
MIN_BATCH_RECORDS = 2_000
QUICK_SECONDS = 0.3

CONSUMER_SETTINGS = {
    # An eager assignment revokes all partitions before it assigns any, so that every epoch begins
    # at the committed offsets.
    "partition.assignment.strategy": "roundrobin",
    "topic.metadata.refresh.interval.ms": 10_000,
    "queued.max.messages.kbytes": 32_768,
    # A full queue is filled again after this time. With the default of a second, a replay would
    # spend most of its time waiting.
    "fetch.queue.backoff.ms": 20,
}

Decoder = Callable[[Sequence[Message]], Part]


@dataclass
class _ReadResult(Generic[Part]):
    """The decoded parts by topic that one `read` has fetched so far."""

    parts: defaultdict[str, list[Part]] = field(default_factory=lambda: defaultdict(list))
    records: int = 0
    has_records: bool = False
    has_more: bool = True


class GroupReader(Generic[Part]):
    """Reads topics as a member of a group, which it joins with the first `read`.

    A process that never reads takes no partitions from other members. `read`, `ends` and `close`
    belong to one thread; `epoch`, `rewind` and `commit` to any.

    Records are decoded in the reading thread, while they are in the processor's cache, and only the
    result is handed on: passing the records to another thread would take as long again as decoding
    them.
    """

    def __init__(
        self,
        kafka: Kafka,
        client_id: str,
        group: str,
        decoders: Mapping[str, Decoder[Part]],
    ) -> None:
        """`decoders` has the topics, each with the function that decodes its records.

        A decoder may raise Unavailable; the records are then read and decoded again.
        """
        self._broker_loss = BrokerLoss()
        self._commits = OffsetCommits()
        self._consumer: Consumer = group_consumer(
            kafka,
            client_id,
            group,
            on_commit=self._commits.on_commit,
            error_cb=self._broker_loss.on_error,
            **CONSUMER_SETTINGS,
        )
        self._group = group
        self._decoders = decoders
        self._topics = list(decoders)
        self._state = ReaderStateMachine()
        self._joining_since = 0.0
        self._partitions: list[confluent_kafka.TopicPartition] = []
        self._start = CommittedStart()
        self._batch_numbers: Counter[str] = Counter()
        self._batch_records = MIN_BATCH_RECORDS
        self._committed_at = 0.0
        self.epoch = 0

    @property
    def starts(self) -> Mapping[TopicPartition, int]:
        """The committed offsets at which the epoch began."""
        return self._start.offsets

    @property
    def notes(self) -> Mapping[TopicPartition, str]:
        """The notes that were committed with `starts`."""
        return self._start.notes

    def read(self, max_records: int, wait_seconds: float) -> list[DecodedBatch[Part]]:
        """Return what has arrived, as one batch per topic.

        Waits up to `wait_seconds` for a record. Fetches `max_records` at a time, one part of a
        batch each. Raises Unavailable while Kafka is unreachable; Refused while the log does not
        continue where the counts ended.
        """
        if self._state.current is ReaderState.NOT_JOINED:
            self._join()
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self._send_commits()
        if self._state.current is ReaderState.REWINDING:
            self._begin_again()
        epoch = self.epoch
        result: _ReadResult[Part] = _ReadResult()
        try:
            self._fetch_decoded(result, max_records, wait_seconds)
        except Exception:
            if result.has_records:
                self.rewind()  # otherwise these records would be missing
            raise
        if not result.parts and self._broker_loss.is_lost:
            self._broker_loss.check({self._topics[0]: self._consumer})
        self._check_rebalance_time()
        if self._state.current is ReaderState.CHECKING:
            self._resume_if_logs_continue()
        if self.epoch != epoch or self._state.current is not ReaderState.READING:
            return []  # a new epoch fetches again what came before the rebalance
        return [
            self._batch(topic, parts, result.has_more)
            for topic, parts in result.parts.items()
        ]

    def counted_within(self, seconds: float) -> None:
        """Adapt the size of the next batches to how long the counting of one took."""
        if seconds < QUICK_SECONDS:
            self._batch_records = min(2 * self._batch_records, MAX_BATCH_RECORDS)
        else:
            self._batch_records = max(self._batch_records // 2, MIN_BATCH_RECORDS)

    def rewind(self) -> None:
        """Begin a new epoch at the committed offsets, with the next read.

        This is the cure if a batch or its writes were lost. No further offset of this epoch is
        committed.
        """
        epoch = self.epoch
        if self._state.rewind():
            self._commits.end_epoch(epoch)

    def commit(
        self, topic: str, epoch: int, following: Mapping[int, OffsetAndNote]
    ) -> None:
        """Have a topic's next offsets committed soon, by partition and with a note each.

        The reading thread commits them: librdkafka would make any other thread wait for its poll.
        Offsets of an epoch that is over are dropped.
        """
        self._commits.add_offsets(topic, epoch, following)

    def ends(self) -> dict[TopicPartition, int]:
        """Return the last known high watermark of each assigned partition, without a request."""
        ends = self._start.ends
        for partition in self._partitions:
            key = partition.topic, partition.partition
            with errors(f"reading the end of {partition.topic}[{partition.partition}]"):
                _, high = self._consumer.get_watermark_offsets(partition, cached=True)
            if high >= 0 and key in ends:
                ends[key] = high
        return dict(ends)

    def close(self) -> None:
        """Leave the group, so that other members do not wait for the session to time out."""
        self._send_commits()
        self._consumer.close()

    def _join(self) -> None:
        with errors(f"joining the group that reads {', '.join(self._topics)}"):
            self._consumer.subscribe(
                self._topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
        self._state.enter(ReaderState.JOINING)
        self._joining_since = time.monotonic()

    def _check_rebalance_time(self) -> None:
        joining_seconds = time.monotonic() - self._joining_since
        if (
            self._state.current is ReaderState.JOINING
            and joining_seconds > REBALANCE_SECONDS
        ):
            raise Unavailable(
                f"Kafka has assigned no partitions of group {self._group} for "
                f"{REBALANCE_SECONDS:.0f} s",
                SEE_KAFKA,
            )

    def _send_commits(self) -> None:
        self._committed_at = time.monotonic()
        self._commits.send(self._consumer)

    def _fetch_decoded(
        self, result: _ReadResult[Part], max_records: int, wait_seconds: float
    ) -> None:
        """Fetch and decode what is at hand; stop when the epoch ends."""
        epoch = self.epoch
        while result.has_more and result.records < self._batch_records:
            max_messages = min(max_records, self._batch_records - result.records)
            # While new partitions are checked no records flow, but the next rebalance may come.
            is_checking = self._state.current is ReaderState.CHECKING
            poll_seconds = 0 if is_checking or result.records else wait_seconds
            messages = self._fetch(result, max_messages, poll_seconds)
            if is_checking or self.epoch != epoch:
                return
            result.records += len(messages)
            result.has_more = len(messages) >= max_messages
            for topic, records in self._by_topic(messages).items():
                result.parts[topic].append(self._decoders[topic](records))

    def _fetch(
        self, result: _ReadResult[Part], max_messages: int, poll_seconds: float
    ) -> list[Message]:
        """Wait for a message, and return it with those that come soon after."""
        with errors(f"reading {', '.join(self._topics)}"):
            first = self._consumer.poll(poll_seconds)
            if first is None:
                return []
            # Noted before the second request, which may fail.
            result.has_records |= first.error() is None
            messages = [first, *self._consumer.consume(max_messages - 1, GATHER_SECONDS)]
        result.has_records = result.has_records or any(
            message.error() is None for message in messages
        )
        return messages

    def _by_topic(self, messages: Sequence[Message]) -> Mapping[str, Sequence[Message]]:
        """Return the records of some messages by topic, without errors.

        Raises the last error if there are no records.
        """
        if not messages:
            return {}
        kind: Any = type(messages[0])  # calling the class's own methods takes half the time
        if any(map(kind.error, messages)):
            records = [message for message in messages if message.error() is None]
            if not records:
                last = messages[-1]
                raise as_kappa_error(
                    last.error(), f"reading {last.topic() or ', '.join(self._topics)}"
                )
            messages = records
        names = list(map(kind.topic, messages))
        if names.count(names[0]) == len(names):
            return {names[0]: messages}
        records_by_topic: defaultdict[str, list[Message]] = defaultdict(list)
        for message, name in zip(messages, names, strict=True):
            records_by_topic[name].append(message)
        return {topic: records_by_topic[topic] for topic in self._topics if topic in names}

    def _on_assign(
        self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]
    ) -> None:
        consumer.assign(partitions)
        consumer.pause(partitions)
        self._partitions = partitions
        self._begin_epoch(ReaderState.CHECKING)

    def _on_revoke(
        self, _consumer: Consumer, _partitions: list[confluent_kafka.TopicPartition]
    ) -> None:
        self._send_commits()
        self._partitions = []
        self._start = CommittedStart()
        self._joining_since = time.monotonic()
        self._begin_epoch(ReaderState.JOINING)

    def _begin_epoch(self, state: ReaderState) -> None:
        self._state.enter(state)
        self.epoch += 1
        self._commits.begin_epoch(self.epoch)
        self._batch_numbers.clear()
        self._batch_records = MIN_BATCH_RECORDS

    def _begin_again(self) -> None:
        partitions = [
            confluent_kafka.TopicPartition(p.topic, p.partition, OFFSET_INVALID)
            for p in self._partitions
        ]
        with errors("beginning again at the committed offsets"):
            self._consumer.unassign()
            self._on_assign(self._consumer, partitions)

    def _resume_if_logs_continue(self) -> None:
        """Let records flow. Raises Refused if a log does not continue the counts, Unavailable."""
        start = committed_start(self._consumer, self._partitions)
        with errors("resuming the partitions"):
            self._consumer.resume(self._partitions)
        self._start = start
        self._state.enter(ReaderState.READING)

    def _batch(
        self, topic: str, parts: Sequence[Part], has_more: bool
    ) -> DecodedBatch[Part]:
        number = self._batch_numbers[topic]
        self._batch_numbers[topic] += 1
        return DecodedBatch(
            topic=topic, epoch=self.epoch, number=number, parts=parts, more=has_more
        )
