"""The process `serving:conversion`: find for every order whether its buyer had viewed the
product before.

`python -m processors.conversion [NAME]` reads all product views and the orders' change
topic in one process. `--generation N` writes another generation of the counts than the
active one (a replay does). One Faust agent takes the batches of both topics from one
channel, because the join relies on the order in which they were read (see
`join_processor`). librdkafka reads the bytes (see `batch_source`).
"""

import argparse
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import Message

from connectors.cassandra import generations
from connectors.cassandra.generations import Generation
from connectors.kafka.admin import ensure_topics
from connectors.kafka.readers.aligned_reader import AlignedReader
from connectors.kafka.readers.lookback import Lookback
from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import Settings, load
from processors.conversion.decode import decode_orders, decode_views
from processors.conversion.interval_join import Views
from processors.conversion.join_processor import JoinContext, JoinProcessor
from processors.conversion.progress import ConversionState
from processors.conversion.rows import ConversionRows
from processors.decoding.clicks import ClickDecoder
from processors.decoding.late_clicks import TimeRule
from processors.runtime.batch_agent import batch_agent
from processors.runtime.faust_app import (
    LazySession,
    control_topic,
    faust_app,
    retry_until_available,
    run,
    start_quietly,
)
from schemas import events, topics
from schemas.shop_tables import ORDERS

if TYPE_CHECKING:
    import faust

PROCESS = "conversion"


@dataclass(frozen=True)
class Job:
    """The process's name, and the generation that it writes (the active one if None)."""

    name: str
    generation: int | None = None


def main() -> None:
    """Convert until SIGTERM."""
    settings = load(os.environ)
    job = _parse_arguments()
    start_quietly(job.name)
    state = ProcessState(settings.home, job.name)
    # Change capture would create the topic with the first order, by the same rules. Created
    # here, a shop without orders has nothing to wait for.
    orders = topics.Topic(_order_topic(settings), 1, topics.KEEP_EVERYTHING)
    needed_topics = [control_topic(job.name), orders]
    retry_until_available(state, lambda: ensure_topics(settings.kafka, needed_topics))
    with ExitStack() as exit_stack:
        session = LazySession(settings, exit_stack)
        keyspace = settings.cassandra.keyspace
        generation = retry_until_available(
            state, lambda: generations.find(session(), keyspace, job.generation)
        )
        run(build_app(settings, job.name, generation, session, ConversionState(state)))


def _parse_arguments() -> Job:
    parser = argparse.ArgumentParser(
        description="Keep the table of orders that a product view preceded."
    )
    parser.add_argument("name", nargs="?", default=PROCESS)
    parser.add_argument("--generation", type=int)
    return Job(**vars(parser.parse_args()))


def _order_topic(settings: Settings) -> str:
    return topics.change_topic(settings.mysql.database, ORDERS.name)


def build_app(
    settings: Settings,
    name: str,
    generation: Generation,
    session: LazySession,
    state: ConversionState,
) -> "faust.App":
    """Return a Faust app with one agent for both topics, fed by one reader."""
    import mode.loop

    mode.loop.use("uvloop")  # before Faust makes a loop: a quarter faster
    from processors.runtime.batch_source import BatchChannel, BatchSource

    app = faust_app(settings, name, state.page)
    stopping = threading.Event()
    topic_names = [_order_topic(settings), topics.PRODUCT_VIEW]
    reader = AlignedReader(settings.kafka, name, generation.conversion_group, topic_names)
    context = JoinContext(
        reader=reader,
        past=Lookback(settings.kafka, name),
        open_rows=lambda: ConversionRows(session(), generation.keyspace, generation.number),
        decode_views=_view_decoder(settings, generation),
        decode_orders=partial(decode_orders, decoder=Decoder(_registry(settings))),
        view_topic=topics.PRODUCT_VIEW,
        order_topic=_order_topic(settings),
        ahead_ms=generation.definition.ahead_ms,
        state=state,
        stopping=stopping,
    )
    channel = BatchChannel(app)
    processor = JoinProcessor(context)
    agent = batch_agent(processor.process_batch, reader, "converting")
    app.agent(channel, name=f"{PROCESS}.join")(agent)
    channels = dict.fromkeys(topic_names, channel)
    batch_size = settings.counts.batch_size
    app.service(BatchSource(reader, channels, batch_size, state, stopping.set))
    return app


def _registry(settings: Settings) -> SchemaRegistry:
    return SchemaRegistry(settings.registry.url)


def _view_decoder(
    settings: Settings, generation: Generation
) -> Callable[[Sequence[Message]], Views]:
    rules = generation.definition
    decoder = ClickDecoder(
        _registry(settings),
        events.SUBJECT_ID[topics.PRODUCT_VIEW],
        TimeRule(rules.horizon_ms, rules.ahead_ms),
    )
    starts = rules.starts.get(topics.PRODUCT_VIEW, {})
    return partial(decode_views, decoder=decoder, starts=starts)


if __name__ == "__main__":
    main()
