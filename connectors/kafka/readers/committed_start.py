"""The committed offsets of a group, and whether the log still continues at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import confluent_kafka
from confluent_kafka import Consumer

from connectors.kafka.client import TIMEOUT_SECONDS, errors, group_consumer
from connectors.runtime.settings import Kafka
from schemas.errors import Refused
from schemas.topics import TopicPartition

# The note of a partition whose group never committed an offset.
NEVER_COMMITTED = "-1"


@dataclass(frozen=True)
class CommittedStart:
    """Where an epoch begins: offsets and notes as committed, and the high watermarks then."""

    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    notes: dict[TopicPartition, str] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)


def committed_start(
    consumer: Consumer, partitions: Sequence[confluent_kafka.TopicPartition]
) -> CommittedStart:
    """Return the committed offsets of a member's partitions; the first offset where there is none.

    Raises Refused if a log begins after or ends before its committed offset, since what was
    computed up to there would be wrong; Unavailable.
    """
    start = CommittedStart()
    if not partitions:
        return start
    with errors("reading the committed offsets"):
        for position in consumer.committed(partitions, timeout=TIMEOUT_SECONDS):
            low, high = consumer.get_watermark_offsets(position, timeout=TIMEOUT_SECONDS)
            partition = position.topic, position.partition
            start.ends[partition] = high
            if position.offset < 0:
                start.offsets[partition] = low
                start.notes[partition] = NEVER_COMMITTED
                continue
            if not low <= position.offset <= high:
                raise _broken_log(position, low, high)
            start.offsets[partition] = position.offset
            start.notes[partition] = position.metadata or ""
    return start


def start_group(kafka: Kafka, group: str, starts: Mapping[TopicPartition, int]) -> None:
    """Set the offsets at which a group without members begins, with nothing counted before.

    Raises Refused, Unavailable.
    """
    offsets = [
        confluent_kafka.TopicPartition(topic, partition, offset, NEVER_COMMITTED)
        for (topic, partition), offset in starts.items()
    ]
    consumer = group_consumer(kafka, "kappa-onlooker", group)
    try:
        with errors(f"setting the offsets of group {group}"):
            consumer.commit(offsets=offsets, asynchronous=False)
    finally:
        consumer.close()


def _broken_log(position: confluent_kafka.TopicPartition, low: int, high: int) -> Refused:
    return Refused(
        f"{position.topic}[{position.partition}] holds offsets {low} to {high}, but was counted "
        f"up to {position.offset}: the topic was recreated or shortened, so its counts cannot be "
        "continued",
        "restore the topic; or count it from its start into new tables: ./kappa replay counts",
    )
