"""The loop that a competent engineer writes first, with confluent-kafka and fastavro.

It counts in a dict of 10 s windows, writes absolute rows to Cassandra, then commits. The rows are
written twice a second: often enough for people, seldom enough to fold most events into few rows.
They go in unlogged batches, as our own worker's do, or in a request each, as the driver's
documentation shows (`batch_rows` of the task: 1).
"""

import time
from typing import Any

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.policies import WhiteListRoundRobinPolicy
from cassandra.query import BatchStatement, BatchType
from confluent_kafka import Consumer, Message
from meter import Meter, decoder, read_task, report

MAX_MESSAGES = 10_000
POLL_SECONDS = 0.1
WRITE_SECONDS = 0.5
CONCURRENT_REQUESTS = 128
CONCURRENT_BATCHES = 32

Key = tuple[int, int, int]  # product, start of the window, Kafka partition


class Table:
    """The rows in Cassandra: an absolute count per product, window and Kafka partition."""

    def __init__(self, task: dict[str, Any]) -> None:
        hosts = task["hosts"]
        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy(hosts))
        self._cluster = Cluster(
            hosts,
            port=task["port"],
            auth_provider=PlainTextAuthProvider(task["user"], task["password"]),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            protocol_version=5,
        )
        self._batch_rows = task["batch_rows"]
        self._session = self._cluster.connect()
        columns = "product_id, created_at, kafka_partition, view_count"
        self._upsert = self._session.prepare(
            f"INSERT INTO {task['table']} ({columns}) VALUES (?, ?, ?, ?)"
        )

    def write_counts(self, counts: dict[Key, int], keys: set[Key]) -> None:
        """Write the counts of some keys; return when all rows are acknowledged."""
        rows = [(*key, counts[key]) for key in sorted(keys)]
        if self._batch_rows == 1:
            execute_concurrent_with_args(
                self._session,
                self._upsert,
                rows,
                concurrency=CONCURRENT_REQUESTS,
                raise_on_first_error=True,
            )
            return
        batches = []
        for first in range(0, len(rows), self._batch_rows):
            batch = self._batch(rows[first : first + self._batch_rows])
            batches.append((batch, None))
        execute_concurrent(
            self._session,
            batches,
            concurrency=CONCURRENT_BATCHES,
            raise_on_first_error=True,
        )

    def _batch(self, rows: list[tuple[int, ...]]) -> BatchStatement:
        batch = BatchStatement(BatchType.UNLOGGED)
        for row in rows:
            batch.add(self._upsert, row)
        return batch

    def disconnect(self) -> None:
        """End the connection."""
        self._cluster.shutdown()


class Windows:
    """Counts per product, 10 s window and Kafka partition.

    `changed_keys` are those that the table does not have yet.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self._decode = decoder(task["schema"])
        self._window_ms = task["window_ms"]
        self._subject = task["subject"]
        self._time_field = task["time"]
        self.counts: dict[Key, int] = {}
        self.changed_keys: set[Key] = set()

    def count_messages(self, messages: list[Message]) -> None:
        """Count the messages of one fetch. Raises RuntimeError for an error among them."""
        # Local names are faster than attributes.
        decode = self._decode
        window_ms = self._window_ms
        subject = self._subject
        time_field = self._time_field
        counts = self.counts
        changed_keys = self.changed_keys
        for message in messages:
            if message.error():
                raise RuntimeError(message.error().str())
            record = decode(message.value())
            viewed_at = record[time_field]
            key = (record[subject], viewed_at - viewed_at % window_ms, message.partition())
            counts[key] = counts.get(key, 0) + 1
            changed_keys.add(key)


def subscribed_consumer(task: dict[str, Any]) -> Consumer:
    """Return a member of a new group, which reads from the first record."""
    config = {
        **task["kafka"],
        "group.id": task["name"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "queued.max.messages.kbytes": 65_536,
    }
    consumer = Consumer(config)
    consumer.subscribe([task["topic"]])
    return consumer


def count_events(task: dict[str, Any], consumer: Consumer, table: Table) -> None:
    """Count all events; return when the last ones are written and committed."""
    windows = Windows(task)
    meter = Meter(task["events"])
    read_events = 0
    committed_events = 0
    written_at = time.monotonic()
    while committed_events < task["events"]:
        messages = consumer.consume(MAX_MESSAGES, POLL_SECONDS)
        if messages:
            meter.begin()
            windows.count_messages(messages)
            read_events += len(messages)
        is_due = time.monotonic() - written_at >= WRITE_SECONDS
        if read_events > committed_events and is_due:
            table.write_counts(windows.counts, windows.changed_keys)
            consumer.commit(asynchronous=False)
            meter.add_events(read_events - committed_events)
            windows.changed_keys.clear()
            committed_events = read_events
            written_at = time.monotonic()
    report(result=sum(windows.counts.values()))


def main() -> None:
    """Count, report, and leave the group."""
    task = read_task()
    consumer = subscribed_consumer(task)
    table = Table(task["cassandra"])
    count_events(task, consumer, table)
    consumer.close()
    table.disconnect()


if __name__ == "__main__":
    main()
