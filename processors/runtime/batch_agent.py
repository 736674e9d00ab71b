"""A Faust agent that passes batches to a function of ours, one after the other."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class Rewindable(Protocol):
    """The reader of the batches."""

    def rewind(self) -> None:
        """Read again what was not committed."""


def batch_agent(
    process_batch: Callable[[T], object], reader: Rewindable, thread_name: str
) -> Callable[[AsyncIterable[T]], Awaitable[None]]:
    """Return the function of an agent that calls `process_batch` in a thread of its own.

    An error ends the agent, and has the batch read again: Faust restarts the agent, which cannot
    know of it.
    """
    # One thread: batches are processed in their order, even if Faust restarts the agent.
    thread = ThreadPoolExecutor(1, thread_name)

    async def process(stream: AsyncIterable[T]) -> None:
        loop = asyncio.get_running_loop()
        async for batch in stream:
            try:
                await loop.run_in_executor(thread, process_batch, batch)
            except BaseException:
                reader.rewind()
                raise

    return process
