"""A double of confluent-kafka's consumer for assigned partitions, and of its messages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, TopicPartition


class LogMessage:
    """A record as a consumer returns it, or an event if it has an error code."""

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        error: int | None = None,
        *,
        value: bytes | None = None,
        key: bytes | None = None,
        logged_ms: int = 0,
        headers: list[tuple[str, Any]] | None = None,
    ) -> None:
        self.topic_ = topic
        self.partition_ = partition
        self.offset_ = offset
        self.error_ = error
        self.value_ = value
        self.key_ = key
        self.logged_ms_ = logged_ms
        self.headers_ = headers

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def error(self) -> KafkaError | None:
        return KafkaError(self.error_) if self.error_ is not None else None

    def value(self) -> bytes | None:
        return self.value_

    def key(self) -> bytes | None:
        return self.key_

    def headers(self) -> list[tuple[str, Any]] | None:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return 2, self.logged_ms_


def end_of_partition(topic: str, partition: int, offset: int) -> LogMessage:
    return LogMessage(topic, partition, offset, KafkaError._PARTITION_EOF)


@dataclass
class AssignedConsumer:
    """Returns the given fetches one after the other, then nothing."""

    fetches: list[Sequence[Any]]
    assigned: dict[tuple[str, int], int] = field(default_factory=dict)
    left: list[tuple[str, int]] = field(default_factory=list)
    closed: int = 0
    polls: int = 0
    _at_hand: list[Any] = field(default_factory=list)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = {(p.topic, p.partition): p.offset for p in partitions}

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned |= {(p.topic, p.partition): p.offset for p in partitions}

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        self.left += [(p.topic, p.partition) for p in partitions]

    def poll(self, _seconds: float) -> Any:
        self.polls += 1
        if not self._at_hand and self.fetches:
            self._at_hand = list(self.fetches.pop(0))
        return self._at_hand.pop(0) if self._at_hand else None

    def consume(self, most: int, _seconds: float) -> list[Any]:
        messages, self._at_hand = self._at_hand[:most], self._at_hand[most:]
        return messages

    def close(self) -> None:
        self.closed += 1
