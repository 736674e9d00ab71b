"""Batches one after the other: until one is done, nothing after it is.

Trouble is waited out with the same batch; a batch that got lost on the way here is noticed by its number, and read again.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from connectors.kafka_group import Batch
from infra.errors import KappaError

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0

B = TypeVar("B", bound=Batch)

log = logging.getLogger(__name__)


class Reader(Protocol):
    """Where the batches come from."""

    @property
    def epoch(self) -> int: ...
    def rewind(self) -> None: ...


class State(Protocol):
    """Who is told what is in the way."""

    def trouble(self, where: str, error: KappaError) -> None: ...


class InOrder:
    """The batches of one reader, or of one of its topics, each taken once."""

    def __init__(self, process: str, reader: Reader, state: State, stopping: threading.Event) -> None:
        """`process` is whose log has the details of a fault."""
        self._process, self._reader, self._state, self._stopping = process, reader, state, stopping
        self._epoch = self._due = -1

    def take(self, batch: B, settle: Callable[[B], None]) -> None:
        """Settles a batch, again and again while that raises something. Returns when it is done or need not be: see `is_void`."""
        if not self._is_next(batch):
            return
        pause = FIRST_PAUSE_SECONDS
        while not self.is_void(batch):
            try:
                settle(batch)
                self._due += 1
                return
            except KappaError as error:
                self._state.trouble(batch.topic, error)
            except Exception as error:  # a fault of ours: losing the batch would miscount, so it stays and the state says so
                log.exception("batch %s cannot be taken in", batch)
                self._state.trouble(batch.topic, KappaError(f"{type(error).__name__}: {error}", f"see ./kappa logs {self._process}"))
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def is_void(self, batch: Batch) -> bool:
        """Whether a batch need not be done: its epoch is over, or we stop."""
        return self._stopping.is_set() or batch.epoch != self._reader.epoch

    def _is_next(self, batch: Batch) -> bool:
        if self.is_void(batch):
            return False
        if batch.epoch != self._epoch:
            self._epoch, self._due = batch.epoch, 0
        if batch.number != self._due:
            log.warning("%s: batch %d came where %d was due; reading again from the committed offsets", batch, batch.number, self._due)
            self._reader.rewind()
            return False
        return True
