"""The process `serving:counts`: Faust agents that keep the live counts in Cassandra equal to the click topics.

`python -m processors.counts [NAME]`: workers of different names share the partitions through the consumer group `counts`.
Faust gives the agents and their life cycle; the group membership and the bytes come from librdkafka (see `source`).
"""

import asyncio
import logging
import os
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from connectors import cassandra
from connectors.dead_letters import DeadLetters
from connectors.kafka import ensure_topics
from connectors.kafka_group import Batch, GroupReader
from connectors.registry import Decoder, SchemaRegistry
from infra.errors import KappaError
from infra.log import start_logging
from infra.settings import Kafka, Settings, load
from infra.state import ProcessState
from processors.batches import BatchCounter, Surroundings
from processors.progress import Progress
from processors.rows import RowStore
from schemas import topics, views

if TYPE_CHECKING:
    import faust

GROUP = "counts"
RETRY_SECONDS = 1.0
SESSION_SECONDS, HEARTBEAT_SECONDS = 6.0, 2.0


def main() -> None:
    """Counts until SIGTERM."""
    settings = load(os.environ)
    name = sys.argv[1] if len(sys.argv) > 1 else GROUP
    start_logging(name)
    for chatty in ("faust", "mode", "processors.source"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for repetitive in ("aiokafka", "cassandra"):  # they tell many times a second that a server is away; our own state says it once
        logging.getLogger(repetitive).setLevel(logging.CRITICAL)
    state = ProcessState(settings.home, name)
    _wait_for_topics(settings.kafka, [control_topic(name), *_own_topics()], state)
    with ExitStack() as at_end:
        run(build_app(settings, name, Progress(state), at_end))


def build_app(settings: Settings, name: str, progress: Progress, at_end: ExitStack) -> "faust.App":
    """A Faust app with one agent per click topic, all fed by one reader. What is opened on the way is closed by `at_end`."""
    import mode.loop

    mode.loop.use("uvloop")  # before Faust makes a loop: a quarter faster
    from processors.source import BatchChannel, Source

    app = faust_app(settings, name)
    stopping = threading.Event()
    around = Surroundings(
        reader=GroupReader(settings.kafka, name, GROUP, topics.CLICK_TOPICS),
        decode_value=_value_decoder(settings),
        dead_letters=lambda: DeadLetters(settings.kafka, name),
        progress=progress,
        stopping=stopping,
        window_ms=settings.counts.window_seconds * 1000,
    )
    session = _SessionAtNeed(settings, at_end)
    channels = {view.topic: BatchChannel(app) for view in views.VIEWS}
    for view in views.VIEWS:
        counter = BatchCounter(view.topic, view.subject.name, _store_opener(session, view, settings.cassandra.keyspace), around)
        app.agent(channels[view.topic], name=f"{GROUP}.{view.topic}")(_agent(counter, around.reader))
    app.service(Source(around.reader, channels, settings.counts.batch_size, progress, stopping.set))
    return app


def faust_app(settings: Settings, name: str) -> "faust.App":
    """A Faust app of the worker's own id: workers share the work in librdkafka's group, never in Faust's.

    Faust starts its agents only when its own consumer has an assignment, for which the control topic is there.
    """
    import faust

    brokers = ";".join(f"kafka://{address.strip()}" for address in settings.kafka.bootstrap_servers.split(","))
    app = faust.App(
        f"faust-{name}",
        broker=brokers,
        broker_credentials=_credentials(settings.kafka),
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        store="memory://",
        datadir=str(settings.home / name),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
    )

    @app.agent(app.topic(control_topic(name).name, value_type=bytes, value_serializer="raw", partitions=1), name=f"{name}.control")  # type: ignore[untyped-decorator]
    async def control(stream: AsyncIterable[bytes]) -> None:
        async for _ in stream:
            pass

    return app


def control_topic(name: str) -> topics.Topic:
    """The empty topic that Faust's own consumer of a worker is assigned to."""
    return topics.Topic(f"__{name}-control", 1, {})


def run(app: "faust.App") -> None:
    """Runs the app until a signal, then exits the process: 0, or 1 if Faust crashed."""
    import faust

    worker = faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()


class _SessionAtNeed:
    """Cassandra's session as the role `counts`, opened when first needed and shared; raises KappaError until it can be."""

    def __init__(self, settings: Settings, at_end: ExitStack) -> None:
        self._settings = settings
        self._at_end = at_end
        self._lock = threading.Lock()
        self._session: cassandra.Session | None = None

    def __call__(self) -> cassandra.Session:
        with self._lock:
            if self._session is None:
                login = self._settings.login("cassandra.counts")
                self._session = self._at_end.enter_context(cassandra.connect(self._settings.cassandra, login))
            return self._session


def _store_opener(session: Callable[[], cassandra.Session], view: views.View, keyspace: str) -> Callable[[], RowStore]:
    return lambda: RowStore(session(), view, keyspace)


def _value_decoder(settings: Settings) -> Callable[[bytes], Any]:
    decoder = Decoder(SchemaRegistry(settings.registry.url))
    return lambda value: decoder.decode(value).record


def _agent(counter: BatchCounter, reader: GroupReader) -> Callable[[AsyncIterable[Batch]], Awaitable[None]]:
    thread = ThreadPoolExecutor(1, "counting")  # one: batches are counted in their order, even if Faust starts the agent anew

    async def count(stream: AsyncIterable[Batch]) -> None:
        async for batch in stream:
            try:
                await asyncio.get_running_loop().run_in_executor(thread, counter.count, batch)
            except BaseException:
                reader.rewind()  # whoever takes over could not know of this batch
                raise

    return count


def _own_topics() -> list[topics.Topic]:
    needed = {*topics.CLICK_TOPICS, *map(topics.dead_topic, topics.CLICK_TOPICS)}
    return [topic for topic in topics.started_topics() if topic.name in needed]


def _wait_for_topics(kafka: Kafka, needed: Iterable[topics.Topic], state: ProcessState) -> None:
    """Makes the topics that do not exist yet, as soon as Kafka is there."""
    wanted = list(needed)
    while True:
        try:
            ensure_topics(kafka, wanted)
            return
        except KappaError as error:
            state.report("waiting", f"log: {error}")
            time.sleep(RETRY_SECONDS)


def _credentials(kafka: Kafka) -> Any:
    """Faust's form of the log's security settings; None for a plain listener."""
    import faust

    context = ssl.create_default_context(cafile=kafka.ssl_ca_location or None) if "SSL" in kafka.security_protocol else None
    if "SASL" in kafka.security_protocol:
        return faust.SASLCredentials(username=kafka.sasl_username, password=kafka.sasl_password, mechanism=kafka.sasl_mechanism, ssl_context=context)
    return faust.SSLCredentials(context=context) if context else None


if __name__ == "__main__":
    main()
