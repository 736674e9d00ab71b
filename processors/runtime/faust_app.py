"""What Kappa's Faust processes share: an app whose work comes from librdkafka, Cassandra's session, and waiting until all is there."""

import gc
import logging
import ssl
import threading
import time
from collections.abc import AsyncIterable, Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from connectors import cassandra
from infra.errors import KappaError
from infra.log import start_logging
from infra.settings import LOOPBACK, PORTS, Kafka, Settings
from infra.state import ProcessState
from schemas import topics

if TYPE_CHECKING:
    import faust

T = TypeVar("T")

RETRY_SECONDS = 1.0
SESSION_SECONDS, HEARTBEAT_SECONDS = 6.0, 2.0
# Every record of the log is an object that Python's collector looks after: at its usual threshold of 700 new objects it took half of
# the reading and a third of the counting, and found nothing. At 100,000 a collection looks at so many objects of Cassandra's driver that
# counting stands still for 0.15 s, once in a while.
NEW_OBJECTS_BEFORE_COLLECTING = 10_000
# Without its character set, which the web server adds.
METRICS_TYPE = "text/plain; version=0.0.4"


def faust_app(settings: Settings, name: str, metrics: Callable[[], bytes]) -> "faust.App":
    """A Faust app of the process's own id, with `metrics` as its page `/metrics` if the process has a port.

    Faust starts its agents only when its own consumer has an assignment, for which the control topic is there.
    """
    import faust

    brokers = ";".join(f"kafka://{address.strip()}" for address in settings.kafka.bootstrap_servers.split(","))
    port = name.replace("-", "_")
    app = faust.App(
        f"faust-{name}",
        broker=brokers,
        broker_credentials=_credentials(settings.kafka),
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        store="memory://",
        datadir=str(settings.home / "run" / name),
        web_enabled=port in PORTS,
        web_bind=LOOPBACK,
        web_port=settings.port(port if port in PORTS else PORTS[0]),
        topic_allow_declare=False,
        topic_disable_leader=True,
    )

    @app.agent(app.topic(control_topic(name).name, value_type=bytes, value_serializer="raw", partitions=1), name=f"{name}.control")  # type: ignore[untyped-decorator]
    async def control(stream: AsyncIterable[bytes]) -> None:
        async for _ in stream:
            pass

    @app.page("/metrics")  # type: ignore[untyped-decorator]
    async def page(view: Any, request: Any) -> Any:
        return view.bytes(metrics(), content_type=METRICS_TYPE)

    return app


def start_quietly(name: str) -> None:
    """Starts logging under the process's name, without what libraries tell many times a second while a server is away: our state says it once."""
    start_logging(name)
    for chatty in ("faust", "mode", "processors.source", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for repetitive in ("aiokafka", "cassandra"):
        logging.getLogger(repetitive).setLevel(logging.CRITICAL)


def control_topic(name: str) -> topics.Topic:
    """The empty topic that Faust's own consumer of a process is assigned to."""
    return topics.Topic(f"__{name}-control", 1, {})


def run(app: "faust.App") -> None:
    """Runs the app until a signal, then exits the process: 0, or 1 if Faust crashed."""
    import faust

    worker = faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    gc.freeze()  # what is there now stays, and need not be looked at again
    gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTING)
    worker.execute_from_commandline()


class SessionAtNeed:
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


def patiently(state: ProcessState, act: Callable[[], T]) -> T:
    """What `act` gives, as soon as the outside systems are there."""
    while True:
        try:
            return act()
        except KappaError as error:
            state.report("waiting", str(error))
            time.sleep(RETRY_SECONDS)


def _credentials(kafka: Kafka) -> Any:
    """Faust's form of the log's security settings; None for a plain listener."""
    import faust

    context = ssl.create_default_context(cafile=kafka.ssl_ca_location or None) if "SSL" in kafka.security_protocol else None
    if "SASL" in kafka.security_protocol:
        return faust.SASLCredentials(username=kafka.sasl_username, password=kafka.sasl_password, mechanism=kafka.sasl_mechanism, ssl_context=context)
    return faust.SSLCredentials(context=context) if context else None
