"""The source of Faust's agents: read batches with librdkafka into a channel per topic."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from faust.app import App
from faust.channels import Channel
from mode import Service
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from connectors.kafka.readers.batches import Batch
from schemas.errors import KappaError
from schemas.topics import TopicPartition

# Enough that reading overlaps counting; few enough that memory stays small and a rebalance
# drops little.
BATCHES_AHEAD = 8
POLL_SECONDS = 0.25
PAUSE_SECONDS = 0.5
REPORT_SECONDS = 1.0

# Where problems of the reading are reported.
READER = "log"

T = TypeVar("T")

log = logging.getLogger(__name__)


class BatchChannel(Channel[Batch]):  # type: ignore[misc]  # Faust's own types are not checked
    """A channel that loses nothing: all its readers and writers share one queue.

    A plain channel makes a queue per reader, drops values put before there is a reader, and
    empties the queues whenever Faust's consumer rebalances.
    """

    def __init__(self, app: App, **options: Any) -> None:
        if options.get("queue") is None:
            flow = FlowControlEvent(initially_suspended=False)
            queue = ThrowableQueue(maxsize=BATCHES_AHEAD, flow_control=flow)
            options |= {"queue": queue, "maxsize": BATCHES_AHEAD}
        super().__init__(app, **options)

    def _clone_args(self) -> Mapping[str, Any]:
        return {**super()._clone_args(), "queue": self.queue}

    async def put(self, value: Batch) -> None:
        """Add a batch; waits while the queue is full."""
        await self.queue.put(value)


class Reader(Protocol):
    """Reads batches: a `GroupReader` or an `AlignedReader` of `connectors.kafka.readers`."""

    @property
    def starts(self) -> Mapping[TopicPartition, int]: ...
    def read(self, max_records: int, wait_seconds: float) -> Sequence[Batch]: ...
    def rewind(self) -> None: ...
    def ends(self) -> dict[TopicPartition, int]: ...
    def close(self) -> None: ...


class Reporter(Protocol):
    """Shows users how the reading progresses."""

    def report_problem(self, where: str, error: KappaError) -> None: ...
    def clear_problem(self, where: str) -> None: ...
    def report(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None: ...


class BatchSource(Service):  # type: ignore[misc]  # Faust's own types are not checked
    """Moves batches from the log into the channels.

    A full channel slows the reading down. When the service stops, it first stops the
    counting and then leaves the consumer group.
    """

    def __init__(
        self,
        reader: Reader,
        channels: Mapping[str, BatchChannel],
        batch_size: int,
        reporter: Reporter,
        stop_counting: Callable[[], None],
        **options: Any,
    ) -> None:
        """`channels` has the channel of each topic; a fetch has `batch_size` records at most."""
        super().__init__(**options)
        self._reader = reader
        self._channels = channels
        self._batch_size = batch_size
        self._reporter = reporter
        self._stop_counting = stop_counting
        self._thread = ThreadPoolExecutor(1, "reader")
        self._reported_at = 0.0

    @Service.task  # type: ignore[untyped-decorator]
    async def _pump(self) -> None:
        while not self.should_stop:
            try:
                batches = await self._in_thread(self._read)
                self._reporter.clear_problem(READER)
            except KappaError as error:
                self._reporter.report_problem(READER, error)
                await self.sleep(PAUSE_SECONDS)
                continue
            # A bug in this code: the records of this read would be lost, so they are read again.
            except Exception as error:
                log.exception("reading failed")
                self._reader.rewind()
                problem = f"{type(error).__name__}: {error}"
                self._reporter.report_problem(
                    READER, KappaError(problem, "see this process's log")
                )
                await self.sleep(PAUSE_SECONDS)
                continue
            for batch in batches:
                await self._channels[batch.topic].put(batch)

    async def on_stop(self) -> None:
        """Stop; a batch not counted yet stays uncommitted, and will be read again."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._stop_counting)
        await self._in_thread(self._reader.close)
        self._thread.shutdown()

    def _read(self) -> Sequence[Batch]:
        now = time.monotonic()
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self._reporter.report(self._reader.starts, self._reader.ends())
        return self._reader.read(self._batch_size, POLL_SECONDS)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
