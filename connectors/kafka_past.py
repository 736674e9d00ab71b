"""The log as it was: a topic's records read again, from some time on up to where somebody has got."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from connectors import kafka
from infra.errors import Unavailable
from infra.settings import Kafka

MOST_AT_ONCE = 10_000
POLL_SECONDS = 0.5
SILENCE_SECONDS = 30.0
QUEUE_KILOBYTES = 16_384  # per partition; librdkafka's own would be four times as much

Place = tuple[str, int]


@dataclass(frozen=True)
class Stretch:
    """Part of a topic. `from_the_first` says that the log holds nothing older.

    `records` has some thousand at a time, or none while it waits; it raises Unavailable if Kafka falls silent.
    """

    from_the_first: bool
    records: Iterator[list[Message]] = field(repr=False)


class Past:
    """Reads topics again; joins no group and moves none."""

    def __init__(self, cluster: Kafka, client_id: str) -> None:
        self._cluster, self._client_id = cluster, client_id

    def since(self, topic: str, at_ms: int, upto: Mapping[Place, int]) -> Stretch:
        """The records of each partition that `upto` names, from the first one logged at or after a time, up to an offset.

        No record before the stretch was logged at or after that time. Raises Unavailable.
        """
        ranges = kafka.offsets(self._cluster, [topic])
        found = kafka.offsets_at(self._cluster, [topic], max(at_ms, 0))
        starts = {place: span.stable if (offset := found.get(place)) is None else offset for place, span in ranges.items()}
        spans = {place[1]: (starts[place], upto[place]) for place in starts if starts[place] < upto.get(place, 0)}
        return Stretch(all(start <= ranges[place].low for place, start in starts.items()), self._records(topic, spans))

    def _records(self, topic: str, spans: Mapping[int, tuple[int, int]]) -> Iterator[list[Message]]:
        if not spans:
            return
        more = {"enable.partition.eof": True, "queued.max.messages.kbytes": QUEUE_KILOBYTES}
        consumer: Consumer = kafka.reader(self._cluster, self._client_id, **more)
        left = {partition: end for partition, (_, end) in spans.items()}
        heard_at = time.monotonic()
        try:
            with kafka.errors(f"reading {topic} again"):
                consumer.assign([TopicPartition(topic, partition, start) for partition, (start, _) in spans.items()])
                while left:
                    messages = consumer.consume(MOST_AT_ONCE, POLL_SECONDS)
                    yield [message for message in messages if _is_wanted(message, left)]
                    heard_at = time.monotonic() if messages else heard_at
                    if time.monotonic() - heard_at > SILENCE_SECONDS:
                        raise Unavailable(f"Kafka gave nothing of {topic} for {SILENCE_SECONDS:.0f} s", "see ./kappa status and ./kappa logs kafka")
        finally:
            consumer.close()


def _is_wanted(message: Message, left: dict[int, int]) -> bool:
    """Whether a message is a record before its partition's end; a partition that has come there leaves `left`.

    The last offsets may hold no record: aborted records and Kafka's own marks have offsets too.
    """
    error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise kafka.as_kappa_error(error, f"reading {message.topic() or 'the log'} again")
    end = left.get(partition)
    if end is None:
        return False
    if error is not None:
        if offset >= end:
            del left[partition]
        return False
    if offset >= end - 1:
        del left[partition]
    return offset < end
