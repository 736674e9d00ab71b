"""Reading ranges of offsets: the committed records of some partitions, from offset to offset.

Every program that reads a closed part of the log uses this: the compactor, replays, the proof of
the counts, the conversion's look back, the dead letters.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Self

from confluent_kafka import KafkaError, Message

from connectors.kafka import client as kafka
from connectors.kafka.readers.partition_consumer import PartitionConsumer
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError, Unavailable
from schemas.topics import TopicPartition

BATCH_RECORDS = 10_000
WAIT_SECONDS = 0.5
SILENCE_SECONDS = 30.0
# All records of a range exist already, so the broker does not have to wait for further ones before
# it answers. A consumer buffers 16 MiB per partition, a quarter of librdkafka's default.
SETTINGS = {
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 10,
    "queued.max.messages.kbytes": 16_384,
}

Batch = dict[TopicPartition, list[Message]]


class RangeConsumer:
    """Reads ranges of offsets side by side: alone, each would wait for its first answer.

    `ranges` has the first offset of each partition and the offset to stop before, which must not be
    above the last stable offset. `subject` names what is read, for error messages; `settings` are
    librdkafka's. Leaving its context closes the consumer. For use by one thread.

    A broker that is unreachable for a while does not end the reading: librdkafka reconnects.
    """

    def __init__(
        self,
        cluster: Kafka,
        client_id: str,
        ranges: Mapping[TopicPartition, range],
        *,
        subject: str = "the log",
        wait_seconds: float = WAIT_SECONDS,
        gather_seconds: float = 0.0,
        silence_seconds: float = SILENCE_SECONDS,
        **settings: Any,
    ) -> None:
        self._ranges = {
            partition: offsets for partition, offsets in ranges.items() if offsets
        }
        self._unread = set(self._ranges)
        self._positions = {
            partition: offsets.start for partition, offsets in self._ranges.items()
        }
        self._subject = subject
        self._wait_seconds = wait_seconds
        self._gather_seconds = gather_seconds
        self._silence_seconds = silence_seconds
        self._last_error: KappaError | None = None
        self._consumer = None
        if self._ranges:
            self._consumer = PartitionConsumer(
                cluster,
                client_id,
                self._positions,
                subject=subject,
                **(SETTINGS | settings),
            )

    def __enter__(self) -> Self:
        if self._consumer is not None:
            self._consumer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._consumer is not None:
            self._consumer.__exit__()

    @property
    def total_offsets(self) -> int:
        """How many offsets the ranges have; not all of them hold a committed record."""
        return sum(len(offsets) for offsets in self._ranges.values())

    @property
    def read_offsets(self) -> int:
        """How many of the offsets have been passed."""
        read_offsets = 0
        for partition, offsets in self._ranges.items():
            position = min(self._positions[partition], offsets.stop)
            read_offsets += position - offsets.start
        return read_offsets

    def batches(self) -> Iterator[Batch]:
        """Yield the records of all ranges, those of each partition in the order of the log.

        A batch is empty while nothing arrives. Raises Unavailable if nothing arrives for
        `silence_seconds`; Refused if the log no longer holds the start of a range.
        """
        heard_at = time.monotonic()
        while self._unread and self._consumer is not None:
            messages = self._consumer.fetch(
                BATCH_RECORDS, self._wait_seconds, self._gather_seconds
            )
            batch: defaultdict[TopicPartition, list[Message]] = defaultdict(list)
            has_progress = False
            for message in messages:
                has_progress |= self._sort_in(message, batch)
            if has_progress:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > self._silence_seconds:
                raise self._silence()
            yield batch
            self._stop_finished()

    def records(self) -> Iterator[Message]:
        """Yield the records of all ranges one by one. Raises as `batches` does."""
        for batch in self.batches():
            for messages in batch.values():
                yield from messages

    def stop_reading(self, partition: TopicPartition) -> None:
        """Stop reading a partition. Raises Unavailable, Refused."""
        if partition not in self._unread:
            return
        self._unread.remove(partition)
        if self._unread and self._consumer is not None:
            self._consumer.remove_partition(partition)

    def _sort_in(
        self, message: Message, batch: defaultdict[TopicPartition, list[Message]]
    ) -> bool:
        """Add a record to the batch if its range holds it. Returns whether Kafka sent anything.

        Aborted records and transaction markers have offsets too, so the last offsets of a range may
        hold no record: then the end-of-partition event, or a record behind the range, ends it.
        """
        partition = message.topic() or "", message.partition() or 0
        offset = message.offset() or 0
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                self._note_error(error)
                return False
            if partition in self._unread:
                self._positions[partition] = max(self._positions[partition], offset)
            return True
        if partition in self._unread:
            self._positions[partition] = offset + 1
            if offset in self._ranges[partition]:
                batch[partition].append(message)
        return True

    def _note_error(self, error: KafkaError) -> None:
        kappa_error = kafka.as_kappa_error(error, f"reading {self._subject}")
        if not isinstance(kappa_error, Unavailable):
            raise kappa_error
        self._last_error = kappa_error

    def _stop_finished(self) -> None:
        for partition in sorted(self._unread):
            if self._positions[partition] >= self._ranges[partition].stop:
                self.stop_reading(partition)

    def _silence(self) -> Unavailable:
        reason = f"; the last error was: {self._last_error}" if self._last_error else ""
        return Unavailable(
            f"Kafka sent nothing of {self._subject} for {self._silence_seconds:.0f} s{reason}",
            kafka.SEE_KAFKA,
        )
