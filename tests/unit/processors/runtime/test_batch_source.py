import asyncio
from pathlib import Path

import faust

from processors.runtime.batch_source import BatchChannel


def app(folder: Path) -> faust.App:
    return faust.App(
        "channel-test",
        broker="kafka://127.0.0.1:1",
        store="memory://",
        datadir=str(folder),
        web_enabled=False,
    )


def test_a_batch_waits_for_an_agent_that_starts_later(tmp_path: Path) -> None:
    async def first_batch() -> object:
        channel = BatchChannel(app(tmp_path))
        await channel.put("a batch")  # type: ignore[arg-type]
        return await anext(aiter(channel.stream()))

    assert asyncio.run(first_batch()) == "a batch"


def test_a_rebalance_of_fausts_consumer_drops_no_batch(tmp_path: Path) -> None:
    async def after_a_rebalance() -> object:
        channel = BatchChannel(app(tmp_path))
        reader = channel.clone(is_iterator=True)
        await channel.put("a batch")  # type: ignore[arg-type]
        channel.app.flow_control.suspend()
        channel.app.flow_control.clear()
        channel.app.flow_control.resume()
        return await asyncio.wait_for(reader.queue.get(), 5)

    assert asyncio.run(after_a_rebalance()) == "a batch"
