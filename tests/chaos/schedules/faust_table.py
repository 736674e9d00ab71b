"""A negative control: live counts as Faust's documentation writes them. An agent counts event by
event in a table with its changelog.

`python -m tests.chaos.schedules.faust_table NAME TOPIC APP`. Faust's settings are its own but for
the sessions, which end sooner.
"""

import os
import sys
from collections.abc import AsyncIterable

import faust

from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.runtime.settings import load

PARTITIONS = 4
SESSION_SECONDS = 6.0
HEARTBEAT_SECONDS = 2.0


def main() -> None:
    name, topic, group = sys.argv[1:]
    settings = load(os.environ)
    decoder = Decoder(SchemaRegistry(settings.registry.url))
    app = faust.App(
        group,
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        broker_client_id=name,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        store="memory://",
        datadir=str(settings.home / "run" / name),
        topic_partitions=PARTITIONS,
        web_enabled=False,
    )
    clicks = app.topic(
        topic,
        key_type=bytes,
        key_serializer="raw",
        value_type=bytes,
        value_serializer="raw",
        partitions=PARTITIONS,
    )
    counts = app.Table(
        "counts", default=int, partitions=PARTITIONS, key_type=str, value_type=int
    )

    @app.agent(clicks)  # type: ignore[untyped-decorator]
    async def count(stream: AsyncIterable[bytes]) -> None:
        async for value in stream:
            counts[str(decoder.decode(value).record["product_id"])] += 1

    faust.Worker(app, loglevel="INFO").execute_from_commandline()


if __name__ == "__main__":
    main()
