"""Shared by the Faust processes: the app, Cassandra's session, waiting for servers at start."""

import gc
import logging
import ssl
import threading
from collections.abc import AsyncIterable, Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.cassandra import client as cassandra
from connectors.retry import FOREVER, RetryPolicy
from connectors.runtime.logging_setup import start_logging
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import LOOPBACK, PORTS, Kafka, Settings
from schemas import topics
from schemas.errors import KappaError

if TYPE_CHECKING:
    import faust

T = TypeVar("T")

RETRY_SECONDS = 1.0
SESSION_SECONDS = 6.0
HEARTBEAT_SECONDS = 2.0
# Every record of the log is an object that Python's garbage collector tracks. At the default
# threshold of 700 new objects the collector took half of the reading's time and a third of the
# counting's, and freed nothing. At 100,000 a collection visits so many objects of Cassandra's
# driver that counting pauses for 0.15 s now and then.
GC_THRESHOLD = 10_000
# The web server adds the character set.
METRICS_TYPE = "text/plain; version=0.0.4"


def faust_app(settings: Settings, name: str, metrics: Callable[[], bytes]) -> "faust.App":
    """Return a Faust app for a process, with `metrics` as its page `/metrics`.

    The page is served only if the process has a port. Faust starts its agents only when its
    consumer has an assignment; the control topic exists for that.
    """
    import faust

    addresses = settings.kafka.bootstrap_servers.split(",")
    brokers = ";".join(f"kafka://{address.strip()}" for address in addresses)
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

    faust_topic = app.topic(
        control_topic(name).name, value_type=bytes, value_serializer="raw", partitions=1
    )

    @app.agent(faust_topic, name=f"{name}.control")  # type: ignore[untyped-decorator]
    async def control(stream: AsyncIterable[bytes]) -> None:
        async for _ in stream:
            pass

    @app.page("/metrics")  # type: ignore[untyped-decorator]
    async def page(view: Any, request: Any) -> Any:
        return view.bytes(metrics(), content_type=METRICS_TYPE)

    return app


def start_quietly(name: str) -> None:
    """Start logging under the process's name, without the libraries' repetitions.

    They log many lines a second while a server is unreachable; our state reports it once.
    """
    start_logging(name)
    for logger in ("faust", "mode", "processors.runtime.batch_source", "aiohttp.access"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    for logger in ("aiokafka", "cassandra"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)


def control_topic(name: str) -> topics.Topic:
    """Return the empty topic that Faust's consumer in a process is assigned to."""
    return topics.Topic(f"__{name}-control", 1, {})


def run(app: "faust.App") -> None:
    """Run the app until a signal, then exit the process: 0, or 1 if Faust crashed."""
    import faust

    worker = faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    gc.freeze()  # the objects of now live as long as the process: no need to visit them
    gc.set_threshold(GC_THRESHOLD)
    worker.execute_from_commandline()


class LazySession:
    """Cassandra's session as the role `counts`, opened at first use and then shared."""

    def __init__(self, settings: Settings, exit_stack: ExitStack) -> None:
        """`exit_stack` closes the session."""
        self._settings = settings
        self._exit_stack = exit_stack
        self._lock = threading.Lock()
        self._session: cassandra.Session | None = None

    def __call__(self) -> cassandra.Session:
        """Return the session. Raises KappaError if it cannot be opened now."""
        with self._lock:
            if self._session is None:
                login = self._settings.login("cassandra.counts")
                connection = cassandra.connect(self._settings.cassandra, login)
                self._session = self._exit_stack.enter_context(connection)
            return self._session


def retry_until_available(state: ProcessState, operation: Callable[[], T]) -> T:
    """Return what `operation` returns, repeating it every second while it raises KappaError.

    Until then `state` reports the error.
    """
    policy = RetryPolicy(
        timeout_seconds=FOREVER,
        pause_seconds=RETRY_SECONDS,
        retry_on=(KappaError,),
        on_failure=lambda error: state.report("waiting", str(error)),
    )
    return policy.call(operation)


def _credentials(kafka: Kafka) -> Any:
    """Return Kafka's security settings in Faust's form; None for a plain listener."""
    import faust

    context = None
    if "SSL" in kafka.security_protocol:
        context = ssl.create_default_context(cafile=kafka.ssl_ca_location or None)
    if "SASL" in kafka.security_protocol:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None
