"""Reading a topic's past again: from a time on, up to given offsets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Message

from connectors.kafka import client as kafka
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.runtime.settings import Kafka
from schemas.topics import TopicPartition

SILENCE_SECONDS = 30.0
# Waiting this long for a full batch is cheaper than decoding many small ones.
GATHER_SECONDS = 0.05


@dataclass(frozen=True)
class PastRecords:
    """Records of a topic; `from_log_start` says that the log holds no older ones.

    `records` yields up to some thousand at a time, and an empty list while it waits; it raises
    Unavailable if Kafka falls silent.
    """

    from_log_start: bool
    records: Iterator[list[Message]] = field(repr=False)


class Lookback:
    """Reads topics again. It joins no group and moves none."""

    def __init__(self, cluster: Kafka, client_id: str) -> None:
        self._cluster = cluster
        self._client_id = client_id

    def since(
        self, topic: str, at_ms: int, ends: Mapping[TopicPartition, int]
    ) -> PastRecords:
        """Return the records of each partition in `ends` up to its end, from a time on.

        They start at the first record that was logged at or after `at_ms` (milliseconds of UTC).
        Raises Unavailable.
        """
        watermarks = kafka.offsets(self._cluster, [topic])
        first_offsets = kafka.offsets_at(self._cluster, [topic], max(at_ms, 0))
        from_log_start = True
        ranges = {}
        for partition, marks in watermarks.items():
            first_offset = first_offsets.get(partition)
            start = marks.stable if first_offset is None else first_offset
            ranges[partition] = range(start, ends.get(partition, 0))
            from_log_start = from_log_start and start <= marks.low
        return PastRecords(from_log_start, self._records(topic, ranges))

    def _records(
        self, topic: str, ranges: Mapping[TopicPartition, range]
    ) -> Iterator[list[Message]]:
        with RangeConsumer(
            self._cluster,
            self._client_id,
            ranges,
            subject=topic,
            gather_seconds=GATHER_SECONDS,
            silence_seconds=SILENCE_SECONDS,
        ) as consumer:
            for batch in consumer.batches():
                records: list[Message] = []
                for messages in batch.values():
                    records += messages
                yield records
