"""Dead letters: records that cannot be read are set aside in `<topic>.dead`.

A dead letter has the record's bytes and headers, its position and the reason. The position of its
record identifies a letter: the dead topic may hold it twice and is still one letter. A marker
(no value, and headers that end with `redriven`) says that the record at a position was written back
to its topic. Nothing is ever removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from connectors.kafka.client import as_kappa_error, errors, producer
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError, Refused, Unavailable
from schemas.topics import dead_topic

CLIENT = "kappa-dead"
FLUSH_SECONDS = 10.0
REASON_CHARACTERS = 1_000  # a reason may quote a value as large as the record

# The names of the last headers of a letter and of a marker.
LETTER = ("topic", "partition", "offset", "reason")
MARKER = ("topic", "partition", "offset", "redriven")

# librdkafka limits the size of a record before compression, Kafka afterwards. Only Kafka's limit
# counts, and a record that was compressed is compressed again.
ANY_SIZE = {"message.max.bytes": 1_000_000_000, "compression.type": "zstd"}

Headers = list[tuple[str, str | bytes | None]]


class Position(NamedTuple):
    """A record's position in the log, written `topic[partition]@offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A record that was set aside.

    `position` is where the record stood; `set_aside_ms` is when it was set aside, in milliseconds
    of UTC.
    """

    position: Position
    dead_topic: str
    set_aside_ms: int
    reason: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)

    @property
    def size(self) -> int:
        """The size of key and value in bytes."""
        return record_bytes(self.key, self.value)


class DeadLetters:
    """Sets records aside.

    A record may be set aside twice if its reader crashes in between; its position identifies it.
    """

    def __init__(self, kafka: Kafka, client_id: str) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._producer: Producer | None = None
        self._error: KappaError | None = None

    def send(self, message: Message, reason: str) -> None:
        """Queue a record of any size; it is safe only when `flush` has returned.

        Raises Unavailable, Refused.
        """
        if self._producer is None:  # most readers never meet a dead letter
            self._producer = producer(self._kafka, self._client_id, **ANY_SIZE)
        position = position_of(message)
        topic = dead_topic(position.topic)
        key = message.key()
        value = message.value()
        on_delivery = partial(self._on_delivery, position, topic, record_bytes(key, value))
        headers = dead_headers(message, reason)
        with errors(f"writing to {topic}"):
            while True:
                try:
                    self._producer.produce(
                        topic, value, key, headers=headers, on_delivery=on_delivery
                    )
                    return
                except BufferError:  # the producer's queue is full
                    if not self._producer.poll(FLUSH_SECONDS):
                        raise self._give_up(self._producer) from None

    def flush(self) -> None:
        """Wait until Kafka has acknowledged every record that was sent.

        Raises Unavailable or Refused if it has not: then send the records again. Refused names a
        record that the dead topic does not accept.
        """
        if self._producer is None:
            return
        if self._producer.flush(FLUSH_SECONDS):
            raise self._give_up(self._producer)
        error = self._error
        self._error = None
        if error is not None:
            raise error

    def _give_up(self, producer: Producer) -> KappaError:
        """Drop the records that Kafka has not acknowledged, and return the error to raise."""
        record_count = len(producer)
        error = self._error
        producer.purge()
        # The reports on purged records must not be mistaken for errors of later records.
        producer.poll(0)
        self._error = None
        return error or Unavailable(
            f"Kafka: {record_count} dead letters not acknowledged within {FLUSH_SECONDS:g} s",
            "see ./kappa logs kafka",
        )

    def _on_delivery(
        self,
        position: Position,
        topic: str,
        size: int,
        error: KafkaError | None,
        _message: Message,
    ) -> None:
        if error is not None:
            self._error = write_error(error, position, topic, size)


def dead_headers(message: Message, reason: str) -> Headers:
    """Return the record's own headers, then its position and the reason, which is cut if long."""
    if len(reason) > REASON_CHARACTERS:
        reason = reason[: REASON_CHARACTERS - 1] + "…"
    own_headers = message.headers() or []
    return [*own_headers, *position_headers(LETTER, position_of(message), reason)]


def position_headers(names: Sequence[str], position: Position, last: str) -> Headers:
    """Return headers of these names (LETTER or MARKER) with a position and a last value."""
    values = (*position, last)
    return [(name, str(value).encode()) for name, value in zip(names, values, strict=True)]


def write_error(error: KafkaError, position: Position, topic: str, size: int) -> KappaError:
    """Return the error for a record of `size` bytes that a topic did not accept."""
    if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
        return as_kappa_error(error, f"writing {position} to {topic}")
    return Refused(
        f"{position} ({size:,} bytes) is larger than topic {topic} takes",
        "raise its max.message.bytes, such as: kafka-configs --entity-type topics --entity-name "
        f"{topic} --alter --add-config max.message.bytes={2 * size}",
    )


def position_of(message: Message) -> Position:
    """Return the position of a message that was read from the log."""
    return Position(message.topic() or "", message.partition() or 0, message.offset() or 0)


def record_bytes(key: bytes | None, value: bytes | None) -> int:
    """Return the size of a key and a value in bytes."""
    return len(key or b"") + len(value or b"")
