"""Where records that cannot be counted are set aside: `<topic>.dead`, with their bytes, headers, position and the reason.

A letter is known by the position of its record: it may stand in the dead topic twice, and is one letter. A marker (no value, and
headers that end with `redriven`) says that the record at a position was written back to its topic. Nothing is ever removed.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from connectors.kafka import Range, as_kappa_error, errors, list_topics, offsets, producer, reader
from infra.errors import KappaError, Refused, Unavailable
from infra.settings import Kafka
from schemas.topics import CLICK_TOPICS, dead_topic

CLIENT = "kappa-dead"
FLUSH_SECONDS = 10.0
POLL_SECONDS, SILENCE_SECONDS = 0.2, 20.0
COUNTED_RECORDS, COUNTING_SECONDS = 10_000, 5.0
REASON_CHARACTERS = 1_000  # a reason may quote a value as large as the record
SEE_KAFKA = "see ./kappa status and ./kappa logs kafka"

LETTER, MARKER = ("topic", "partition", "offset", "reason"), ("topic", "partition", "offset", "redriven")
STRAY = "it does not say where it stood: somebody else wrote it here"

# librdkafka measures a record before it is compressed, Kafka afterwards: Kafka shall decide. And what came in compressed goes in again.
ANY_SIZE = {"message.max.bytes": 1_000_000_000, "compression.type": "zstd"}

Headers = list[tuple[str, str | bytes | None]]
Place = tuple[str, int]
Kind = Literal["letter", "marker", "stray"]


class Position(NamedTuple):
    """Where a record stands in the log, written `topic[partition]@offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True)
class Letter:
    """A record that was set aside: where it stood, where and when (milliseconds of UTC) it was set aside and why; then the record itself."""

    position: Position
    dead_topic: str
    set_aside_ms: int
    reason: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes its key and its value have."""
        return len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True)
class Survey:
    """What dead topics held up to `ends`: when each record was first set aside (milliseconds of UTC, by position), and which were redriven."""

    ends: Mapping[Place, Range]
    set_aside_ms: Mapping[Position, int]
    redriven: Set[Position]

    def positions(self, redriven_too: bool = False) -> list[Position]:
        """The records that are set aside, the most recent last; those that were redriven only if asked for."""
        wanted = [position for position in self.set_aside_ms if redriven_too or position not in self.redriven]
        return sorted(wanted, key=lambda position: self.set_aside_ms[position])


class DeadLetters:
    """Sets records aside. A record may be set aside twice if its reader dies in between: its position tells which one it is."""

    def __init__(self, kafka: Kafka, client_id: str) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._producer: Producer | None = None
        self._trouble: KappaError | None = None

    def send(self, message: Message, reason: str) -> None:
        """Hands a record over, of any size; it is safe only when `flush` has returned. Raises Unavailable."""
        if self._producer is None:  # most readers never meet a dead letter
            self._producer = producer(self._kafka, self._client_id, **ANY_SIZE)
        position = _position(message)
        topic, key, value = dead_topic(position.topic), message.key(), message.value()
        delivered = partial(self._delivered, position, topic, len(key or b"") + len(value or b""))
        with errors(f"writing to {topic}"):
            while True:
                try:
                    self._producer.produce(topic, value, key, headers=dead_headers(message, reason), on_delivery=delivered)
                    return
                except BufferError:  # as many bytes are on their way as may be
                    if not self._producer.poll(FLUSH_SECONDS):
                        raise self._given_up() from None

    def flush(self) -> None:
        """Waits until Kafka has everything handed over.

        Raises Unavailable or Refused if it has not: then hand it over again. Refused names a record that the dead topic does not take.
        """
        if self._producer is None:
            return
        left = self._producer.flush(FLUSH_SECONDS)
        trouble = self._given_up() if left else self._trouble
        self._trouble = None
        if trouble is not None:
            raise trouble

    def _given_up(self) -> KappaError:
        """The error for what Kafka has not acknowledged, none of which is on its way any more."""
        assert self._producer is not None
        left, trouble = len(self._producer), self._trouble
        self._producer.purge()
        self._producer.poll(0)  # what is said of it now must not be taken for trouble with what is handed over next
        self._trouble = None
        return trouble or Unavailable(f"Kafka: {left} dead letters not acknowledged within {FLUSH_SECONDS:g} s", "see ./kappa logs kafka")

    def _delivered(self, position: Position, topic: str, size: int, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._trouble = write_error(error, position, topic, size)


def dead_headers(message: Message, reason: str) -> Headers:
    """The record's own headers, then where it stood and why it cannot be counted (cut, if that is long)."""
    if len(reason) > REASON_CHARACTERS:
        reason = reason[: REASON_CHARACTERS - 1] + "…"
    return [*(message.headers() or []), *position_headers(LETTER, _position(message), reason)]


def position_headers(names: Sequence[str], position: Position, last: str) -> Headers:
    """The headers of those names (LETTER or MARKER) that tell a position, and the last one."""
    return [(name, str(value).encode()) for name, value in zip(names, (*position, last), strict=True)]


def existing_dead_topics(kafka: Kafka) -> list[str]:
    """The dead topics of the click topics that exist. Raises Unavailable."""
    existing = list_topics(kafka)
    return [topic for topic in map(dead_topic, CLICK_TOPICS) if topic in existing]


def open_letters(kafka: Kafka) -> dict[str, int]:
    """How many records are set aside and not redriven, by dead topic of the click topics. Raises Unavailable.

    A topic with more than 10,000 records, or that takes more than 5 seconds to read, is told by its length instead: repetitions and
    markers count too.
    """
    return {topic: _open_in(kafka, topic) for topic in existing_dead_topics(kafka)}


def _open_in(kafka: Kafka, topic: str) -> int:
    ends = offsets(kafka, [topic])
    length = sum(held.high - held.low for held in ends.values())
    if length > COUNTED_RECORDS:
        return length
    try:
        return len(_survey(kafka, ends, COUNTING_SECONDS).positions())
    except _TooLongError:
        return length


def survey(kafka: Kafka, topics: Iterable[str]) -> Survey:
    """What dead topics hold now; no bytes are kept, so that it may be much. Raises Unavailable."""
    return _survey(kafka, offsets(kafka, topics), math.inf)


def letters(kafka: Kafka, found: Survey, wanted: Iterable[Position]) -> Iterator[Letter]:
    """The letters at those positions of a survey, each once, in the order of each dead topic. Raises Unavailable."""
    missing = set(wanted)
    for message in _records(kafka, found.ends) if missing else ():
        kind, position = _entry(message)
        if kind != "marker" and position in missing:
            missing.remove(position)
            yield _letter(message, kind, position)
        if not missing:
            return


def write_error(error: KafkaError, position: Position, topic: str, size: int) -> KappaError:
    """The error for a record that a topic did not take."""
    if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
        return as_kappa_error(error, f"writing {position} to {topic}")
    return Refused(
        f"{position} ({size:,} bytes) is larger than topic {topic} takes",
        f"raise its max.message.bytes, such as: kafka-configs --entity-type topics --entity-name {topic} --alter --add-config "
        f"max.message.bytes={2 * size}",
    )


class _TooLongError(Exception):
    """Reading took longer than it may."""


def _survey(kafka: Kafka, ends: Mapping[Place, Range], most_seconds: float) -> Survey:
    set_aside_ms: dict[Position, int] = {}
    redriven: set[Position] = set()
    deadline = time.monotonic() + most_seconds
    for message in _records(kafka, ends):
        kind, position = _entry(message)
        if kind == "marker":
            redriven.add(position)
        else:
            set_aside_ms.setdefault(position, message.timestamp()[1])
        if time.monotonic() > deadline:
            raise _TooLongError
    return Survey(ends, set_aside_ms, redriven)


def _records(kafka: Kafka, ends: Mapping[Place, Range]) -> Iterator[Message]:
    """The committed records before those ends. Raises Unavailable if Kafka falls silent before them."""
    unread = {place: held.stable for place, held in ends.items() if held.stable > held.low}
    if not unread:
        return
    consumer = reader(kafka, CLIENT, **{"enable.partition.eof": True})
    try:
        with errors("reading the dead letters"):
            consumer.assign([TopicPartition(*place, ends[place].low) for place in unread])
        while unread:
            message = _next(consumer)
            place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
            end = unread.get(place, 0)
            # Aborted records and Kafka's own marks have offsets too, so the last ones may hold no record.
            if message.error() is not None or offset >= end - 1:
                unread.pop(place, None)
            if message.error() is None and offset < end:
                yield message
    finally:
        consumer.close()


def _next(consumer: Consumer) -> Message:
    """The next record, or the news that a partition has no more. Raises Unavailable, Refused."""
    silent_at = time.monotonic() + SILENCE_SECONDS
    while time.monotonic() < silent_at:
        message = consumer.poll(POLL_SECONDS)
        if message is None:
            continue
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise as_kappa_error(error, f"reading {message.topic() or 'the dead letters'}")
        return message
    raise Unavailable(f"Kafka gave none of the dead letters for {SILENCE_SECONDS:.0f} s", SEE_KAFKA)


def _entry(message: Message) -> tuple[Kind, Position]:
    """What a record of a dead topic is, and the position that it is about; one that does not say so is a letter about itself."""
    last = (message.headers() or [])[-len(LETTER) :]
    names = tuple(name for name, _ in last)
    if names == LETTER or (names == MARKER and message.value() is None):
        topic, partition, offset = ((value or b"").decode(errors="replace") for _, value in last[:3])
        if partition.isdecimal() and offset.isdecimal():
            return "letter" if names == LETTER else "marker", Position(topic, int(partition), int(offset))
    return "stray", _position(message)


def _letter(message: Message, kind: Kind, position: Position) -> Letter:
    own, reason = list(message.headers() or []), STRAY
    if kind == "letter":
        own, (_, told) = own[: -len(LETTER)], own[-1]
        reason = (told or b"").decode(errors="replace")
    return Letter(position, message.topic(), message.timestamp()[1], reason, message.key(), message.value(), own)


def _position(message: Message) -> Position:
    return Position(message.topic() or "", message.partition() or 0, message.offset() or 0)
