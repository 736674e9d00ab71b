"""A negative control: live counts as many first write them. Batches, Cassandra's COUNTER columns,
the offset committed after the write.

`python -m tests.chaos.schedules.counter_columns NAME TOPIC GROUP TABLE`. Any error ends it; it is
started anew.
"""

import os
import sys
from collections import Counter

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import WhiteListRoundRobinPolicy
from cassandra.query import BatchStatement, BatchType
from confluent_kafka import Consumer

from connectors.kafka.client import client_config
from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.runtime.settings import Settings, load

MOST = 500
POLL_SECONDS = 0.2
SESSION_MS = 6_000


def main() -> None:
    name, topic, group, table = sys.argv[1:]
    settings = load(os.environ)
    session = connected(settings)
    decoder = Decoder(SchemaRegistry(settings.registry.url))
    add = session.prepare(
        f"UPDATE {table} SET view_count = view_count + ? WHERE product_id = ?"
    )
    fixed = {
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_MS,
    }
    consumer = Consumer(client_config(settings.kafka, name) | fixed)
    consumer.subscribe([topic])
    while True:
        messages = [
            message
            for message in consumer.consume(MOST, POLL_SECONDS)
            if message.error() is None
        ]
        if not messages:
            continue
        counts = Counter(
            decoder.decode(message.value()).record["product_id"] for message in messages
        )
        batch = BatchStatement(BatchType.COUNTER)
        for product, count in counts.items():
            batch.add(add, (count, product))
        session.execute(batch)
        consumer.commit(asynchronous=False)


def connected(settings: Settings) -> Session:
    login = settings.login("cassandra.admin")
    hosts = [settings.cassandra.host]
    profile = ExecutionProfile(
        load_balancing_policy=WhiteListRoundRobinPolicy(hosts), request_timeout=5
    )
    cluster = Cluster(
        hosts,
        port=settings.cassandra.port,
        auth_provider=PlainTextAuthProvider(login.user, login.password),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=4,
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
    )
    return cluster.connect()


if __name__ == "__main__":
    main()
