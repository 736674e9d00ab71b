"""The way back for records that were set aside: into their topic as they were, and marked in the dead topic."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.dead_letters import ANY_SIZE, CLIENT, MARKER, SEE_KAFKA, Headers, Letter, Position, position_headers, write_error
from connectors.kafka import producer
from infra.errors import KappaError, Refused, Unavailable
from infra.settings import Kafka
from schemas.topics import CLICK_TOPICS

BATCH_LETTERS, BATCH_BYTES = 200, 32 * 2**20
REDRIVEN_FROM = "redriven_from"

# Kafka refuses a whole batch for one record that is too large.
EACH_ALONE = {"batch.num.messages": 1, "message.timeout.ms": 15_000}


@dataclass(frozen=True)
class Redriven:
    """What became of a letter: it is back in its topic and marked, unless there is trouble."""

    position: Position
    trouble: KappaError | None


def redrive_letters(kafka: Kafka, to_redrive: Iterable[Letter]) -> Iterator[Redriven]:
    """Writes letters back to their topics, as they were and with a header that says from where; tells of each what became of it.

    A letter is marked in its dead topic once Kafka has acknowledged the record. Whoever dies between the two, or redrives at the same
    time as somebody else, redrives twice. One that cannot be redriven is no obstacle to the others, unless Kafka is away: then raises
    Unavailable, after telling of those that were tried.
    """
    writer = producer(kafka, CLIENT, **ANY_SIZE, **EACH_ALONE)
    for batch in _batches(to_redrive):
        done = [*_redrive(writer, batch)]
        yield from done
        for each in done:
            if isinstance(each.trouble, Unavailable):
                raise each.trouble


def _redrive(writer: Producer, batch: Sequence[Letter]) -> Iterator[Redriven]:
    ours = [letter for letter in batch if letter.position.topic in CLICK_TOPICS]
    troubles = _write(writer, [_as_it_was(letter) for letter in ours])
    back = [letter for letter in ours if letter.position not in troubles]
    unmarked = _write(writer, [_marker(letter) for letter in back])
    for letter in batch:
        position = letter.position
        trouble: KappaError | None = troubles.get(position)
        if position.topic not in CLICK_TOPICS:
            trouble = Refused(f"{position} is not of a click topic ({', '.join(CLICK_TOPICS)})")
        elif cause := unmarked.get(position):
            trouble = type(cause)(f"{position} was redriven, but is not marked, so that the next time repeats it: {cause}", cause.hint)
        yield Redriven(position, trouble)


class _Writing(NamedTuple):
    """A record to write, on behalf of the one at a position."""

    position: Position
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def _as_it_was(letter: Letter) -> _Writing:
    origin = (REDRIVEN_FROM, str(letter.position).encode())
    return _Writing(letter.position, letter.position.topic, letter.key, letter.value, [*letter.headers, origin])


def _marker(letter: Letter) -> _Writing:
    return _Writing(letter.position, letter.dead_topic, None, None, position_headers(MARKER, letter.position, "1"))


def _write(writer: Producer, records: Iterable[_Writing]) -> dict[Position, KappaError]:
    """Writes records and waits for Kafka's word on each; the trouble with those that it did not take, by position."""
    troubles: dict[Position, KappaError] = {}

    def settle(record: _Writing, error: KafkaError | None, _message: Message | None = None) -> None:
        del troubles[record.position]
        if error is not None:
            troubles[record.position] = write_error(error, record.position, record.topic, len(record.key or b"") + len(record.value or b""))

    for record in records:
        troubles[record.position] = Unavailable(
            f"Kafka: {record.position} was not acknowledged; it may stand in {record.topic} all the same", SEE_KAFKA
        )
        try:
            writer.produce(record.topic, record.value, record.key, headers=record.headers, on_delivery=partial(settle, record))
        except KafkaException as error:
            settle(record, error.args[0])
    writer.flush(2 * EACH_ALONE["message.timeout.ms"] / 1_000)
    return troubles


def _batches(found: Iterable[Letter]) -> Iterator[list[Letter]]:
    """Letters in groups of which memory holds one easily."""
    batch: list[Letter] = []
    for letter in found:
        batch.append(letter)
        if len(batch) == BATCH_LETTERS or sum(each.size for each in batch) >= BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch
