"""Process batches in their order: none begins before the batch before it has succeeded.

A batch that fails is repeated. A batch that got lost between reader and processor is
noticed by the gap in the numbers, and is read again.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from connectors.kafka.readers.batches import Batch
from processors.runtime.clock import SYSTEM_CLOCK, Clock
from schemas.errors import KappaError

FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 2.0

B = TypeVar("B", bound=Batch)

log = logging.getLogger(__name__)


class Reader(Protocol):
    """The source of the batches."""

    @property
    def epoch(self) -> int: ...
    def rewind(self) -> None: ...


class ProblemReporter(Protocol):
    """Shows users why processing does not continue."""

    def report_problem(self, where: str, error: KappaError) -> None: ...


class OrderedBatches:
    """The batches of one reader, or of one of its topics, each processed once."""

    def __init__(
        self,
        process: str,
        reader: Reader,
        reporter: ProblemReporter,
        stopping: threading.Event,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`process` is the name of the log that has the details of a bug."""
        self._process = process
        self._reader = reader
        self._reporter = reporter
        self._stopping = stopping
        self._clock = clock
        self._epoch = -1
        self._next_number = -1

    def process_in_order(self, batch: B, process: Callable[[B], None]) -> None:
        """Call `process` with the batch, repeating it with back-off until it succeeds.

        Returns without success if the batch is void, or if a batch before it is missing.
        """
        if not self._is_next(batch):
            return
        pause = FIRST_PAUSE_SECONDS
        while not self.is_void(batch):
            try:
                process(batch)
                self._next_number += 1
                return
            except KappaError as error:
                self._reporter.report_problem(batch.topic, error)
            # A bug in this code. Without this batch counts would be wrong, so it is kept.
            except Exception as error:
                log.exception("batch %s cannot be processed", batch)
                problem = KappaError(
                    f"{type(error).__name__}: {error}", f"see ./kappa logs {self._process}"
                )
                self._reporter.report_problem(batch.topic, problem)
            self._clock.wait(self._stopping, pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def is_void(self, batch: Batch) -> bool:
        """Return whether a batch is not needed: its epoch is over, or the process stops."""
        return self._stopping.is_set() or batch.epoch != self._reader.epoch

    def _is_next(self, batch: Batch) -> bool:
        if self.is_void(batch):
            return False
        if batch.epoch != self._epoch:
            self._epoch = batch.epoch
            self._next_number = 0
        if batch.number == self._next_number:
            return True
        log.warning(
            "%s: batch %d instead of %d; reading again from the committed offsets",
            batch,
            batch.number,
            self._next_number,
        )
        self._reader.rewind()
        return False
