"""Consumers of assigned partitions: they join no group and commit nothing."""

from collections.abc import Mapping
from typing import Any, Self

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, Message

from connectors.kafka import client as kafka
from connectors.runtime.settings import Kafka
from schemas.topics import TopicPartition


class PartitionConsumer:
    """Reads the committed records of some partitions from given offsets on, without an end.

    `subject` names what is read, for error messages; `settings` are librdkafka's. Leaving its
    context closes the consumer. For use by one thread.
    """

    def __init__(
        self,
        cluster: Kafka,
        client_id: str,
        starts: Mapping[TopicPartition, int],
        *,
        subject: str = "the log",
        **settings: Any,
    ) -> None:
        self._consumer = kafka.reader(cluster, client_id, **settings)
        self._starts = starts
        self._action = f"reading {subject}"

    def __enter__(self) -> Self:
        try:
            with kafka.errors(self._action):
                self._consumer.assign(driver_partitions(self._starts))
        except BaseException:
            self._consumer.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def add_partitions(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read further partitions from these offsets on. Raises Unavailable, Refused."""
        with kafka.errors(self._action):
            self._consumer.incremental_assign(driver_partitions(starts))

    def remove_partition(self, partition: TopicPartition) -> None:
        """Stop reading a partition. Raises Unavailable, Refused."""
        with kafka.errors(self._action):
            self._consumer.incremental_unassign(
                [confluent_kafka.TopicPartition(*partition)]
            )

    def fetch(
        self, max_messages: int, wait_seconds: float, gather_seconds: float = 0.0
    ) -> list[Message]:
        """Return the next messages, see `fetch`. Raises Unavailable, Refused."""
        with kafka.errors(self._action):
            return fetch(self._consumer, max_messages, wait_seconds, gather_seconds)

    def fetch_records(self, max_records: int, wait_seconds: float) -> list[Message]:
        """Return the next records without events. Raises Unavailable, Refused for an error."""
        messages = self.fetch(max_records, wait_seconds)
        return [message for message in messages if self._is_record(message)]

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() != KafkaError._PARTITION_EOF:
            raise kafka.as_kappa_error(error, self._action)
        return False


def fetch(
    consumer: Consumer, max_messages: int, wait_seconds: float, gather_seconds: float = 0.0
) -> list[Message]:
    """Wait for a message, then return it with those that are at hand.

    Waits up to `wait_seconds` for the first message, and up to `gather_seconds` more until there
    are `max_messages`. The messages may be errors or end-of-partition events. Waiting for the first
    one alone matters at the end of the log, where no second one may come.
    """
    first = consumer.poll(wait_seconds)
    if first is None:
        return []
    return [first, *consumer.consume(max_messages - 1, gather_seconds)]


def driver_partitions(
    offsets: Mapping[TopicPartition, int],
) -> list[confluent_kafka.TopicPartition]:
    """Return partitions with offsets in the driver's form."""
    return [
        confluent_kafka.TopicPartition(topic, partition, offset)
        for (topic, partition), offset in offsets.items()
    ]
