"""One topic's consumer, and how far it has read: a part of the aligned reader."""

from collections.abc import Callable, Mapping

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, Message

from connectors.kafka import client as kafka
from connectors.kafka.readers.partition_consumer import driver_partitions, fetch
from connectors.runtime.settings import Kafka
from schemas.topics import TopicPartition

QUEUE_KILOBYTES = 32_768


class TopicReader:
    """Reads all partitions of a topic.

    `next_offsets` has the offset after the last fetched record of each partition, `newest_ms` the
    greatest timestamp of a fetched record, in milliseconds of UTC.
    """

    def __init__(
        self,
        cluster: Kafka,
        client_id: str,
        group: str,
        topic: str,
        **callbacks: Callable[..., None],
    ) -> None:
        settings = {
            "group.id": group,
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": QUEUE_KILOBYTES,
        }
        self.consumer: Consumer = kafka.reader(cluster, client_id, **settings, **callbacks)
        self.topic = topic
        self.newest_ms = 0
        self.next_offsets: dict[int, int] = {}
        self._record_times_ms: dict[int, int] = {}
        self._reached_ends: dict[int, int] = {}

    def committed(
        self, watermarks: Mapping[TopicPartition, kafka.Watermarks]
    ) -> dict[TopicPartition, tuple[int, str]]:
        """Return the committed offset and note of each partition of the topic that has one."""
        partitions = [
            confluent_kafka.TopicPartition(topic, partition)
            for topic, partition in watermarks
            if topic == self.topic
        ]
        with kafka.errors(f"reading the committed offsets of {self.topic}"):
            answers = self.consumer.committed(partitions, timeout=kafka.TIMEOUT_SECONDS)
        return {
            (answer.topic, answer.partition): (answer.offset, answer.metadata or "")
            for answer in answers
            if answer.offset >= 0
        }

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read the topic's partitions among these from their offsets on."""
        own_offsets = {
            partition: offset
            for partition, offset in offsets.items()
            if partition[0] == self.topic
        }
        self.next_offsets = {
            partition: offset for (_, partition), offset in own_offsets.items()
        }
        self._record_times_ms = dict.fromkeys(self.next_offsets, 0)
        self._reached_ends = {}
        with kafka.errors(f"beginning to read {self.topic}"):
            self.consumer.assign(driver_partitions(own_offsets))

    def time_ms(self) -> int | None:
        """Return the log's time up to which every partition is read; None if all are at their ends.

        In milliseconds of UTC.
        """
        unfinished_times = [
            time_ms
            for partition, time_ms in self._record_times_ms.items()
            if partition not in self._reached_ends
        ]
        return min(unfinished_times, default=None)

    def reached_end(self, partition: int) -> int | None:
        """Return the end of a partition if all before it was fetched, None while there is more."""
        return self._reached_ends.get(partition)

    def end(self, partition: int) -> int | None:
        """Return the end of a partition's records as last known, without a request.

        None if it is not known yet. Transaction markers at the end of the log are no records to
        wait for.
        """
        driver_partition = confluent_kafka.TopicPartition(self.topic, partition)
        with kafka.errors(f"reading the end of {self.topic}[{partition}]"):
            _, high = self.consumer.get_watermark_offsets(driver_partition, cached=True)
        if high < 0:
            return None
        is_at_end = self.reached_end(partition) == high
        return self.next_offsets[partition] if is_at_end else int(high)

    def fetch_records(self, max_records: int, wait_seconds: float) -> list[Message]:
        """Wait for a record, and return it with those that are at hand.

        Raises Unavailable, Refused.
        """
        with kafka.errors(f"reading {self.topic}"):
            messages = fetch(self.consumer, max_records, wait_seconds)
        return [message for message in messages if self._note_message(message)]

    def _note_message(self, message: Message) -> bool:
        """Note how far the topic is read. Returns whether a message is a record."""
        partition = message.partition() or 0
        offset = message.offset() or 0
        error = message.error()
        if error is None:
            self._reached_ends.pop(partition, None)
            self.next_offsets[partition] = offset + 1
            _, time_ms = message.timestamp()
            self._record_times_ms[partition] = time_ms
            self.newest_ms = max(self.newest_ms, time_ms)
            return True
        if error.code() != KafkaError._PARTITION_EOF:
            raise kafka.as_kappa_error(error, f"reading {self.topic}[{partition}]")
        self._reached_ends[partition] = offset
        return False
