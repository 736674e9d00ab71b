"""The process `serving:conversion`: a Faust agent that says of every order whether its buyer had looked at the product before.

`python -m processors.conversion [NAME]` reads the product views and the orders' change topic whole, in one process; `--generation N`
writes another generation of the counts than the active one (a replay does). One agent takes the batches of both topics from one
channel, because the join relies on the order in which they were read (see `converter`); librdkafka brings the bytes (see `source`).
"""

import argparse
import asyncio
import os
import threading
from collections.abc import AsyncIterable, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from connectors import generations, kafka
from connectors.generations import Generation
from connectors.kafka_log import LogBatch, LogReader
from connectors.kafka_past import Past
from connectors.registry import Decoder, SchemaRegistry
from infra.settings import Settings, load
from infra.state import ProcessState
from processors.clicks import ClickDecoder, TimeRule
from processors.conversion_records import placed_by, views_of
from processors.conversion_rows import ConversionRows
from processors.conversion_state import ConversionState
from processors.converter import Converter, Surroundings
from processors.faust_app import SessionAtNeed, control_topic, faust_app, patiently, run, start_quietly
from schemas import events, topics
from schemas.tables import ORDERS

if TYPE_CHECKING:
    import faust

PROCESS = "conversion"


@dataclass(frozen=True)
class Job:
    """What the process is called, and which generation it writes (the active one if None)."""

    name: str
    generation: int | None = None


def main() -> None:
    """Converts until SIGTERM."""
    settings, job = load(os.environ), _job()
    start_quietly(job.name)
    state = ProcessState(settings.home, job.name)
    # Change capture would make the topic with the first order, by the same rules: a shop without orders has nothing to wait for.
    orders = topics.Topic(topics.change_topic(settings.mysql.database, ORDERS.name), 1, topics.KEEP_EVERYTHING)
    patiently(state, lambda: kafka.ensure_topics(settings.kafka, [control_topic(job.name), orders]))
    with ExitStack() as at_end:
        session = SessionAtNeed(settings, at_end)
        generation = patiently(state, lambda: generations.find(session(), settings.cassandra.keyspace, job.generation))
        run(build_app(settings, job.name, generation, session, ConversionState(state)))


def _job() -> Job:
    parser = argparse.ArgumentParser(description="Keeps the table of orders that a look had preceded.")
    parser.add_argument("name", nargs="?", default=PROCESS)
    parser.add_argument("--generation", type=int)
    return Job(**vars(parser.parse_args()))


def build_app(settings: Settings, name: str, generation: Generation, session: SessionAtNeed, state: ConversionState) -> "faust.App":
    """A Faust app with one agent for both topics, fed by one reader."""
    import mode.loop

    mode.loop.use("uvloop")  # before Faust makes a loop: a quarter faster
    from processors.source import BatchChannel, Source

    app, stopping = faust_app(settings, name, state.page), threading.Event()
    order_topic = topics.change_topic(settings.mysql.database, ORDERS.name)
    reader = LogReader(settings.kafka, name, generation.conversion_group, [order_topic, topics.PRODUCT_VIEW])
    rules, registry = generation.definition, SchemaRegistry(settings.registry.url)
    clicks = ClickDecoder(registry, events.SUBJECT_ID[topics.PRODUCT_VIEW], TimeRule(rules.horizon_ms, rules.ahead_ms))
    around = Surroundings(
        reader=reader,
        past=Past(settings.kafka, name),
        open_rows=lambda: ConversionRows(session(), generation.keyspace, generation.number),
        views_of=partial(views_of, decoder=clicks, starts=rules.starts.get(topics.PRODUCT_VIEW, {})),
        placed_by=partial(placed_by, decoder=Decoder(registry)),
        view_topic=topics.PRODUCT_VIEW,
        order_topic=order_topic,
        ahead_ms=rules.ahead_ms,
        state=state,
        stopping=stopping,
    )
    channel = BatchChannel(app)
    app.agent(channel, name=f"{PROCESS}.join")(_agent(Converter(around), reader))
    channels = {order_topic: channel, topics.PRODUCT_VIEW: channel}
    app.service(Source(reader, channels, settings.counts.batch_size, state, stopping.set))
    return app


def _agent(converter: Converter, reader: LogReader) -> Callable[[AsyncIterable[LogBatch]], Awaitable[None]]:
    thread = ThreadPoolExecutor(1, "converting")  # one: batches are handled in their order, even if Faust starts the agent anew

    async def convert(stream: AsyncIterable[LogBatch]) -> None:
        async for batch in stream:
            try:
                await asyncio.get_running_loop().run_in_executor(thread, converter.handle, batch)
            except BaseException:
                reader.rewind()  # whoever takes over could not know of this batch
                raise

    return convert


if __name__ == "__main__":
    main()
