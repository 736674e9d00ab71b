"""Write one topic's changed rows to Cassandra, and then commit the offsets.

Two threads per topic write, beside the thread that counts. One writes windows, each time
as soon as its last write has ended, so that a click is visible immediately. The clicks
counted during a write go together into the next one: the busier the topic, the fewer
writes per event. The other thread writes all other rows every two seconds. It commits the
offsets when every window of that moment is written too, and when all of it would survive a
crash of Cassandra.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from connectors.cassandra.client import Session
from connectors.cassandra.row_batches import PackedRow
from connectors.kafka.dead_letters import DeadLetters
from processors.counts.progress import Progress
from processors.counts.state_tables import Checkpoint, PendingWrite
from processors.counts.topic_state import TopicState
from processors.runtime.clock import SYSTEM_CLOCK, Clock
from schemas.errors import KappaError

T = TypeVar("T")

MIN_PAUSE_SECONDS = 0.002
# The pause after a write of windows, as a share of the time that the write took.
PAUSE_PER_WRITE_SECOND = 1 / 8
ROLLUP_SECONDS = 2.0
# Windows come first: roll-ups written at full speed would delay the clicks of the moment.
ROLLUP_SPREAD_SECONDS = 1.2
# Far behind the log's end a click is late anyway: then fewer writes are worth more.
CATCHING_UP_PAUSE_SECONDS = 1.0
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0
# Rows of windows that may wait before counting waits too, and events that may wait to be
# rolled up (40 bytes each). Where every click is on another product, each such row becomes
# four more, one of them a sketch of 2 KB: this limit, not the number of products, decides
# how much memory a worker needs.
MAX_UNWRITTEN_ROWS = 25_000
MAX_UNROLLED_EVENTS = 1_000_000

log = logging.getLogger(__name__)


class OffsetCommitter(Protocol):
    """Commits how far the counts are."""

    def commit_checkpoints(self, epoch: int, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Commit the checkpoints of an epoch, unless that epoch is over."""
        ...

    def rewind(self) -> None:
        """Count everything again from the committed offsets."""
        ...


class Stopped(Exception):
    """The process stops before an operation has succeeded."""


