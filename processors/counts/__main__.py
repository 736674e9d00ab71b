"""The process `serving:counts`: keep the live counts in Cassandra equal to the click topics.

`python -m processors.counts [NAME]`: workers of different names share the partitions
through the generation's consumer group. `--generation N` counts another generation than
the active one (a replay does). `--beside SUFFIX` counts the topics `productview.SUFFIX` and
`orderview.SUFFIX` into separate keyspaces (benchmarks and fault tests do).

The flow: `BatchSource` reads batches with librdkafka, which also handles the group
membership, and decodes them. A Faust agent per topic passes them to a `BatchCounter`, which
counts them in a `TopicState`. A `CassandraWriter` writes the changed rows and then has the
offsets committed. Faust provides the agents, their lifecycle and the web page.
"""

import argparse
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from confluent_kafka import Message

from connectors.cassandra import generations
from connectors.cassandra.generations import Generation
from connectors.kafka import client as kafka
from connectors.kafka.admin import ensure_topics
from connectors.kafka.dead_letters import DeadLetters
from connectors.kafka.readers.group_reader import GroupReader
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import Settings, load
from processors.counts.batch_counter import (
    BatchCounter,
    CountingContext,
    OpenTopic,
)
from processors.counts.cassandra_writer import CassandraWriter, OffsetCommitter
from processors.counts.metrics import Metrics
from processors.counts.progress import Progress
from processors.counts.topic_state import TopicState
from processors.decoding.clicks import ClickDecoder, DecodedClicks
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

if TYPE_CHECKING:
    import faust

PROCESS = "counts"


@dataclass(frozen=True)
class Job:
    """A worker's task: its name, the generation to count (the active one if None).

    `beside` is the suffix of other topics and keyspaces than the shop's.
    """

    name: str
    generation: int | None = None
    beside: str = ""

    @property
    def suffix(self) -> str:
        """The end of the names of topics and groups."""
        return f".{self.beside}" if self.beside else ""

    def base_keyspace(self, settings: Settings) -> str:
        """Return the keyspace that the generations' keyspaces are named after."""
        keyspace = settings.cassandra.keyspace
        return f"{keyspace}_{self.beside}" if self.beside else keyspace

    def topics(self) -> dict[str, str]:
        """Return the topics to read, by the name of their contract."""
        return {topic: f"{topic}{self.suffix}" for topic in topics.CLICK_TOPICS}


def main() -> None:
    """Count until SIGTERM."""
    settings = load(os.environ)
    job = _parse_arguments()
    start_quietly(job.name)
    state = ProcessState(settings.home, job.name)
    retry_until_available(state, lambda: ensure_topics(settings.kafka, _needed_topics(job)))
    with ExitStack() as exit_stack:
        session = LazySession(settings, exit_stack)
        keyspace = job.base_keyspace(settings)
        generation = retry_until_available(
            state, lambda: generations.find(session(), keyspace, job.generation)
        )
        run(build_app(settings, job, generation, session, state))


def _parse_arguments() -> Job:
    parser = argparse.ArgumentParser(description="A worker of the live counts.")
    parser.add_argument("name", nargs="?", default=PROCESS)
    parser.add_argument("--generation", type=int)
    parser.add_argument("--beside", default="")
    return Job(**vars(parser.parse_args()))


def build_app(
    settings: Settings,
    job: Job,
    generation: Generation,
    session: LazySession,
    state: ProcessState,
) -> "faust.App":
    """Return a Faust app with one agent per click topic, all fed by one reader.

    Raises Refused, Unavailable.
    """
    import mode.loop

    mode.loop.use("uvloop")  # before Faust makes a loop: a quarter faster
    from processors.runtime.batch_source import BatchChannel, BatchSource

    metrics = Metrics()
    stopping = threading.Event()
    progress = Progress(state, metrics)
    app = faust_app(settings, job.name, metrics.page)
    setups = [
        _TopicSetup(
            settings=settings,
            job=job,
            contract=contract,
            topic=topic,
            generation=generation,
            session=session,
            progress=progress,
        )
        for contract, topic in job.topics().items()
    ]
    reader = GroupReader(
        settings.kafka,
        job.name,
        generation.group(job.suffix),
        {setup.topic: setup.decoder() for setup in setups},
    )
    context = CountingContext(
        reader=reader,
        progress=progress,
        stopping=stopping,
        dead_letters_from=_dead_letters_from(settings, job, generation, session),
    )
    channels = {}
    counters = []
    for setup in setups:
        counter = BatchCounter(setup.topic, setup.open_topic, context)
        channel = BatchChannel(app)
        agent = batch_agent(counter.count_batch, reader, "counting")
        app.agent(channel, name=f"{PROCESS}.{setup.topic}")(agent)
        counters.append(counter)
        channels[setup.topic] = channel

    def stop_counting() -> None:
        stopping.set()
        for counter in counters:
            counter.stop()

    batch_size = settings.counts.batch_size
    app.service(BatchSource(reader, channels, batch_size, progress, stop_counting))
    return app


@dataclass(frozen=True, kw_only=True)
class _TopicSetup:
    """Creates what it takes to count one topic; `contract` is the name of its contract."""

    settings: Settings
    job: Job
    contract: str
    topic: str
    generation: Generation
    session: LazySession
    progress: Progress

    def decoder(self) -> Callable[[Sequence[Message]], DecodedClicks[Message]]:
        """Return the decoder of the topic's records; it notes when the first one came."""
        rules = self.generation.definition
        decoder = ClickDecoder(
            SchemaRegistry(self.settings.registry.url),
            events.SUBJECT_ID[self.contract],
            TimeRule(rules.horizon_ms, rules.ahead_ms),
        )

        def decode(records: Sequence[Message]) -> DecodedClicks[Message]:
            self.progress.event_arrived()
            return decoder.decode(records)

        return decode

    def open_topic(self, committer: OffsetCommitter) -> OpenTopic:
        """Return the topic's state and its running writer.

        Raises KappaError while Cassandra is unreachable.
        """
        session = self.session()
        rows_per_topic = self.settings.counts.rows_kept // len(topics.CLICK_TOPICS)
        state = TopicState(self.contract, session, self.generation, rows_per_topic)
        writer = CassandraWriter(
            topic=self.topic,
            state=state,
            session=session,
            dead_letters=DeadLetters(self.settings.kafka, self.job.name),
            committer=committer,
            progress=self.progress,
        )
        writer.start()
        return OpenTopic(state, writer)


def _dead_letters_from(
    settings: Settings, job: Job, generation: Generation, session: LazySession
) -> Mapping[topics.TopicPartition, int]:
    """Return the offsets from which this worker writes dead letters, by partition.

    Beside a live generation, that one has written those before its committed offsets.
    """
    if generation.state == "live":
        return {}
    live = generations.active(session(), job.base_keyspace(settings))
    return kafka.committed(settings.kafka, live.group(job.suffix), job.topics().values())


def _needed_topics(job: Job) -> Iterator[topics.Topic]:
    dead_topics = map(topics.dead_topic, topics.CLICK_TOPICS)
    own_topics = {*topics.CLICK_TOPICS, *dead_topics}
    for topic in topics.started_topics():
        if topic.name in own_topics:
            contract, dot, dead = topic.name.partition(".")
            yield replace(topic, name=f"{contract}{job.suffix}{dot}{dead}")
    yield control_topic(job.name)


if __name__ == "__main__":
    main()
