"""The peer of a snapshot: Debezium's own, of one table, by a second connector in the same Connect.

It has the configuration of the stack's connector (converters, exactly-once writes, topics that keep
everything), and topics, a history and offsets of its own, which are removed afterwards.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from connectors.debezium.binlog_watch.server_ids import EXCLUSION_OFFSET, server_id
from connectors.debezium.capture_rules.capture_filters import name_expression
from connectors.debezium.connect_api import STOPPED, ConnectApi
from connectors.kafka import client as kafka
from connectors.kafka.admin import delete_topics
from connectors.retry import wait_until
from connectors.runtime.settings import Settings
from infra.terminal.progress_line import Report
from schemas.errors import KappaError, StackError

MARK = "bench_snapshot_peer"
HISTORY = "schema.history.internal.kafka.topic"
# What the second connector must not share with the first, or does not need.
OWN_PREFIXES = ("snapshot.select.statement.overrides", "table.")
OWN_KEYS = ("name", "read.only")
START_SECONDS = 120.0
RUN_SECONDS = 1800.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.1
CHECK_SECONDS = 2.0


def peer_config(
    config: Mapping[str, str], database: str, table: str, prefix: str, replica: int
) -> dict[str, str]:
    """Return the configuration of a connector that reads one table and ends."""
    kept = {
        key: value
        for key, value in config.items()
        if key not in OWN_KEYS and not key.startswith(OWN_PREFIXES)
    }
    return {
        **kept,
        "database.server.id": str(replica),
        "topic.prefix": prefix,
        "table.include.list": name_expression(f"{database}.{table}"),
        "snapshot.mode": "initial_only",
        # Nobody writes the table, and the shop must not wait for a lock.
        "snapshot.locking.mode": "none",
        HISTORY: f"_schema_history.{prefix}",
    }


def seconds_of_snapshot(settings: Settings, table: str, rows: int, report: Report) -> float:
    """Return the seconds from Debezium's first rows in the topic until all are committed there.

    The start of the connector is not in it. Raises StackError if it does not get there.
    """
    prefix = f"{MARK}_{int(time.time())}"
    topic = f"{prefix}.{settings.mysql.database}.{table}"
    connect = ConnectApi(settings.connect.url)
    config = connect.config(settings.connect.connector)
    if config is None:
        raise StackError("Connect has no connector yet", "see ./kappa status")
    replica = server_id(settings) + 2 * EXCLUSION_OFFSET
    config = peer_config(config, settings.mysql.database, table, prefix, replica)
    with _connector(settings, connect, prefix, config):
        checked_at = time.monotonic()

        def check() -> None:
            nonlocal checked_at
            if time.monotonic() - checked_at < CHECK_SECONDS:
                return
            checked_at = time.monotonic()
            status = connect.status(prefix)
            if status is not None and status.failed:
                raise StackError(f"Debezium's snapshot failed: {status.error}")

        def has_rows(count: int) -> bool:
            records = _records(settings, topic)
            report("Debezium's snapshot", records / rows, f"{records:,} of {rows:,} rows")
            return records >= count

        def wait(count: int, timeout_seconds: float) -> float:
            wait_until(
                lambda: has_rows(count),
                timeout_seconds=timeout_seconds,
                poll_seconds=POLL_SECONDS,
                what="Debezium to read the table",
                hint="see ./kappa logs connect",
                error=StackError,
                on_poll=check,
            )
            return time.monotonic()

        first_at = wait(1, START_SECONDS)
        return wait(rows, RUN_SECONDS) - first_at


@contextmanager
def _connector(
    settings: Settings, connect: ConnectApi, name: str, config: Mapping[str, str]
) -> Iterator[None]:
    """Run a connector for the block; remove it, its offsets and its topics."""
    try:
        connect.put_config(name, config)
        yield
    finally:
        with contextlib.suppress(KappaError):
            connect.stop(name)
            wait_until(
                lambda: _has_stopped(connect, name),
                timeout_seconds=STOP_SECONDS,
                what=f"connector {name} to stop",
            )
            connect.forget_offsets(name)
        connect.delete(name)
        topics = [topic for topic in kafka.list_topics(settings.kafka) if MARK in topic]
        # Also the heartbeats, which list_topics leaves out with Kafka's own topics.
        delete_topics(settings.kafka, {*topics, f"__debezium-heartbeat.{name}"})


def _has_stopped(connect: ConnectApi, name: str) -> bool:
    status = connect.status(name)
    return status is None or (status.connector.state == STOPPED and not status.tasks)


def _records(settings: Settings, topic: str) -> int:
    """Return how many offsets a topic has for readers of committed records, 0 without a topic.

    About one in 2,000 is the mark of a transaction: the peer is done that much too early.
    """
    watermarks = kafka.offsets(settings.kafka, [topic])
    return sum(offsets.stable - offsets.low for offsets in watermarks.values())