class CassandraWriter:
    """Writes a topic's changes from `start` to `stop`, which writes the last of them.

    Failures of Cassandra or Kafka are retried until they are over.
    """

    def __init__(
        self,
        topic: str,
        state: TopicState,
        session: Session,
        dead_letters: DeadLetters,
        committer: OffsetCommitter,
        progress: Progress,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Create it before `state` reads any row. Raises Refused, Unavailable."""
        self._topic = topic
        self._state = state
        self._session = session
        self._dead_letters = dead_letters
        self._committer = committer
        self._progress = progress
        self._clock = clock
        self._incarnation = session.incarnation()
        self._window_thread = self._thread("windows", self._write_windows)
        self._rollup_thread = self._thread("rollups", self._write_rollups)
        self._has_changes = threading.Event()
        self._skip_pause = threading.Event()
        self._rollup_due = threading.Event()
        self._stopping = threading.Event()
        # Notified when a write has ended. Guards the two numbers: the last write of windows
        # that began, and the last one whose rows are all acknowledged.
        self._write_ended = threading.Condition()
        self._begun_write = 0
        self._acknowledged_write = 0
        self._lost_rows = False
        self._last_row: PackedRow | None = None
        self._catching_up = False

    def _thread(self, name: str, run: Callable[[], None]) -> threading.Thread:
        return threading.Thread(
            target=self._run_or_exit,
            args=(run,),
            name=f"{name} of {self._topic}",
            daemon=True,
        )

    def start(self) -> None:
        """Start to write."""
        self._window_thread.start()
        self._rollup_thread.start()

    def notify_changes(self, timeout_seconds: float, *, catching_up: bool = False) -> bool:
        """Note that rows have changed, and whether the log has many more events.

        While too much waits to be written, this waits for at most `timeout_seconds`.
        Returns whether counting may continue.
        """
        self._catching_up = catching_up
        self._has_changes.set()
        if not catching_up or not self._has_room():
            self._skip_pause.set()
        if self._has_room():
            return True
        self._rollup_due.set()
        with self._write_ended:
            return self._write_ended.wait_for(self._has_room, timeout_seconds)

    def stop(self, timeout_seconds: float) -> None:
        """Write and commit the remaining changes, if that succeeds in time."""
        self._stopping.set()
        for event in (self._has_changes, self._skip_pause, self._rollup_due):
            event.set()
        with self._write_ended:
            self._write_ended.notify_all()
        self._rollup_thread.join(timeout_seconds)

    def _run_or_exit(self, run: Callable[[], None]) -> None:
        """Run a thread's work; a bug in it ends the process.

        Otherwise rows that count as written would never be. The next process
        reads the uncommitted records again.
        """
        try:
            run()
        except Exception:
            log.exception("writing %s failed", self._topic)
            os._exit(1)

    def _has_room(self) -> bool:
        backlog = self._state.backlog
        return (
            backlog.window_rows < MAX_UNWRITTEN_ROWS
            and backlog.events < MAX_UNROLLED_EVENTS
        )

    # The thread of windows.

    def _write_windows(self) -> None:
        while not self._stopping.is_set():
            self._has_changes.wait()
            self._has_changes.clear()
            self._skip_pause.clear()
            began_at = self._clock.monotonic()
            self._write_changed_windows()
            if self._catching_up:
                self._clock.wait(self._skip_pause, CATCHING_UP_PAUSE_SECONDS)
            else:
                write_seconds = self._clock.monotonic() - began_at
                pause = max(MIN_PAUSE_SECONDS, write_seconds * PAUSE_PER_WRITE_SECOND)
                self._clock.wait(self._stopping, pause)

    def _write_changed_windows(self) -> None:
        with self._write_ended:
            self._begun_write += 1
        if self._write(self._state.take_windows()):
            with self._write_ended:
                self._acknowledged_write = self._begun_write
                self._write_ended.notify_all()

    # The thread of roll-ups.

    def _write_rollups(self) -> None:
        while not self._stopping.is_set():
            self._clock.wait(self._rollup_due, ROLLUP_SECONDS)
            self._rollup_due.clear()
            self._write_and_commit_rollups()
        self._window_thread.join()
        self._write_and_commit_rollups()

    def _write_and_commit_rollups(self) -> None:
        try:
            pending_write = self._retry(self._state.take_rollups)
            if self._write(pending_write, self._rollup_spread_seconds()):
                self._commit(pending_write)
        except Stopped:
            pass
        with self._write_ended:
            self._write_ended.notify_all()

    def _commit(self, pending_write: PendingWrite) -> None:
        """Commit the checkpoints, if everything that they include is durable.

        Raises Stopped.
        """
        if (
            pending_write.checkpoints
            and self._windows_are_written()
            and not self._lost_rows
            and self._is_durable()
        ):
            self._state.mark_durable()
            self._committer.commit_checkpoints(
                pending_write.epoch, pending_write.checkpoints
            )

    def _rollup_spread_seconds(self) -> float:
        """Return how long writing roll-ups may take: no time while much waits behind it."""
        in_a_hurry = self._catching_up or self._stopping.is_set()
        if in_a_hurry or not self._has_room():
            return 0.0
        return ROLLUP_SPREAD_SECONDS

    def _windows_are_written(self) -> bool:
        """Wait until the windows changed so far are written. Returns whether they are."""
        with self._write_ended:
            needed_write = self._begun_write + 1
            self._has_changes.set()
            self._skip_pause.set()
            self._write_ended.wait_for(
                lambda: self._acknowledged_write >= needed_write or self._stopping.is_set()
            )
        if not self._stopping.is_set():
            return True
        # The thread of windows has ended, or soon will, but counting may have continued.
        self._window_thread.join()
        self._write_changed_windows()
        return self._acknowledged_write == self._begun_write

    def _is_durable(self) -> bool:
        """Return whether everything written will survive a crash of Cassandra.

        If Cassandra has restarted since the last check, some of it may be lost: then
        counting begins again at the committed offsets. Raises Stopped.
        """
        row = self._last_row
        if row is None:
            return True

        def make_durable() -> bool:
            return self._session.make_durable(
                lambda: self._session.write([row]), self._incarnation
            )

        if self._retry(make_durable):
            return True
        self._incarnation = self._retry(self._session.incarnation)
        log.warning(
            "Cassandra has restarted: counting %s again from the committed offsets",
            self._topic,
        )
        self._committer.rewind()
        return False

    # Both threads.

    def _write(self, pending_write: PendingWrite, over_seconds: float = 0.0) -> bool:
        """Write rows and dead letters, and return whether all are acknowledged."""
        began_at = self._clock.monotonic()
        try:
            self._retry(lambda: self._write_once(pending_write, over_seconds))
        except Stopped:
            # These rows are in no cache now, so nothing after them may be committed.
            self._lost_rows = True
            return False
        row_count = pending_write.row_count
        if row_count:
            self._last_row = next(pending_write.encode_rows())
            write_ms = (self._clock.monotonic() - began_at) * 1e3
            self._progress.rows_written(self._topic, row_count, write_ms)
        return True

    def _write_once(self, pending_write: PendingWrite, over_seconds: float) -> None:
        self._session.write(pending_write.encode_rows(), over_seconds)
        if pending_write.rejected_records:
            for rejection in pending_write.rejected_records:
                self._dead_letters.send(rejection.record, rejection.reason)
            self._dead_letters.flush()

    def _retry(self, operation: Callable[[], T]) -> T:
        """Return what `operation` returns, repeating it with back-off until it succeeds.

        Raises Stopped if the process stops before: what is not committed is read again.
        """
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                result = operation()
                if pause > FIRST_RETRY_SECONDS:
                    self._progress.clear_problem(self._topic)
                return result
            except KappaError as error:
                self._progress.report_problem(self._topic, error)
            # A bug in this code. Without this thread everything would be counted and nothing
            # written.
            except Exception as error:
                log.exception("the counts of %s cannot be written", self._topic)
                problem = f"{type(error).__name__}: {error}"
                self._progress.report_problem(
                    self._topic, KappaError(problem, "see ./kappa logs counts")
                )
            if self._clock.wait(self._stopping, pause):
                raise Stopped
            pause = min(2 * pause, LAST_RETRY_SECONDS)
