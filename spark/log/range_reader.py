"""The records of a range of the log, in batches."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from connectors.kafka import as_kappa_error, errors, reader
from infra.errors import Unavailable
from infra.settings import Kafka
from schemas.warehouse import Source

BATCH_RECORDS = 10_000
POLL_SECONDS = 1.0
SILENCE_SECONDS = 30.0
# Each task buffers this much of the log at most.
BUFFER = {"enable.partition.eof": True, "queued.max.messages.kbytes": 16_384, "fetch.wait.max.ms": 10, "fetch.message.max.bytes": 4_194_304}


@dataclass(frozen=True)
class Reading:
    """A range of one partition of a topic: from offset `start` up to, not including, `end`."""

    source: Source
    partition: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """How many offsets there are (records, aborted ones and Kafka's own marks together)."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.source.topic}[{self.partition}]@{self.start}-{self.end}"


class LogReader:
    """A connection to the log that reads some ranges side by side, since each alone would wait for its first answer."""

    def __init__(self, kafka: Kafka, client_id: str, readings: Sequence[Reading]) -> None:
        self._consumer: Consumer = reader(kafka, client_id, **BUFFER)
        self._open = {(reading.source.topic, reading.partition): reading for reading in readings}
        self._reached = {place: reading.start for place, reading in self._open.items()}

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def batches(self) -> Iterator[tuple[Reading, list[Message]]]:
        """The committed records of all ranges, each range's in offset order. Raises Unavailable if the log falls silent before their ends."""
        with errors("reading the log"):
            self._consumer.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in self._reached.items()])
        heard_at = time.monotonic()
        while self._open:
            with errors("reading the log"):
                found = self._poll()
            if found:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > SILENCE_SECONDS:
                waiting = next(iter(self._open.values()))
                raise Unavailable(f"Kafka gave nothing of {waiting} for {SILENCE_SECONDS:.0f} s", "see ./kappa logs kafka")
            yield from self._by_reading(found)
            self._close_finished()

    def leave(self, reading: Reading) -> None:
        """Read no more of a range."""
        place = reading.source.topic, reading.partition
        if self._open.pop(place, None):
            with errors(f"leaving {reading}"):
                self._consumer.incremental_unassign([TopicPartition(*place)])

    def _poll(self) -> list[Message]:
        """What has arrived: waits for the first message only, since the end of a range may hold none."""
        first = self._consumer.poll(POLL_SECONDS)
        return [] if first is None else [first, *self._consumer.consume(BATCH_RECORDS - 1, 0)]

    def _by_reading(self, found: list[Message]) -> Iterator[tuple[Reading, list[Message]]]:
        records: defaultdict[Reading, list[Message]] = defaultdict(list)
        for message in found:
            error, offset = message.error(), message.offset() or 0
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise as_kappa_error(error, "reading the log")
            place = message.topic() or "", message.partition() or 0
            reading = self._open.get(place)
            if reading is None:
                continue
            # Aborted records and Kafka's own marks have offsets too, so a range may end without a record.
            self._reached[place] = max(self._reached[place], offset if error is not None else offset + 1)
            if error is None and reading.start <= offset < reading.end:
                records[reading].append(message)
        yield from records.items()

    def _close_finished(self) -> None:
        for place, reading in list(self._open.items()):
            if self._reached[place] >= reading.end:
                self.leave(reading)
