"""What changed into Cassandra, and then the offsets committed: two threads per topic, beside the counting.

Windows are written as soon as the write before is done, so that a click is seen at once; whatever is counted meanwhile goes together,
so the busier the topic, the fewer the writes per event. All other rows follow every two seconds, beside the windows, which do not wait
for them; and then, once every window of that moment is written too and all of it would outlast Cassandra's death, the offsets.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from connectors.cassandra import PackedRow, Session
from connectors.dead_letters import DeadLetters
from infra.errors import KappaError
from processors.progress import Progress
from processors.tables import Position, Taken
from processors.tally import Tally

SHORTEST_PAUSE_SECONDS = 0.002
ROLLUP_SECONDS = 2.0
# Windows come first: the rest, written as fast as can be, would make a click wait for all of it.
ROLLUP_SPREAD_SECONDS = 1.2
# Far behind, a click is late anyway: then fewer writes are worth more.
CATCHING_UP_PAUSE_SECONDS = 1.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 2.0
# Rows of windows that may wait before counting waits too, and clicks that may wait to be rolled up (40 bytes each). Where every click is on
# another product, each such row becomes four more, one of them a sketch of 2 KB: this, not the number of products, makes a worker's memory.
MOST_UNWRITTEN, MOST_GATHERED = 25_000, 1_000_000

log = logging.getLogger(__name__)


class Log(Protocol):
    """Where the writer says how far the counts are: everything before these positions, in this epoch; or that they have to begin again."""

    def commit(self, epoch: int, positions: Mapping[int, Position]) -> None: ...
    def rewind(self) -> None: ...


class Writer:
    """Writes a tally's changes from `start` to `close`, which writes what is left. Trouble with Cassandra or Kafka is waited out."""

    def __init__(self, topic: str, tally: Tally, session: Session, dead: DeadLetters, log: Log, progress: Progress) -> None:
        """Raises Refused, Unavailable. Make it before the tally reads anything."""
        self._topic, self._tally, self._session, self._dead = topic, tally, session, dead
        self._log, self._progress = log, progress
        self._incarnation = session.incarnation()
        self._windows = threading.Thread(target=self._or_exit, args=(self._write_windows,), name=f"windows of {topic}", daemon=True)
        self._rollups = threading.Thread(target=self._or_exit, args=(self._write_rollups,), name=f"rollups of {topic}", daemon=True)
        self._news, self._hurry, self._full, self._closing = threading.Event(), threading.Event(), threading.Event(), threading.Event()
        self._changed = threading.Condition()
        self._begun = self._done = 0
        self._lacking = False
        self._written: PackedRow | None = None
        self._catching_up = False

    def start(self) -> None:
        """Begins to write."""
        self._windows.start()
        self._rollups.start()

    def tell(self, patience_seconds: float, *, catching_up: bool = False) -> bool:
        """Says that there is something to write, and whether the log has much more. Waits while too much is waiting; whether there is room."""
        self._catching_up = catching_up
        self._news.set()
        if not catching_up or not self._has_room():
            self._hurry.set()
        if self._has_room():
            return True
        self._full.set()
        with self._changed:
            return self._changed.wait_for(self._has_room, patience_seconds)

    def close(self, patience_seconds: float) -> None:
        """Writes and commits what is left, if that can be done soon."""
        self._closing.set()
        for event in (self._news, self._hurry, self._full):
            event.set()
        with self._changed:
            self._changed.notify_all()
        self._rollups.join(patience_seconds)

    def _or_exit(self, work: Callable[[], None]) -> None:
        """A fault of ours would leave rows unwritten that count as written: then the process ends, and what is not committed is read again."""
        try:
            work()
        except Exception:
            log.exception("writing %s failed", self._topic)
            os._exit(1)

    def _has_room(self) -> bool:
        rows, gathered = self._tally.unwritten
        return rows < MOST_UNWRITTEN and gathered < MOST_GATHERED

    def _write_windows(self) -> None:
        while not self._closing.is_set():
            self._news.wait()
            self._news.clear()
            self._hurry.clear()
            begin = time.monotonic()
            self._write_the_windows_of_now()
            if self._catching_up:
                self._hurry.wait(CATCHING_UP_PAUSE_SECONDS)
            else:
                self._closing.wait(max(SHORTEST_PAUSE_SECONDS, (time.monotonic() - begin) / 8))

    def _write_the_windows_of_now(self) -> None:
        with self._changed:
            self._begun += 1
        if self._until_written(self._tally.take_windows()):
            with self._changed:
                self._done = self._begun
                self._changed.notify_all()

    def _write_rollups(self) -> None:
        while not self._closing.is_set():
            self._full.wait(ROLLUP_SECONDS)
            self._full.clear()
            self._roll_up()
        self._windows.join()
        self._roll_up()

    def _roll_up(self) -> None:
        counted: list[Taken] = []
        if self._until_done(lambda: counted.append(self._tally.take_rollups())):
            (taken,) = counted
            written = self._until_written(taken, self._leisure())
            if written and taken.positions and self._windows_are_written() and not self._lacking and self._is_durable():
                self._tally.settled()
                self._log.commit(taken.epoch, taken.positions)
        with self._changed:
            self._changed.notify_all()

    def _leisure(self) -> float:
        """How many seconds the rest may take: none while much waits behind it."""
        return 0.0 if self._catching_up or self._closing.is_set() or not self._has_room() else ROLLUP_SPREAD_SECONDS

    def _windows_are_written(self) -> bool:
        """Waits until the windows that were counted before are written too; whether they are."""
        with self._changed:
            wanted = self._begun + 1
            self._news.set()
            self._hurry.set()
            self._changed.wait_for(lambda: self._done >= wanted or self._closing.is_set())
        if not self._closing.is_set():
            return True
        # The other thread has ended, or is about to, but counting may have gone on meanwhile.
        self._windows.join()
        self._write_the_windows_of_now()
        return self._done == self._begun

    def _until_written(self, taken: Taken, over_seconds: float = 0.0) -> bool:
        begin = time.monotonic()
        if not self._until_done(lambda: self._write(taken, over_seconds)):
            self._lacking = True  # at the end of the process: these rows are in no table now, so nothing behind them may be committed
            return False
        if len(taken):
            self._written = next(iter(taken.packed()))
            self._progress.written(self._topic, len(taken), (time.monotonic() - begin) * 1e3)
        return True

    def _write(self, taken: Taken, over_seconds: float) -> None:
        self._session.write(taken.packed(), over_seconds)
        if taken.letters:
            for letter in taken.letters:
                self._dead.send(letter.record, letter.reason)
            self._dead.flush()

    def _is_durable(self) -> bool:
        """Whether all that was written will stay. If Cassandra was started anew meanwhile some of it may be lost: then counting begins again."""
        row, kept = self._written, list[bool]()
        if row is None:
            return True
        if not self._until_done(lambda: kept.append(self._session.make_durable(lambda: self._session.write([row]), self._incarnation))):
            return False
        if not kept[0] and self._until_done(self._note_incarnation):
            log.warning("Cassandra was started anew: counting %s from the committed offsets", self._topic)
            self._log.rewind()
        return kept[0]

    def _note_incarnation(self) -> None:
        self._incarnation = self._session.incarnation()

    def _until_done(self, act: Callable[[], None]) -> bool:
        """Acts until nothing is in the way. False if the process is being stopped meanwhile: what is not committed will be read again."""
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                act()
                if pause > FIRST_RETRY_SECONDS:
                    self._progress.over(self._topic)
                return True
            except KappaError as error:
                self._progress.trouble(self._topic, error)
            except Exception as error:  # a fault of ours: without this thread all would be counted on, and nothing written
                log.exception("what was counted of %s cannot be written", self._topic)
                self._progress.trouble(self._topic, KappaError(f"{type(error).__name__}: {error}", "see ./kappa logs counts"))
            if self._closing.wait(pause):
                return False
            pause = min(2 * pause, LAST_RETRY_SECONDS)
