"""The process `serving:counts`: Faust agents that keep the live counts in Cassandra equal to the click topics.

`python -m processors.counts [NAME]`: workers of different names share the partitions through the generation's consumer group.
`--generation N` counts another generation than the active one (a replay does); `--beside SUFFIX` counts the topics `productview.SUFFIX`
and `orderview.SUFFIX` into keyspaces of their own (benchmarks and fault tests do).
Faust gives the agents, their life cycle and the web page; the group membership and the bytes come from librdkafka (see `source`).
"""

import argparse
import asyncio
import os
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from confluent_kafka import Message

from connectors import generations, kafka
from connectors.dead_letters import DeadLetters
from connectors.generations import Generation
from connectors.kafka_group import GroupReader
from connectors.registry import SchemaRegistry
from infra.settings import Settings, load
from infra.state import ProcessState
from processors.batches import BatchCounter, ClickBatch, Surroundings
from processors.clicks import ClickDecoder, Decoded, TimeRule
from processors.faust_app import SessionAtNeed, control_topic, faust_app, patiently, run, start_quietly
from processors.metrics import Metrics
from processors.progress import Progress
from processors.tally import Tally
from processors.writer import Log, Writer
from schemas import events, topics

if TYPE_CHECKING:
    import faust

PROCESS = "counts"


@dataclass(frozen=True)
class Job:
    """What a worker is to count: its own name, the generation (the active one if None), and beside what."""

    name: str
    generation: int | None = None
    beside: str = ""

    @property
    def suffix(self) -> str:
        """What is added to the names of topics and groups."""
        return f".{self.beside}" if self.beside else ""

    def base(self, settings: Settings) -> str:
        """The base keyspace."""
        return f"{settings.cassandra.keyspace}_{self.beside}" if self.beside else settings.cassandra.keyspace

    def topics(self) -> dict[str, str]:
        """The topics to read, by the name of their contract."""
        return {topic: f"{topic}{self.suffix}" for topic in topics.CLICK_TOPICS}


def main() -> None:
    """Counts until SIGTERM."""
    settings, job = load(os.environ), _job()
    start_quietly(job.name)
    state = ProcessState(settings.home, job.name)
    patiently(state, lambda: kafka.ensure_topics(settings.kafka, _needed_topics(job)))
    with ExitStack() as at_end:
        session = SessionAtNeed(settings, at_end)
        generation = patiently(state, lambda: generations.find(session(), job.base(settings), job.generation))
        run(build_app(settings, job, generation, session, state))


def _job() -> Job:
    parser = argparse.ArgumentParser(description="A worker of the live counts.")
    parser.add_argument("name", nargs="?", default=PROCESS)
    parser.add_argument("--generation", type=int)
    parser.add_argument("--beside", default="")
    return Job(**vars(parser.parse_args()))


def build_app(settings: Settings, job: Job, generation: Generation, session: SessionAtNeed, state: ProcessState) -> "faust.App":
    """A Faust app with one agent per click topic, all fed by one reader."""
    import mode.loop

    mode.loop.use("uvloop")  # before Faust makes a loop: a quarter faster
    from processors.source import BatchChannel, Source

    metrics, stopping = Metrics(), threading.Event()
    progress = Progress(state, metrics)
    app = faust_app(settings, job.name, metrics.page)
    books = {topic: _Books(settings, job, contract, topic, generation, session, progress) for contract, topic in job.topics().items()}
    decoders = {topic: book.decoder() for topic, book in books.items()}
    reader = GroupReader(settings.kafka, job.name, generation.group(job.suffix), decoders)
    around = Surroundings(reader, progress, stopping, _letters_from(settings, job, generation, session))
    channels, counters = {}, []
    for topic, book in books.items():
        counters.append(BatchCounter(topic, book.open, around))
        channels[topic] = BatchChannel(app)
        app.agent(channels[topic], name=f"{PROCESS}.{topic}")(_agent(counters[-1], reader))

    def stop_counting() -> None:
        stopping.set()
        for counter in counters:
            counter.close()

    app.service(Source(reader, channels, settings.counts.batch_size, progress, stop_counting))
    return app


@dataclass(frozen=True)
class _Books:
    """What it takes to count one topic, opened when first needed."""

    settings: Settings
    job: Job
    contract: str
    topic: str
    generation: Generation
    session: SessionAtNeed
    progress: Progress

    def decoder(self) -> Callable[[Sequence[Message]], Decoded[Message]]:
        """What decodes the topic's records; it notes when the first ones came."""
        rules = self.generation.definition
        registry = SchemaRegistry(self.settings.registry.url)
        decoder = ClickDecoder(registry, events.SUBJECT_ID[self.contract], TimeRule(rules.horizon_ms, rules.ahead_ms))

        def decode(records: Sequence[Message]) -> Decoded[Message]:
            self.progress.began()
            return decoder.decode(records)

        return decode

    def open(self, log: Log) -> tuple[Tally, Writer]:
        """The tally and its running writer. Raises KappaError while Cassandra is away."""
        session = self.session()
        rows_kept = self.settings.counts.rows_kept // len(topics.CLICK_TOPICS)
        tally = Tally(self.contract, session, self.generation, rows_kept)
        writer = Writer(self.topic, tally, session, DeadLetters(self.settings.kafka, self.job.name), log, self.progress)
        writer.start()
        return tally, writer


def _letters_from(settings: Settings, job: Job, generation: Generation, session: SessionAtNeed) -> Mapping[tuple[str, int], int]:
    """Where this worker begins to set records aside: beside a live generation, where that one was when we came."""
    if generation.state == "live":
        return {}
    live = generations.active(session(), job.base(settings))
    return kafka.committed(settings.kafka, live.group(job.suffix), job.topics().values())


def _agent(counter: BatchCounter, reader: GroupReader[Decoded[Message]]) -> Callable[[AsyncIterable[ClickBatch]], Awaitable[None]]:
    thread = ThreadPoolExecutor(1, "counting")  # one: batches are counted in their order, even if Faust starts the agent anew

    async def count(stream: AsyncIterable[ClickBatch]) -> None:
        async for batch in stream:
            try:
                await asyncio.get_running_loop().run_in_executor(thread, counter.count, batch)
            except BaseException:
                reader.rewind()  # whoever takes over could not know of this batch
                raise

    return count


def _needed_topics(job: Job) -> Iterable[topics.Topic]:
    own = {*topics.CLICK_TOPICS, *map(topics.dead_topic, topics.CLICK_TOPICS)}
    for topic in topics.started_topics():
        if topic.name in own:
            contract, dot, dead = topic.name.partition(".")
            yield replace(topic, name=f"{contract}{job.suffix}{dot}{dead}")
    yield control_topic(job.name)


if __name__ == "__main__":
    main()
