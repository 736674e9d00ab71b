"""Where a measurement happens: topics, groups and keyspaces of its own on the running stack, and their removal."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors import cassandra, generations, kafka
from connectors.cassandra_setup import make_generation, prepare_counts
from connectors.generations import Generation
from connectors.kafka_admin import delete_groups, delete_topics, groups
from connectors.registry import SchemaRegistry
from infra.bench.processes import Measured, started
from infra.errors import KappaError
from infra.settings import ROOT, Settings
from infra.supervision import MARK, log_file
from schemas.topics import CLICK_TOPICS, PRODUCT_VIEW, dead_topic
from schemas.views import keyspace_of

# Topics and groups of the peers carry this in their names, so that those of a run that was killed can be told.
PEER_MARK = "kappa-bench"
# The names of our measured processes; the stack's own workers have others.
WORKERS = ("bench", "bench-2", "bench-3", "bench-4")


@dataclass(frozen=True)
class Bed:
    """What the worker's `--beside <suffix>` counts, and where to."""

    settings: Settings
    suffix: str

    @property
    def topic(self) -> str:
        """The topic of product views."""
        return f"{PRODUCT_VIEW}.{self.suffix}"

    @property
    def group(self) -> str:
        """The worker's group."""
        return f"counts.{self.suffix}"

    @property
    def keyspace(self) -> str:
        """The worker's keyspace."""
        return f"{self.settings.cassandra.keyspace}_{self.suffix}"

    def empty(self) -> None:
        """Nothing counted yet: no offsets, empty tables. Raises Refused, Unavailable."""
        delete_groups(self.settings.kafka, [self.group])
        self.drop_keyspace(self.keyspace)
        with self.admin() as session:
            prepare_counts(session, self.settings, self.keyspace)

    def second_generation(self) -> Generation:
        """One to count beside the first, from the log's first record on. Raises Refused, Unavailable."""
        keyspace, rules = keyspace_of(self.keyspace, 2), generations.definition(self.settings.counts)
        self.drop_keyspace(keyspace)
        with self.admin() as session:
            make_generation(session, self.settings, keyspace)
            generations.add(session, self.keyspace, 2, "building", rules)
            return generations.find(session, self.keyspace, 2)

    def admin(self) -> AbstractContextManager[cassandra.Session]:
        """A session of Cassandra's administrator."""
        return cassandra.connect(self.settings.cassandra, self.settings.login("cassandra.admin"))

    def drop_keyspace(self, keyspace: str) -> None:
        """Removes a keyspace, if it is there."""
        with self.admin() as session:
            session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")

    def remove(self) -> None:
        """Removes everything that was made for the measurement."""
        from processors.faust_app import control_topic

        own = {f"{topic}.{self.suffix}" for topic in CLICK_TOPICS}
        own |= {dead_topic(topic) for topic in own}
        left_by_peers = {name for name in kafka.list_topics(self.settings.kafka) if PEER_MARK in name}
        delete_topics(self.settings.kafka, own | left_by_peers | {control_topic(name).name for name in WORKERS})
        delete_groups(self.settings.kafka, [self.group, f"{self.group}-2", *(f"faust-{name}" for name in WORKERS)])
        with contextlib.suppress(KappaError):  # one that has not been given up yet does no harm, and goes the next time
            delete_groups(self.settings.kafka, [name for name in groups(self.settings.kafka) if PEER_MARK in name])
        for keyspace in (self.keyspace, keyspace_of(self.keyspace, 2)):
            self.drop_keyspace(keyspace)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Holds off a second measurement of this stack: each would be the other's noise. Raises KappaError if one is at work."""
    folder = bench_folder(settings.home)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KappaError("another kappa bench measures this stack", "wait until it is done") from None
        yield


def require_running(settings: Settings) -> None:
    """Raises KappaError, naming the command that helps, unless Kafka, the registry and Cassandra answer."""
    try:
        admin = settings.login("cassandra.admin")
        kafka.list_topics(settings.kafka)
        SchemaRegistry(settings.registry.url).subjects()
        with cassandra.connect(settings.cassandra, admin):
            pass
    except KappaError as error:
        raise KappaError(f"a measurement needs the running stack: {error}", "run ./kappa up") from error


@contextmanager
def workers(bed: Bed, names: Sequence[str], *, prefix: Sequence[str] = (), generation: int = 1) -> Iterator[list[Measured]]:
    """Our workers, started at once as the supervisor would start them; `prefix` stands before their command."""
    with ExitStack() as stack:
        environment = own_environment(bed.settings, os.environ)
        running = []
        for name in names:
            (bed.settings.home / "run" / f"{name}.json").unlink(missing_ok=True)  # what an earlier one said
            command = [*prefix, sys.executable, "-m", "processors.counts", name, "--beside", bed.suffix, "--generation", str(generation)]
            running.append(stack.enter_context(started(name, command, environment, bed.settings.home, log_file(bed.settings, name))))
        yield running


def own_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """What a process of ours finds in its environment, as the supervisor gives it."""
    return {
        **environment,
        MARK: str(settings.home),
        "KAPPA_HOME": str(settings.home),
        "KAPPA_PORT_BASE": str(settings.port_base),
        "KAPPA_CACHE": str(settings.cache),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "MALLOC_ARENA_MAX": "2",
    }


def foreign_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a peer finds in its environment: nothing of the project."""
    return {key: value for key, value in environment.items() if key != "PYTHONPATH" and not key.startswith("KAPPA_")}


def bench_folder(home: Path) -> Path:
    """Where reports and the peers' logs are kept."""
    return home / "bench"
