"""The records of offset ranges of the log, in batches."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from connectors.kafka.client import Watermarks
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.runtime.settings import Kafka
from schemas.errors import WarehouseError
from schemas.topics import TopicPartition, kafka_topic
from schemas.warehouse_layout import Source

# A task of the compactor holds this much of one partition's answer at most.
FETCH_SETTINGS: dict[str, Any] = {"fetch.message.max.bytes": 4_194_304}


@dataclass(frozen=True)
class OffsetRange:
    """A range of one partition of a topic: from offset `start` up to, not including, `end`."""

    source: Source
    partition: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """The number of offsets: of records, aborted records and Kafka's own marks together."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.source.topic}[{self.partition}]@{self.start}-{self.end}"


class RangeReader:
    """Reads some ranges of the log side by side, since each alone would wait for its first answer.

    A context manager. Ranges of topics that are one in Kafka are read once, and have all records.
    """

    def __init__(self, kafka: Kafka, client_id: str, ranges: Sequence[OffsetRange]) -> None:
        self._ranges: defaultdict[TopicPartition, list[OffsetRange]] = defaultdict(list)
        for offset_range in ranges:
            self._ranges[_partition(offset_range)].append(offset_range)
        offsets = {
            partition: range(
                min(offset_range.start for offset_range in partition_ranges),
                max(offset_range.end for offset_range in partition_ranges),
            )
            for partition, partition_ranges in self._ranges.items()
        }
        self._consumer = RangeConsumer(kafka, client_id, offsets, **FETCH_SETTINGS)

    def __enter__(self) -> "RangeReader":
        self._consumer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.__exit__()

    def batches(self) -> Iterator[tuple[OffsetRange, list[Message]]]:
        """Yield the committed records of all ranges, each range's in offset order.

        Raises Unavailable if Kafka falls silent before their ends, Refused if it no longer has
        their beginnings.
        """
        for batch in self._consumer.batches():
            for partition, messages in batch.items():
                for offset_range in list(self._ranges[partition]):
                    own_messages = _messages_in(offset_range, messages)
                    if own_messages:
                        yield offset_range, own_messages

    def stop_reading(self, offset_range: OffsetRange) -> None:
        """Stop reading records of a range. Raises Unavailable."""
        partition = _partition(offset_range)
        partition_ranges = self._ranges[partition]
        if offset_range in partition_ranges:
            partition_ranges.remove(offset_range)
        if not partition_ranges:
            self._consumer.stop_reading(partition)


def _partition(offset_range: OffsetRange) -> TopicPartition:
    return kafka_topic(offset_range.source.topic), offset_range.partition


def _messages_in(offset_range: OffsetRange, messages: Sequence[Message]) -> list[Message]:
    return [
        message
        for message in messages
        if offset_range.start <= (message.offset() or 0) < offset_range.end
    ]


def check_retained(
    topic: str, partition: int, next_offset: int | None, watermarks: Watermarks
) -> None:
    """Raise WarehouseError if a partition no longer holds, or no longer reaches, what is read next.

    `next_offset` is None for a partition of which nothing was read yet.
    """
    first = next_offset or 0
    if watermarks.low > first:
        raise WarehouseError(
            f"{topic}[{partition}] begins at offset {watermarks.low}: records {first} to "
            f"{watermarks.low - 1} are gone and were never archived",
            "restore the topic, or rebuild the warehouse from a new snapshot",
        )
    if next_offset is not None and watermarks.high < next_offset:
        raise WarehouseError(
            f"{topic}[{partition}] ends at offset {watermarks.high}, but version data up to "
            f"{next_offset} is published: the topic was recreated",
            "restore the topic, or rebuild the warehouse from a new snapshot",
        )
