"""Batches are processed one after the other, and one that fails is read again."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from processors.runtime import batch_agent as module
from processors.runtime.batch_agent import batch_agent


class Reader:
    def __init__(self) -> None:
        self.rewinds = 0

    def rewind(self) -> None:
        self.rewinds += 1


@pytest.fixture(autouse=True)
def _ended_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent's thread lives as long as the process; a test ends it."""
    with ExitStack() as threads:

        def start_thread(workers: int, name: str) -> ThreadPoolExecutor:
            return threads.enter_context(ThreadPoolExecutor(workers, name))

        monkeypatch.setattr(module, "ThreadPoolExecutor", start_thread)
        yield


async def stream(*batches: int) -> AsyncIterator[int]:
    for batch in batches:
        yield batch


def test_batches_are_processed_in_order_in_one_thread() -> None:
    processed: list[tuple[int, str]] = []
    reader = Reader()
    agent = batch_agent(
        lambda batch: processed.append((batch, threading.current_thread().name)),
        reader,
        "counting",
    )

    async def restarted_agent() -> None:
        await agent(stream(1, 2))
        await agent(stream(3))

    asyncio.run(restarted_agent())
    assert processed == [(number, "counting_0") for number in (1, 2, 3)]
    assert reader.rewinds == 0


def test_a_batch_that_fails_is_read_again_and_ends_the_agent() -> None:
    processed = []

    def process_batch(batch: int) -> None:
        processed.append(batch)
        if batch == 2:
            raise ValueError("unreadable")

    reader = Reader()
    with pytest.raises(ValueError, match="unreadable"):
        asyncio.run(batch_agent(process_batch, reader, "counting")(stream(1, 2, 3)))
    assert processed == [1, 2]
    assert reader.rewinds == 1
