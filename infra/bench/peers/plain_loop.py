"""What a competent engineer writes first: one confluent-kafka loop, fastavro, a dict of 10 s windows, absolute rows to Cassandra, then the commit.

The rows are written twice a second: often enough for people, seldom enough to fold most events into few rows. They go in unlogged batches,
as our own worker's do, or in a request each, as the driver's documentation has it (`batch_rows` of the task: 1).
"""

import time
from typing import Any

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.policies import WhiteListRoundRobinPolicy
from cassandra.query import BatchStatement, BatchType
from confluent_kafka import Consumer, Message
from meter import Meter, decoder, task, tell

MOST, WRITE_SECONDS, CONCURRENCY, BATCHES_AT_ONCE = 10_000, 0.5, 128, 32

Key = tuple[int, int, int]  # product, start of the window, Kafka partition


class Table:
    """The rows in Cassandra: an absolute count per product, window and Kafka partition."""

    def __init__(self, given: dict[str, Any]) -> None:
        hosts = given["hosts"]
        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy(hosts))
        self._cluster = Cluster(
            hosts,
            port=given["port"],
            auth_provider=PlainTextAuthProvider(given["user"], given["password"]),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            protocol_version=5,
        )
        self._batch_rows = given["batch_rows"]
        self._session = self._cluster.connect()
        self._upsert = self._session.prepare(
            f"INSERT INTO {given['table']} (product_id, created_at, kafka_partition, view_count) VALUES (?, ?, ?, ?)"
        )

    def write(self, counts: dict[Key, int], keys: set[Key]) -> None:
        """Comes back when all rows are acknowledged."""
        rows = [(*key, counts[key]) for key in sorted(keys)]
        if self._batch_rows == 1:
            execute_concurrent_with_args(self._session, self._upsert, rows, concurrency=CONCURRENCY, raise_on_first_error=True)
        else:
            batches = [(self._batch(rows[first : first + self._batch_rows]), None) for first in range(0, len(rows), self._batch_rows)]
            execute_concurrent(self._session, batches, concurrency=BATCHES_AT_ONCE, raise_on_first_error=True)

    def _batch(self, rows: list[tuple[int, ...]]) -> BatchStatement:
        batch = BatchStatement(BatchType.UNLOGGED)
        for row in rows:
            batch.add(self._upsert, row)
        return batch

    def close(self) -> None:
        """Ends the connection."""
        self._cluster.shutdown()


class Windows:
    """Counts per product, 10 s window and Kafka partition, and which of them the table does not have yet."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._decode, self._window_ms = decoder(given["schema"]), given["window_ms"]
        self._subject, self._time = given["subject"], given["time"]
        self.counts: dict[Key, int] = {}
        self.changed: set[Key] = set()

    def add(self, messages: list[Message]) -> None:
        """Counts one fetch."""
        decode, window_ms, subject, time_field = self._decode, self._window_ms, self._subject, self._time
        counts, changed = self.counts, self.changed
        for message in messages:
            if message.error():
                raise RuntimeError(message.error().str())
            record = decode(message.value())
            viewed_at = record[time_field]
            key = (record[subject], viewed_at - viewed_at % window_ms, message.partition())
            counts[key] = counts.get(key, 0) + 1
            changed.add(key)


def consumer(given: dict[str, Any]) -> Consumer:
    """A member of a group of its own, reading from the first record."""
    settings = given["kafka"] | {"group.id": given["name"], "auto.offset.reset": "earliest", "enable.auto.commit": False}
    made = Consumer(settings | {"queued.max.messages.kbytes": 65_536})
    made.subscribe([given["topic"]])
    return made


def count(given: dict[str, Any], log: Consumer, table: Table) -> None:
    """Counts all events, and comes back when the last ones are written and committed."""
    windows, meter = Windows(given), Meter(given["events"])
    read = written = 0
    written_at = time.monotonic()
    while written < given["events"]:
        messages = log.consume(MOST, 0.1)
        if messages:
            meter.begin()
            windows.add(messages)
            read += len(messages)
        if read > written and time.monotonic() - written_at >= WRITE_SECONDS:
            table.write(windows.counts, windows.changed)
            log.commit(asynchronous=False)
            meter.add(read - written)
            windows.changed.clear()
            written, written_at = read, time.monotonic()
    tell(result=sum(windows.counts.values()))


def main() -> None:
    """Counts, tells, leaves."""
    given = task()
    log, table = consumer(given), Table(given["cassandra"])
    count(given, log, table)
    log.close()
    table.close()


if __name__ == "__main__":
    main()
