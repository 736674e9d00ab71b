"""A batch from the log into Cassandra, exactly once in effect: decode, group, add, write, set aside, and only then commit.

Until a batch is counted, nothing after it is. Trouble with Cassandra, Kafka or the registry is waited out with the same batch;
a batch that got lost on the way here is noticed by its number and read again.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.dead_letters import DeadLetters
from connectors.kafka_group import Batch, GroupReader
from infra.errors import KappaError
from processors.counting import Key, Row, RowCache, add, following, group
from processors.decoding import Clicks, Decode, decode
from processors.progress import Counted, Progress
from processors.rows import RowStore

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
ROWS_KEPT = 50_000  # about 400 bytes each

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What counting a topic works with; shared by the topics of a worker."""

    reader: GroupReader
    decode_value: Decode
    dead_letters: Callable[[], DeadLetters]
    progress: Progress
    stopping: threading.Event
    window_ms: int


class BatchCounter:
    """Counts one topic's batches, one after the other. `open_store` may raise KappaError until Cassandra is there."""

    def __init__(self, topic: str, subject: str, open_store: Callable[[], RowStore], around: Surroundings) -> None:
        self._topic = topic
        self._subject = subject
        self._open_store = open_store
        self._store: RowStore | None = None
        self._dead = around.dead_letters()
        self._around = around
        self._cache = RowCache(ROWS_KEPT)
        self._epoch = self._number = -1

    def count(self, batch: Batch) -> None:
        """Returns when the batch is counted and its offsets are on their way, or when it need not be: its epoch is over, or we stop."""
        if not self._is_next(batch):
            return
        pause = FIRST_PAUSE_SECONDS
        while not self._is_void(batch):
            try:
                self._settle(batch)
                self._number += 1
                return
            except KappaError as error:
                self._around.progress.trouble(self._topic, error)
            except Exception as error:  # a fault of ours: losing the batch would miscount, so it stays and the state says so
                log.exception("batch %s cannot be counted", batch)
                self._around.progress.trouble(self._topic, KappaError(f"{type(error).__name__}: {error}", "see ./kappa logs counts"))
            self._cache.clear()
            self._around.stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _is_void(self, batch: Batch) -> bool:
        return self._around.stopping.is_set() or batch.epoch != self._around.reader.epoch

    def _is_next(self, batch: Batch) -> bool:
        """Whether a batch follows the last one counted. One that does not shows that another got lost: then reading begins again."""
        if self._is_void(batch):
            return False
        if batch.epoch != self._epoch:
            self._epoch, self._number = batch.epoch, 0
            self._cache.clear()  # others may have counted on meanwhile
        if batch.number != self._number:
            log.warning("%s: batch %d came where %d was due; reading again from the committed offsets", batch, batch.number, self._number)
            self._around.reader.rewind()
            return False
        return True

    def _settle(self, batch: Batch) -> None:
        clicks, unreadable = decode(batch.messages, self._subject, self._around.decode_value)
        for letter in unreadable:
            self._dead.send(letter.record, letter.reason)
        started = time.monotonic()
        changed, repeated = self._write(clicks)
        write_ms = (time.monotonic() - started) * 1e3
        self._dead.flush()
        nexts = following((m.partition() or 0 for m in batch.messages), (m.offset() or 0 for m in batch.messages))
        self._around.reader.commit(batch.topic, nexts)
        age_ms = time.time() * 1e3 - batch.messages[0].timestamp()[1]
        self._around.progress.counted(Counted(batch.topic, len(batch.messages), repeated, len(unreadable), len(changed), write_ms, age_ms, nexts))

    def _write(self, clicks: Clicks) -> tuple[Mapping[Key, Row], int]:
        """Brings the clicks into their rows; returns the rows that changed, and how many clicks were in theirs already."""
        if self._store is None:
            self._store = self._open_store()
        groups = group(clicks, self._around.window_ms)
        rows = self._cache.known(groups)
        rows |= self._store.read(key for key in groups if key not in rows)
        changed = add(rows, groups)
        self._store.write(changed)
        self._cache.keep(rows | changed)
        new = sum(row.views - rows[key].views for key, row in changed.items())
        return changed, len(clicks.offsets) - new
