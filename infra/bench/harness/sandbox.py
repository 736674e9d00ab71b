"""The place of a measurement on the running stack: separate topics, groups and keyspaces."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.cassandra.bootstrap import make_generation, prepare_counts
from connectors.cassandra.generations import Generation
from connectors.kafka import client as kafka
from connectors.kafka.admin import delete_groups, delete_topics, groups
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.files import lock_file
from connectors.runtime.process import child_environment
from connectors.runtime.settings import Settings
from infra.bench.harness.processes import MeasuredProcess, measured_process
from infra.stack.supervisor import log_file
from schemas.count_tables import keyspace_of
from schemas.errors import KappaError
from schemas.topics import CLICK_TOPICS, PRODUCT_VIEW, dead_topic

# Topics and groups of the peers have this in their names, so that those of a killed run are known.
PEER_MARK = "kappa-bench"
# The names of our measured processes; the stack's own workers have others.
WORKERS = ("bench", "bench-2", "bench-3", "bench-4")


@dataclass(frozen=True)
class Sandbox:
    """The input and output of a worker that runs with `--beside <suffix>`."""

    settings: Settings
    suffix: str

    @property
    def topic(self) -> str:
        """The topic of product views."""
        return f"{PRODUCT_VIEW}.{self.suffix}"

    @property
    def group(self) -> str:
        """The worker's consumer group."""
        return f"counts.{self.suffix}"

    @property
    def keyspace(self) -> str:
        """The worker's keyspace."""
        return f"{self.settings.cassandra.keyspace}_{self.suffix}"

    def reset_counts(self) -> None:
        """Delete the offsets and empty the tables. Raises Refused, Unavailable."""
        delete_groups(self.settings.kafka, [self.group])
        self.drop_keyspace(self.keyspace)
        with self.admin() as session:
            prepare_counts(session, self.settings, self.keyspace)

    def add_second_generation(self) -> Generation:
        """Return a new generation beside the first, which counts from the log's first record.

        Raises Refused, Unavailable.
        """
        keyspace = keyspace_of(self.keyspace, 2)
        definition = generations.definition(self.settings.counts)
        self.drop_keyspace(keyspace)
        with self.admin() as session:
            make_generation(session, self.settings, keyspace)
            generations.add(session, self.keyspace, 2, "building", definition)
            return generations.find(session, self.keyspace, 2)

    def committed_events(self, group: str | None = None) -> int:
        """Return how many events a group has committed, by default the worker's."""
        committed = kafka.committed(self.settings.kafka, group or self.group, [self.topic])
        return sum(committed.values())

    def admin(self) -> AbstractContextManager[cassandra.Session]:
        """Return a session of Cassandra's administrator."""
        return cassandra.connect(
            self.settings.cassandra, self.settings.login("cassandra.admin")
        )

    def drop_keyspace(self, keyspace: str) -> None:
        """Remove a keyspace if it exists."""
        with self.admin() as session:
            session.change_schema(f"DROP KEYSPACE IF EXISTS {keyspace}")

    def remove(self) -> None:
        """Remove everything that was made for the measurement. Raises Refused, Unavailable."""
        from processors.runtime.faust_app import control_topic

        topics = {f"{topic}.{self.suffix}" for topic in CLICK_TOPICS}
        topics |= {dead_topic(topic) for topic in topics}
        topics |= {control_topic(name).name for name in WORKERS}
        existing_topics = kafka.list_topics(self.settings.kafka)
        topics |= {name for name in existing_topics if PEER_MARK in name}
        delete_topics(self.settings.kafka, topics)
        own_groups = [self.group, f"{self.group}-2"]
        own_groups += [f"faust-{name}" for name in WORKERS]
        delete_groups(self.settings.kafka, own_groups)
        self._delete_peer_groups()
        for keyspace in (self.keyspace, keyspace_of(self.keyspace, 2)):
            self.drop_keyspace(keyspace)

    def _delete_peer_groups(self) -> None:
        # A group that still has a member does no harm, and is deleted by the next run.
        with contextlib.suppress(KappaError):
            existing_groups = groups(self.settings.kafka)
            peer_groups = [name for name in existing_groups if PEER_MARK in name]
            delete_groups(self.settings.kafka, peer_groups)


@contextmanager
def only_benchmark(settings: Settings) -> Iterator[None]:
    """Keep other measurements off this stack for the block: they would disturb each other.

    Raises KappaError if one is running.
    """
    error = KappaError("another kappa bench measures this stack", "wait until it is done")
    with lock_file(bench_folder(settings.home) / "lock", timeout_seconds=0, error=error):
        yield


def require_running(settings: Settings) -> None:
    """Raise KappaError with the next step unless Kafka, the registry and Cassandra answer."""
    try:
        admin = settings.login("cassandra.admin")
        kafka.list_topics(settings.kafka)
        SchemaRegistry(settings.registry.url).subjects()
        with cassandra.connect(settings.cassandra, admin):
            pass
    except KappaError as error:
        raise KappaError(
            f"a measurement needs the running stack: {error}", "run ./kappa up"
        ) from error


@contextmanager
def running_workers(
    sandbox: Sandbox,
    names: Sequence[str],
    *,
    prefix: Sequence[str] = (),
    generation: int = 1,
) -> Iterator[list[MeasuredProcess]]:
    """Run workers for the block, as the supervisor would; `prefix` is before their command."""
    settings = sandbox.settings
    environment = child_environment(settings, os.environ)
    with ExitStack() as stack:
        workers = []
        for name in names:
            state_file = settings.home / "run" / f"{name}.json"
            state_file.unlink(missing_ok=True)  # that of an earlier worker
            command = [*prefix, *_worker_command(sandbox, name, generation)]
            log = log_file(settings, name)
            process = measured_process(name, command, environment, settings.home, log)
            workers.append(stack.enter_context(process))
        yield workers


def _worker_command(sandbox: Sandbox, name: str, generation: int) -> list[str]:
    module = "processors.counts"
    options = ["--beside", sandbox.suffix, "--generation", str(generation)]
    return [sys.executable, "-m", module, name, *options]


def bench_folder(home: Path) -> Path:
    """Return the folder of reports."""
    return home / "bench"
