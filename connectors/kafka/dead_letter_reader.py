"""Reading dead letters: which records are set aside, and the records themselves."""

import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import Message

from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.kafka.dead_letters import (
    CLIENT,
    LETTER,
    MARKER,
    DeadLetter,
    Position,
    position_of,
)
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.runtime.settings import Kafka
from schemas.topics import CLICK_TOPICS, TopicPartition, dead_topic

SILENCE_SECONDS = 20.0
COUNTED_RECORDS = 10_000
COUNTING_SECONDS = 5.0
STRAY_REASON = "it does not say where it stood: it was written here by another program"

Kind = Literal["letter", "marker", "stray"]
Ends = Mapping[TopicPartition, Watermarks]


@dataclass(frozen=True)
class Survey:
    """The content of dead topics up to `ends`.

    `set_aside_ms` is when each record was first set aside, in milliseconds of UTC, by its position.
    """

    ends: Ends
    set_aside_ms: Mapping[Position, int]
    redriven: Set[Position]

    def positions(self, include_redriven: bool = False) -> list[Position]:
        """Return the positions of the records that are set aside, the most recent last."""
        positions = [
            position
            for position in self.set_aside_ms
            if include_redriven or position not in self.redriven
        ]
        return sorted(positions, key=lambda position: self.set_aside_ms[position])


def existing_dead_topics(cluster: Kafka) -> list[str]:
    """Return the dead topics of the click topics that exist. Raises Unavailable."""
    existing_topics = kafka.list_topics(cluster)
    dead_topics = [dead_topic(topic) for topic in CLICK_TOPICS]
    return [topic for topic in dead_topics if topic in existing_topics]


def open_letters(cluster: Kafka) -> dict[str, int]:
    """Return how many records are set aside and not redriven, by dead topic of the click topics.

    For a topic with more than 10,000 records, or one that takes more than 5 seconds to read, it is
    the topic's length instead, which includes repetitions and markers. Raises Unavailable.
    """
    return {topic: _count_open(cluster, topic) for topic in existing_dead_topics(cluster)}


def _count_open(cluster: Kafka, topic: str) -> int:
    ends = kafka.offsets(cluster, [topic])
    length = sum(watermarks.high - watermarks.low for watermarks in ends.values())
    if length > COUNTED_RECORDS:
        return length
    try:
        return len(_survey(cluster, ends, COUNTING_SECONDS).positions())
    except _TooLongError:
        return length


def survey(cluster: Kafka, topics: Iterable[str]) -> Survey:
    """Survey what dead topics hold now. Keeps no record's bytes. Raises Unavailable."""
    return _survey(cluster, kafka.offsets(cluster, topics), math.inf)


def letters(
    cluster: Kafka, contents: Survey, positions: Iterable[Position]
) -> Iterator[DeadLetter]:
    """Yield the letters at some positions of a survey once each, in the order of each dead topic.

    Raises Unavailable.
    """
    missing = set(positions)
    if not missing:
        return
    with closing(_records(cluster, contents.ends)) as records:
        for message in records:
            kind, position = _entry(message)
            if kind == "marker" or position not in missing:
                continue
            missing.remove(position)
            yield _letter(message, kind, position)
            if not missing:
                return


class _TooLongError(Exception):
    """Reading takes longer than allowed."""


def _survey(cluster: Kafka, ends: Ends, timeout_seconds: float) -> Survey:
    set_aside_ms: dict[Position, int] = {}
    redriven: set[Position] = set()
    deadline = time.monotonic() + timeout_seconds
    with closing(_records(cluster, ends)) as records:
        for message in records:
            kind, position = _entry(message)
            if kind == "marker":
                redriven.add(position)
            else:
                set_aside_ms.setdefault(position, message.timestamp()[1])
            if time.monotonic() > deadline:
                raise _TooLongError
    return Survey(ends, set_aside_ms, redriven)


def _records(cluster: Kafka, ends: Ends) -> Generator[Message, None, None]:
    """Yield the committed records before `ends`. Raises Unavailable."""
    ranges = {
        partition: range(watermarks.low, watermarks.stable)
        for partition, watermarks in ends.items()
    }
    with RangeConsumer(
        cluster,
        CLIENT,
        ranges,
        subject="the dead letters",
        silence_seconds=SILENCE_SECONDS,
    ) as consumer:
        yield from consumer.records()


def _entry(message: Message) -> tuple[Kind, Position]:
    """Return what a record of a dead topic is, and the position that it is about.

    A record that names no position is a letter about itself.
    """
    last_headers = (message.headers() or [])[-len(LETTER) :]
    names = tuple(name for name, _ in last_headers)
    is_marker = names == MARKER and message.value() is None
    if names != LETTER and not is_marker:
        return "stray", position_of(message)
    topic, partition, offset = (
        (value or b"").decode(errors="replace") for _, value in last_headers[:3]
    )
    if not (partition.isdecimal() and offset.isdecimal()):
        return "stray", position_of(message)
    return "marker" if is_marker else "letter", Position(topic, int(partition), int(offset))


def _letter(message: Message, kind: Kind, position: Position) -> DeadLetter:
    headers = list(message.headers() or [])
    reason = STRAY_REASON
    if kind == "letter":
        _, reason_bytes = headers[-1]
        reason = (reason_bytes or b"").decode(errors="replace")
        headers = headers[: -len(LETTER)]
    return DeadLetter(
        position=position,
        dead_topic=message.topic(),
        set_aside_ms=message.timestamp()[1],
        reason=reason,
        key=message.key(),
        value=message.value(),
        headers=headers,
    )
