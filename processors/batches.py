"""A batch from the log into its topic's tally: decoded, counted in memory, and on its way to Cassandra.

Until a batch is counted, nothing after it is. Trouble with Cassandra, Kafka or the registry is waited out with the same batch;
a batch that got lost on the way here is noticed by its number and read again.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Message

from connectors.kafka_group import Batch, GroupReader
from infra.errors import KappaError
from processors.clicks import ClickDecoder, Clicks, Unreadable, joined_clicks
from processors.progress import Counted, Progress
from processors.tally import Position, Tally
from processors.writer import Writer

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
# What is at hand is decoded batch by batch, while it is in the processor's cache, and counted together up to so many clicks: a row that
# many of them concern is changed once.
COUNTED_TOGETHER = 30_000
PATIENCE_SECONDS = 1.0
CLOSING_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What counting a topic works with; shared by the topics of a worker. Letters of records below `letters_from` are others' to write."""

    reader: GroupReader
    progress: Progress
    stopping: threading.Event
    letters_from: Mapping[tuple[str, int], int]


@dataclass
class _Waiting:
    """Decoded batches that are not counted yet: their clicks, the records to set aside, the offsets that follow, how many records there were."""

    clicks: list[Clicks] = field(default_factory=list)
    letters: list[Unreadable[Message]] = field(default_factory=list)
    following: dict[int, int] = field(default_factory=dict)
    records: int = 0

    def __len__(self) -> int:
        return sum(map(len, self.clicks))

    def add(self, records: int, clicks: Clicks, letters: list[Unreadable[Message]], following: Mapping[int, int]) -> None:
        """Add a decoded batch."""
        self.clicks.append(clicks)
        self.letters += letters
        self.following |= following
        self.records += records


class BatchCounter:
    """Counts one topic's batches, one after the other. `open_books` may raise KappaError until Cassandra is there."""

    def __init__(self, topic: str, decoder: ClickDecoder, open_books: Callable[["Commit"], tuple[Tally, Writer]], around: Surroundings) -> None:
        self._topic, self._decoder, self._around = topic, decoder, around
        self._open_books = open_books
        self._books: tuple[Tally, Writer] | None = None
        self._epoch = self._number = -1
        self._waiting = _Waiting()

    def count(self, batch: Batch) -> None:
        """Returns when the batch is counted in memory or waits for the next one, or need not be: its epoch is over, or we stop."""
        if not self._is_next(batch):
            return
        self._around.progress.began()
        pause = FIRST_PAUSE_SECONDS
        decoded = False
        while not self._is_void(batch):
            try:
                decoded = decoded or self._decode(batch)
                if not batch.more or len(self._waiting) >= COUNTED_TOGETHER:
                    self._settle(batch)
                self._number += 1
                return
            except KappaError as error:
                self._around.progress.trouble(self._topic, error)
            except Exception as error:  # a fault of ours: losing the batch would miscount, so it stays and the state says so
                log.exception("batch %s cannot be counted", batch)
                self._around.progress.trouble(self._topic, KappaError(f"{type(error).__name__}: {error}", "see ./kappa logs counts"))
            self._around.stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Writes what is counted, and has it committed."""
        if self._books is not None:
            self._books[1].close(CLOSING_SECONDS)

    def _is_void(self, batch: Batch) -> bool:
        return self._around.stopping.is_set() or batch.epoch != self._around.reader.epoch

    def _is_next(self, batch: Batch) -> bool:
        """Whether a batch follows the last one counted. One that does not shows that another got lost: then reading begins again."""
        if self._is_void(batch):
            return False
        if batch.epoch != self._epoch and batch.number == 0:
            return True
        if batch.epoch != self._epoch or batch.number != self._number:
            log.warning("%s: batch %d came where %d was due; reading again from the committed offsets", batch, batch.number, self._number)
            self._around.reader.rewind()
            return False
        return True

    def _decode(self, batch: Batch) -> bool:
        """Adds a batch's clicks to those that wait. True once done."""
        tally, _ = self._books or self._opened()
        if batch.epoch != self._epoch:
            tally.begin(batch.epoch, self._counted_before())  # others may have counted on meanwhile
            self._epoch, self._number, self._waiting = batch.epoch, 0, _Waiting()
        if batch.messages:
            self._waiting.add(len(batch.messages), *self._decoder.decode(batch.messages))
        return True

    def _settle(self, batch: Batch) -> None:
        """Counts what waits."""
        tally, writer = self._books or self._opened()
        ready = self._waiting
        if not ready.records:
            return
        repeated = tally.count(joined_clicks(ready.clicks), [letter for letter in ready.letters if self._is_ours(letter)], ready.following)
        self._waiting = _Waiting()
        late = sum(letter.late for letter in ready.letters)
        self._around.progress.counted(Counted(self._topic, ready.records, repeated, len(ready.letters), late, ready.following))
        writer.catching_up = batch.more
        while not (writer.tell(PATIENCE_SECONDS) or self._is_void(batch)):
            pass

    def _opened(self) -> tuple[Tally, Writer]:
        self._books = self._open_books(self._commit)
        return self._books

    def _counted_before(self) -> dict[int, int | None]:
        """By partition the largest event time among the events before the committed offset, as noted with it; None if nobody noted it."""
        notes = {partition: note for (topic, partition), note in self._around.reader.notes.items() if topic == self._topic}
        return {partition: int(note) if note.lstrip("-").isdigit() else None for partition, note in notes.items()}

    def _commit(self, epoch: int, positions: Mapping[int, Position]) -> None:
        self._around.reader.commit(self._topic, epoch, {partition: (found.offset, str(found.latest_ms)) for partition, found in positions.items()})

    def _is_ours(self, letter: Unreadable[Message]) -> bool:
        place = letter.record.topic() or "", letter.record.partition() or 0
        return (letter.record.offset() or 0) >= self._around.letters_from.get(place, 0)


Commit = Callable[[int, Mapping[int, Position]], None]
