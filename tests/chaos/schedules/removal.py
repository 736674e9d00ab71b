"""What worlds are made of can be told by its name, and is removed before and after a run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.admin import AdminClient

from connectors.cassandra import client as cassandra
from connectors.kafka import client as kafka
from connectors.kafka.admin import delete_topics
from connectors.runtime.files import lock_file
from connectors.runtime.settings import Settings
from infra.stack.supervisor import end, leftovers
from tests.eventually import eventually

MARK = "schedules"
REMOVE_SECONDS = 90


def unique(name: object) -> str:
    """A name for a world. No group of Kafka ever had it, so that none need be removed: Kafka
    forgets them by itself.
    """
    return f"{MARK}{name}_{time.time_ns() // 10**6:x}"


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One run at a time on a stack, with nothing left of earlier ones, which may have been killed,
    and nothing left afterwards.
    """
    with lock_file(settings.home / "run" / f"{MARK}.lock", timeout_seconds=0):
        eventually(
            lambda: remove_all(settings),
            within=REMOVE_SECONDS,
            because="what earlier schedules left is removed",
        )
        yield
        eventually(
            lambda: remove_all(settings),
            within=REMOVE_SECONDS,
            because="what these schedules left is removed",
        )


def remove_all(settings: Settings) -> bool:
    """Removes all worlds: processes, topics, keyspaces, and what the processes said of themselves.
    Raises Unavailable; then try again.
    """
    end([process for process in leftovers(settings) if MARK in " ".join(process.cmdline())])
    admin = AdminClient(kafka.client_config(settings.kafka, "schedules-admin"))
    delete_topics(
        settings.kafka,
        [
            name
            for name in admin.list_topics(timeout=kafka.TIMEOUT_SECONDS).topics
            if MARK in name
        ],
    )
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.admin")
    ) as session:
        for (keyspace,) in session.execute(
            "SELECT keyspace_name FROM system_schema.keyspaces"
        ).rows:
            if MARK in keyspace:
                session.change_schema(f"DROP KEYSPACE IF EXISTS {keyspace}")
    for state in (settings.home / "run").glob(f"{MARK}*.json"):
        state.unlink()
    return True
