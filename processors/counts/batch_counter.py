"""A batch from the log into its topic's tally: counted in memory, and on its way to Cassandra."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from connectors.kafka_group import DecodedBatch, GroupReader
from processors.clicks import Decoded, Unreadable, joined_clicks
from processors.in_order import InOrder
from processors.progress import Counted, Progress
from processors.tables import Position
from processors.tally import Tally
from processors.writer import Writer

PATIENCE_SECONDS = 1.0
CLOSING_SECONDS = 5.0

ClickBatch = DecodedBatch[Decoded[Message]]


@dataclass(frozen=True)
class Surroundings:
    """What counting a topic works with; shared by the topics of a worker. Letters of records below `letters_from` are others' to write."""

    reader: GroupReader[Decoded[Message]]
    progress: Progress
    stopping: threading.Event
    letters_from: Mapping[tuple[str, int], int]


class BatchCounter:
    """Counts one topic's batches, one after the other. `open_books` may raise KappaError until Cassandra is there."""

    def __init__(self, topic: str, open_books: Callable[["BatchCounter"], tuple[Tally, Writer]], around: Surroundings) -> None:
        self._topic, self._around = topic, around
        self._open_books = open_books
        self._books: tuple[Tally, Writer] | None = None
        self._in_order = InOrder("counts", around.reader, around.progress, around.stopping)
        self._epoch = -1

    def count(self, batch: ClickBatch) -> None:
        """Returns when the batch is counted in memory, or need not be: its epoch is over, or we stop."""
        self._in_order.take(batch, self._settle)

    def close(self) -> None:
        """Writes what is counted, and has it committed."""
        if self._books is not None:
            self._books[1].close(CLOSING_SECONDS)

    def _settle(self, batch: ClickBatch) -> None:
        tally, writer = self._books or self._opened()
        if batch.epoch != self._epoch:
            tally.begin(batch.epoch, self._counted_before())  # others may have counted on meanwhile
            self._epoch = batch.epoch
        letters = [letter for part in batch.parts for letter in part.unreadable]
        following = {partition: offset for part in batch.parts for partition, offset in part.following.items()}
        begin = time.monotonic()
        repeated = tally.count(
            joined_clicks([part.clicks for part in batch.parts]), [letter for letter in letters if self._is_ours(letter)], following
        )
        self._around.reader.counted_within(time.monotonic() - begin)
        records, late = sum(part.records for part in batch.parts), sum(letter.late for letter in letters)
        self._around.progress.counted(Counted(self._topic, records, repeated, len(letters), late, following))
        while not (writer.tell(PATIENCE_SECONDS, catching_up=batch.more) or self._in_order.is_void(batch)):
            pass

    def _opened(self) -> tuple[Tally, Writer]:
        self._books = self._open_books(self)
        return self._books

    def _counted_before(self) -> dict[int, int | None]:
        """By partition the largest event time among the events before the committed offset, as noted with it; None if nobody noted it."""
        notes = {partition: note for (topic, partition), note in self._around.reader.notes.items() if topic == self._topic}
        return {partition: int(note) if note.lstrip("-").isdigit() else None for partition, note in notes.items()}

    def commit(self, epoch: int, positions: Mapping[int, Position]) -> None:
        """Has positions of an epoch committed, each with the largest event time before it."""
        self._around.reader.commit(self._topic, epoch, {partition: (found.offset, str(found.latest_ms)) for partition, found in positions.items()})

    def rewind(self) -> None:
        """Has everything counted again from the committed offsets."""
        self._around.reader.rewind()

    def _is_ours(self, letter: Unreadable[Message]) -> bool:
        place = letter.record.topic() or "", letter.record.partition() or 0
        return (letter.record.offset() or 0) >= self._around.letters_from.get(place, 0)
