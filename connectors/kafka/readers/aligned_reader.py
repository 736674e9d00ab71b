"""Whole topics read in one process: all partitions side by side, aligned by the log's own time.

No group shares the work; a group only keeps the offsets. The offsets of all topics are committed in
one request, so that they describe one process at one moment, even if two run by mistake.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from connectors.kafka import client as kafka
from connectors.kafka.readers.batches import Batch
from connectors.kafka.readers.broker_loss import BrokerLoss
from connectors.kafka.readers.topic_reader import TopicReader
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError, Refused, Unavailable
from schemas.topics import TopicPartition

COMMIT_SECONDS = 0.5
NEW_PARTITIONS_SECONDS = 10.0
# One topic is waited for this long while another may have records.
SHORT_WAIT_SECONDS = 0.05
# How far a topic may be ahead of another one that is not at its end.
MAX_AHEAD_MS = 60_000


@dataclass(frozen=True)
class EpochStart:
    """The next offset of each partition when an epoch began, and the notes committed with them."""

    epoch: int
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    notes: Mapping[TopicPartition, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AlignedBatch(Batch):
    """Records of one topic, ascending by offset within each partition.

    `number` counts the batches of all topics in an epoch. All that the log holds up to `reached_ms`
    (milliseconds of UTC), in every topic, is in this batch or came before it.
    """

    messages: Sequence[Message] = field(repr=False)
    start: EpochStart = field(repr=False)
    reached_ms: int


class AlignedReader:
    """Reads whole topics.

    `read`, `ends` and `close` belong to one thread; `rewind`, `epoch` and `commit` to any.
    """

    def __init__(
        self, cluster: Kafka, client_id: str, group: str, topics: Sequence[str]
    ) -> None:
        self._cluster = cluster
        self._group = group
        self._topics = list(topics)
        self._broker_loss = BrokerLoss()
        self._topic_readers = [
            TopicReader(
                cluster,
                client_id,
                group,
                topic,
                error_cb=self._broker_loss.on_error,
                on_commit=self._on_commit,
            )
            for topic in topics
        ]
        self._lock = threading.Lock()
        self._start = EpochStart(0)
        self._batch_number = 0
        self._handled_offsets: dict[TopicPartition, int] = {}
        self._note = ""
        self._has_uncommitted = False
        self._committed_at = 0.0
        self._partitions_checked_at = time.monotonic()
        self._rewind_requested = True

    @property
    def epoch(self) -> int:
        """The number of the present epoch, an uninterrupted reading."""
        return self._start.epoch

    @property
    def starts(self) -> Mapping[TopicPartition, int]:
        """The offsets at which the epoch began."""
        return self._start.offsets

    def read(self, max_records: int, wait_seconds: float) -> list[Batch]:
        """Return what has arrived: at most one batch per topic, of `max_records` each.

        Waits up to `wait_seconds` for a record. Raises Unavailable while Kafka is unreachable or a
        topic does not exist yet; Refused if the log does not continue where reading ended.
        """
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self._commit_handled()
        self._check_for_new_partitions()
        if self._rewind_requested:
            self._begin_epoch()
        batches = self._read_batches(max_records, wait_seconds)
        if not batches and self._broker_loss.is_lost:
            self._broker_loss.check(
                {reader.topic: reader.consumer for reader in self._topic_readers}
            )
        return batches

    def rewind(self) -> None:
        """Begin a new epoch at the committed offsets, with the next read."""
        self._rewind_requested = True

    def commit(self, batch: AlignedBatch, following: Mapping[int, int], note: str) -> None:
        """Have a topic's next offsets committed soon, by partition.

        They are committed with those of the other topics, and a note with all of them. Offsets of
        an epoch that is over are dropped.
        """
        with self._lock:
            if batch.epoch != self._start.epoch:
                return
            for partition, offset in following.items():
                self._handled_offsets[batch.topic, partition] = offset
            self._note = note
            self._has_uncommitted = True

    def ends(self) -> dict[TopicPartition, int]:
        """Return the last known end of each partition's records, without a request."""
        ends = {}
        for topic_reader in self._topic_readers:
            for partition in topic_reader.next_offsets:
                end = topic_reader.end(partition)
                if end is not None:
                    ends[topic_reader.topic, partition] = end
        return ends

    def close(self) -> None:
        """Commit what is handled, if Kafka is reachable, and close the consumers."""
        self._commit_handled(wait=not self._broker_loss.is_lost)
        for topic_reader in self._topic_readers:
            topic_reader.consumer.close()

    def _begin_epoch(self) -> None:
        watermarks = kafka.offsets(self._cluster, self._topics)
        self._check_topics_exist(watermarks)
        offsets = {partition: marks.low for partition, marks in watermarks.items()}
        notes = {}
        for topic_reader in self._topic_readers:
            for partition, (offset, note) in topic_reader.committed(watermarks).items():
                marks = watermarks[partition]
                if not marks.low <= offset <= marks.high:
                    raise _broken_log(partition, offset, marks, self._group)
                offsets[partition] = offset
                notes[partition] = note
        with self._lock:
            self._start = EpochStart(self._start.epoch + 1, offsets, notes)
            self._handled_offsets = dict(offsets)
            self._batch_number = 0
            self._rewind_requested = False
            self._has_uncommitted = False
        for topic_reader in self._topic_readers:
            topic_reader.assign(offsets)

    def _check_topics_exist(
        self, watermarks: Mapping[TopicPartition, kafka.Watermarks]
    ) -> None:
        existing = {topic for topic, _ in watermarks}
        for topic in self._topics:
            if topic not in existing:
                raise Unavailable(
                    f"topic {topic} does not exist yet",
                    "it is created with the first record; see ./kappa status",
                )

    def _read_batches(self, max_records: int, wait_seconds: float) -> list[Batch]:
        batches: list[Batch] = []
        # A topic at its end may have no record for long: the others' records do not wait for it.
        readable = sorted(self._readable(), key=lambda reader: reader.time_ms() is None)
        if len(readable) > 1:
            wait_seconds = min(wait_seconds, SHORT_WAIT_SECONDS)
        for topic_reader in readable:
            try:
                messages = topic_reader.fetch_records(
                    max_records, 0 if batches else wait_seconds
                )
            except KappaError:
                # Records that came before the error, in this or another topic, would be missing.
                self.rewind()
                raise
            if messages:
                batches.append(self._batch(topic_reader.topic, messages))
        return batches

    def _batch(self, topic: str, messages: Sequence[Message]) -> AlignedBatch:
        number = self._batch_number
        self._batch_number += 1
        return AlignedBatch(
            topic=topic,
            epoch=self.epoch,
            number=number,
            messages=messages,
            start=self._start,
            reached_ms=self._reached_ms(),
        )

    def _readable(self) -> list[TopicReader]:
        """Return the topics that are not far ahead of another one.

        This keeps in memory what the records of one topic need of another.
        """
        slowest_ms = min(self._unfinished_times_ms(), default=0)
        readable = []
        for topic_reader in self._topic_readers:
            time_ms = topic_reader.time_ms()
            if time_ms is None or time_ms <= slowest_ms + MAX_AHEAD_MS:
                readable.append(topic_reader)
        return readable

    def _reached_ms(self) -> int:
        times_ms = self._unfinished_times_ms()
        if times_ms:
            return min(times_ms)
        return max(topic_reader.newest_ms for topic_reader in self._topic_readers)

    def _unfinished_times_ms(self) -> list[int]:
        """Return the log's time of each topic that is not at its end."""
        times_ms = [topic_reader.time_ms() for topic_reader in self._topic_readers]
        return [time_ms for time_ms in times_ms if time_ms is not None]

    def _check_for_new_partitions(self) -> None:
        now = time.monotonic()
        if (
            self._rewind_requested
            or now - self._partitions_checked_at < NEW_PARTITIONS_SECONDS
        ):
            return
        self._partitions_checked_at = now
        partition_counts = kafka.list_topics(self._cluster)
        for topic_reader in self._topic_readers:
            count = partition_counts.get(topic_reader.topic, 0)
            if count > len(topic_reader.next_offsets):
                self.rewind()

    def _commit_handled(self, wait: bool = False) -> None:
        self._committed_at = time.monotonic()
        with self._lock:
            self._pass_markers()
            handled_offsets = dict(self._handled_offsets)
            note = self._note
            has_uncommitted = self._has_uncommitted
            self._has_uncommitted = False
        if not has_uncommitted:
            return
        offsets = [
            confluent_kafka.TopicPartition(topic, partition, offset, note)
            for (topic, partition), offset in handled_offsets.items()
        ]
        try:
            self._topic_readers[0].consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            self._on_commit(error.args[0], offsets)

    def _pass_markers(self) -> None:
        """Count the transaction markers behind the last record as handled, if the record is."""
        if not self._note:
            return
        for topic_reader in self._topic_readers:
            for number, next_offset in topic_reader.next_offsets.items():
                partition = topic_reader.topic, number
                handled_offset = self._handled_offsets.get(partition, 0)
                end = topic_reader.reached_end(number)
                if end is not None and next_offset <= handled_offset < end:
                    self._handled_offsets[partition] = end
                    self._has_uncommitted = True

    def _on_commit(
        self, error: KafkaError | None, offsets: list[confluent_kafka.TopicPartition]
    ) -> None:
        """Have offsets that Kafka did not accept committed the next time."""
        if error is not None or any(partition.error for partition in offsets):
            self._has_uncommitted = True


def _broken_log(
    partition: TopicPartition, offset: int, watermarks: kafka.Watermarks, group: str
) -> Refused:
    topic, number = partition
    return Refused(
        f"{topic}[{number}] holds offsets {watermarks.low} to {watermarks.high}, but group {group} "
        f"is at {offset}: the topic was recreated or shortened, so what was computed from it "
        "cannot be continued",
        "restore the topic; or compute it from its start into new tables: ./kappa replay counts",
    )
