"""Faust's way in: a service that reads batches with librdkafka and puts them into a channel per topic, from which agents take them."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from faust.app import App
from faust.channels import Channel
from mode import Service
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from connectors.kafka_group import Batch
from infra.errors import KappaError

Place = tuple[str, int]

# Enough that reading overlaps counting, few enough that memory stays small and a rebalance drops little.
BATCHES_AHEAD = 8
POLL_SECONDS = 0.25
PAUSE_SECONDS = 0.5
REPORT_SECONDS = 1.0

log = logging.getLogger(__name__)


class BatchChannel(Channel[Batch]):  # type: ignore[misc]  # Faust's own types are not checked
    """A channel that loses nothing: all its readers and writers share one queue.

    A plain channel makes a queue per reader, drops what is put before there is one, and empties the queues whenever Faust's own
    consumer rebalances.
    """

    def __init__(self, app: App, **options: Any) -> None:
        if options.get("queue") is None:
            flow = FlowControlEvent(initially_suspended=False)
            options |= {"queue": ThrowableQueue(maxsize=BATCHES_AHEAD, flow_control=flow), "maxsize": BATCHES_AHEAD}
        super().__init__(app, **options)

    def _clone_args(self) -> Mapping[str, Any]:
        return {**super()._clone_args(), "queue": self.queue}

    async def put(self, value: Batch) -> None:
        """Waits while the queue is full."""
        await self.queue.put(value)


class Reader(Protocol):
    """What hands out batches of the log; see `connectors.kafka_group` and `connectors.kafka_log`."""

    @property
    def starts(self) -> Mapping[Place, int]: ...
    def read(self, most: int, seconds: float) -> Sequence[Batch]: ...
    def rewind(self) -> None: ...
    def ends(self) -> dict[Place, int]: ...
    def close(self) -> None: ...


class Reporter(Protocol):
    """What is told how the reading goes."""

    def trouble(self, where: str, error: KappaError) -> None: ...
    def over(self, where: str) -> None: ...
    def report(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> None: ...


class Source(Service):  # type: ignore[misc]  # Faust's own types are not checked
    """Moves batches from the log into the channels; a full channel holds it back. When it stops, it ends the counting and leaves the group."""

    def __init__(
        self,
        reader: Reader,
        channels: Mapping[str, BatchChannel],
        most: int,
        progress: Reporter,
        stop_counting: Callable[[], None],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._reader = reader
        self._channels = channels
        self._most = most
        self._progress = progress
        self._stop_counting = stop_counting
        self._thread = ThreadPoolExecutor(1, "reader")
        self._reported = 0.0

    @Service.task  # type: ignore[untyped-decorator]
    async def _pump(self) -> None:
        while not self.should_stop:
            try:
                batches = await self._in_thread(self._read)
                self._progress.over("log")
            except KappaError as error:
                self._progress.trouble("log", error)
                await self.sleep(PAUSE_SECONDS)
                continue
            except Exception as error:  # a fault of ours: what was read would be lost, so it is read again and the state says so
                log.exception("reading failed")
                self._reader.rewind()
                self._progress.trouble("log", KappaError(f"{type(error).__name__}: {error}", "see this process's log"))
                await self.sleep(PAUSE_SECONDS)
                continue
            for batch in batches:
                await self._channels[batch.topic].put(batch)

    async def on_stop(self) -> None:
        """A batch at hand stays uncommitted, and will be read again."""
        await asyncio.get_running_loop().run_in_executor(None, self._stop_counting)
        await self._in_thread(self._reader.close)
        self._thread.shutdown()

    def _read(self) -> Sequence[Batch]:
        if time.monotonic() - self._reported >= REPORT_SECONDS:
            self._reported = time.monotonic()
            self._progress.report(self._reader.starts, self._reader.ends())
        return self._reader.read(self._most, POLL_SECONDS)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
