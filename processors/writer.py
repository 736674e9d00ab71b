"""What changed into Cassandra, and then the offsets committed: a thread per topic, beside the counting.

The rows of windows are written as soon as the write before is done, so that a click is seen at once; whatever is counted meanwhile
goes together, so the busier the topic, the fewer the writes per event. All other rows follow every second, and with them the offsets.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from connectors.cassandra import Session
from connectors.dead_letters import DeadLetters
from infra.errors import KappaError
from processors.progress import Progress
from processors.tally import Position, Taken, Tally

SHORTEST_PAUSE_SECONDS = 0.005
# Far behind, a click is late anyway: then fewer writes are worth more.
CATCHING_UP_PAUSE_SECONDS = 1.0
EVERYTHING_SECONDS = 1.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 2.0
# Rows that may wait for Cassandra before counting waits too: about a second's worth.
MOST_UNWRITTEN = 50_000

Commit = Callable[[int, Mapping[int, Position]], None]
log = logging.getLogger(__name__)


class Writer(threading.Thread):
    """Writes a tally's changes until `close`, which writes what is left. Trouble with Cassandra or Kafka is waited out."""

    def __init__(self, topic: str, tally: Tally, session: Session, dead: DeadLetters, commit: Commit, progress: Progress) -> None:
        super().__init__(name=f"writing {topic}", daemon=True)
        self._topic, self._tally, self._session, self._dead = topic, tally, session, dead
        self._commit, self._progress = commit, progress
        self._news, self._closing = threading.Event(), threading.Event()
        self._room = threading.Condition()
        self._everything_at = time.monotonic()
        self._pause = SHORTEST_PAUSE_SECONDS
        self.catching_up = False

    def tell(self, patience_seconds: float) -> bool:
        """Says that there is something to write. Waits while too much is waiting; whether there is room again."""
        self._news.set()
        with self._room:
            return self._room.wait_for(lambda: self._tally.unwritten < MOST_UNWRITTEN, patience_seconds)

    def run(self) -> None:
        """Write, pause, write."""
        while not self._closing.is_set():
            if self._news.wait(max(0.0, self._everything_at + EVERYTHING_SECONDS - time.monotonic())) or self._is_due():
                self._news.clear()
                self._write()
                self._closing.wait(self._pause)
        self._everything_at = 0.0
        self._write()

    def close(self, patience_seconds: float) -> None:
        """Writes and commits what is left, if that can be done soon."""
        self._closing.set()
        self._news.set()
        self.join(patience_seconds)

    def _is_due(self) -> bool:
        return time.monotonic() - self._everything_at >= EVERYTHING_SECONDS

    def _write(self) -> None:
        everything, begin = self._is_due() or self.catching_up, time.monotonic()
        taken = self._tally.take(everything)
        if everything:
            self._everything_at = begin
        if len(taken) or taken.letters or taken.positions:
            self._until_written(taken)
        seconds = time.monotonic() - begin
        self._pause = CATCHING_UP_PAUSE_SECONDS if self.catching_up else max(SHORTEST_PAUSE_SECONDS, seconds / 2)
        with self._room:
            self._room.notify_all()

    def _until_written(self, taken: Taken) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            begin = time.monotonic()
            try:
                self._session.write(taken.packed())
                for letter in taken.letters:
                    self._dead.send(letter.record, letter.reason)
                self._dead.flush()
            except KappaError as error:
                self._progress.trouble(self._topic, error)
            except Exception as error:  # a fault of ours: without this thread all would be counted on, and nothing written
                log.exception("what was counted of %s cannot be written", self._topic)
                self._progress.trouble(self._topic, KappaError(f"{type(error).__name__}: {error}", "see ./kappa logs counts"))
            else:
                self._progress.written(self._topic, len(taken), (time.monotonic() - begin) * 1e3)
                self._commit(taken.epoch, taken.positions)
                return
            if self._closing.wait(pause):
                return  # what is not committed will be read again
            pause = min(2 * pause, LAST_RETRY_SECONDS)
