"""Offsets to commit for a group: collected by any thread, committed by the reading one."""

import threading
from collections.abc import Mapping

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from schemas.topics import TopicPartition

OffsetAndNote = tuple[int, str]


class OffsetCommits:
    """The next offsets of one epoch's partitions, with a note each.

    Offsets of another epoch are dropped: the present owner of the partitions may have committed
    later ones. Offsets that Kafka did not accept are committed again.
    """

    def __init__(self) -> None:
        self._open_epoch: int | None = None
        self._due: dict[TopicPartition, OffsetAndNote] = {}
        self._unconfirmed: dict[TopicPartition, OffsetAndNote] = {}
        self._lock = threading.Lock()

    def begin_epoch(self, epoch: int) -> None:
        """Accept offsets of this epoch only, and forget those of earlier ones."""
        with self._lock:
            self._open_epoch = epoch
            self._due = {}
            self._unconfirmed = {}

    def end_epoch(self, epoch: int) -> None:
        """Accept no further offsets of an epoch; those that are due are still committed."""
        with self._lock:
            if self._open_epoch == epoch:
                self._open_epoch = None

    def add_offsets(
        self, topic: str, epoch: int, offsets: Mapping[int, OffsetAndNote]
    ) -> None:
        """Have a topic's next offsets committed soon, by partition."""
        with self._lock:
            if epoch == self._open_epoch:
                self._due |= {
                    (topic, partition): offset for partition, offset in offsets.items()
                }

    def send(self, consumer: Consumer) -> None:
        """Commit the offsets that are due, without waiting.

        It does no harm if a partition has moved to another member: its rows are as far as
        its offset says.
        """
        with self._lock:
            due = self._due
            self._due = {}
            self._unconfirmed |= due
        if not due:
            return
        offsets = [
            confluent_kafka.TopicPartition(topic, partition, offset, note)
            for (topic, partition), (offset, note) in due.items()
        ]
        try:
            consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)

    def on_commit(
        self, error: KafkaError | None, offsets: list[confluent_kafka.TopicPartition]
    ) -> None:
        """Keep rejected offsets for the next time, unless later ones are due or the epoch is over.

        For the consumer's `on_commit`.
        """
        rejected_offsets = {
            (p.topic, p.partition): p.offset for p in offsets if error or p.error
        }
        with self._lock:
            failed = {
                partition: offset_and_note
                for partition, offset_and_note in self._unconfirmed.items()
                if rejected_offsets.get(partition) == offset_and_note[0]
            }
            self._due = failed | self._due
