"""Redriving dead letters: write them back to their topics as they were, and mark them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka.client import SEE_KAFKA, producer
from connectors.kafka.dead_letters import (
    ANY_SIZE,
    CLIENT,
    MARKER,
    DeadLetter,
    Headers,
    Position,
    position_headers,
    record_bytes,
    write_error,
)
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError, Refused, Unavailable
from schemas.topics import CLICK_TOPICS

BATCH_LETTERS = 200
BATCH_BYTES = 32 * 2**20
REDRIVEN_FROM = "redriven_from"

DELIVERY_MS = 15_000
# Kafka refuses a whole batch because of one record that is too large.
ONE_PER_BATCH = {"batch.num.messages": 1, "message.timeout.ms": DELIVERY_MS}


@dataclass(frozen=True)
class RedriveResult:
    """The outcome for one letter: written back and marked, unless there is an error."""

    position: Position
    error: KappaError | None


def redrive_letters(kafka: Kafka, letters: Iterable[DeadLetter]) -> Iterator[RedriveResult]:
    """Write letters back to their topics with a header of their origin; yield each outcome.

    A letter is marked in its dead topic once Kafka has acknowledged the record. A crash between the
    two, or a second redrive at the same time, writes the record twice. A letter that cannot be
    redriven does not stop the others, unless Kafka is unreachable: then raises Unavailable, after
    the outcomes of the letters that were tried.
    """
    writer = producer(kafka, CLIENT, **ANY_SIZE, **ONE_PER_BATCH)
    for batch in _batches(letters):
        results = _redrive(writer, batch)
        yield from results
        for result in results:
            if isinstance(result.error, Unavailable):
                raise result.error


def _redrive(writer: Producer, batch: Sequence[DeadLetter]) -> list[RedriveResult]:
    clicks = [letter for letter in batch if letter.position.topic in CLICK_TOPICS]
    write_errors = _write(writer, [_original(letter) for letter in clicks])
    written = [letter for letter in clicks if letter.position not in write_errors]
    marker_errors = _write(writer, [_marker(letter) for letter in written])
    results = []
    for letter in batch:
        position = letter.position
        error: KappaError | None = write_errors.get(position)
        if position.topic not in CLICK_TOPICS:
            error = Refused(
                f"{position} is not of a click topic ({', '.join(CLICK_TOPICS)})"
            )
        elif marker_error := marker_errors.get(position):
            error = type(marker_error)(
                f"{position} was redriven, but is not marked, so the next redrive repeats it: "
                f"{marker_error}",
                marker_error.hint,
            )
        results.append(RedriveResult(position, error))
    return results


class _Record(NamedTuple):
    """A record to write for the letter at a position."""

    position: Position
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def _original(letter: DeadLetter) -> _Record:
    origin = (REDRIVEN_FROM, str(letter.position).encode())
    return _Record(
        position=letter.position,
        topic=letter.position.topic,
        key=letter.key,
        value=letter.value,
        headers=[*letter.headers, origin],
    )


def _marker(letter: DeadLetter) -> _Record:
    return _Record(
        position=letter.position,
        topic=letter.dead_topic,
        key=None,
        value=None,
        headers=position_headers(MARKER, letter.position, "1"),
    )


def _write(writer: Producer, records: Iterable[_Record]) -> dict[Position, KappaError]:
    """Write records and wait for Kafka's acknowledgements. Returns the errors by position."""
    errors: dict[Position, KappaError] = {}

    def settle(
        record: _Record, error: KafkaError | None, _message: Message | None = None
    ) -> None:
        del errors[record.position]
        if error is not None:
            size = record_bytes(record.key, record.value)
            errors[record.position] = write_error(
                error, record.position, record.topic, size
            )

    for record in records:
        errors[record.position] = Unavailable(
            f"Kafka: {record.position} was not acknowledged; {record.topic} may hold it "
            "nevertheless",
            SEE_KAFKA,
        )
        try:
            writer.produce(
                record.topic,
                record.value,
                record.key,
                headers=record.headers,
                on_delivery=partial(settle, record),
            )
        except KafkaException as error:
            settle(record, error.args[0])
    writer.flush(2 * DELIVERY_MS / 1_000)
    return errors


def _batches(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Yield letters in batches that fit into memory."""
    batch: list[DeadLetter] = []
    batch_bytes = 0
    for letter in letters:
        batch.append(letter)
        batch_bytes += letter.size
        if len(batch) == BATCH_LETTERS or batch_bytes >= BATCH_BYTES:
            yield batch
            batch = []
            batch_bytes = 0
    if batch:
        yield batch
