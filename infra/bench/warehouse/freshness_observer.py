"""The observers of the freshness benchmark: the topic, what Hive shows, and control queries.

A control query asks HiveServer2 for a row of a version that has just been shown.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka import Message

from connectors.hadoop import hiveserver2
from connectors.hadoop.hive_metastore import Metastore
from connectors.kafka import client as kafka
from connectors.kafka.readers.partition_consumer import PartitionConsumer
from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.runtime.settings import Settings
from schemas.errors import KappaError
from schemas.gtid import gtid_set
from schemas.topics import change_topic

CLIENT = "bench-freshness"
POLL_SECONDS = 0.05
CONTROL_SECONDS = 4.0
END_SECONDS = 30.0
MAX_MESSAGES = 2_000


@dataclass
class Observations:
    """When each transaction, by its number, was in the topic and shown by Hive.

    Times are in seconds of this machine's monotonic clock. `rows` has one row of each transaction.
    """

    logged_at: dict[int, float] = field(default_factory=dict)
    gtids: dict[int, str] = field(default_factory=dict)
    shown_at: dict[int, float] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    controls: int = 0
    wrong_controls: int = 0
    failures: list[KappaError] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raise the error that has ended an observer."""
        if self.failures:
            raise self.failures[0]

    def add_change(self, number: int, gtid: str, at: float) -> None:
        """Note that a change of a transaction was read; the last one counts."""
        with self._lock:
            self.logged_at[number] = at
            self.gtids[number] = gtid

    def add_version(self, gtids: str, at: float) -> int | None:
        """Note that Hive shows a set of transactions; return the greatest number new in it."""
        transactions = gtid_set(gtids)
        with self._lock:
            new_numbers = [
                number for number, gtid in self.gtids.items() if gtid in transactions
            ]
            for number in new_numbers:
                self.shown_at[number] = at
                del self.gtids[number]
        return max(new_numbers, default=None)

    def are_shown(self, numbers: Iterable[int]) -> bool:
        """Return whether Hive shows all of these transactions."""
        with self._lock:
            return all(number in self.shown_at for number in numbers)


@contextmanager
def running_observers(
    settings: Settings, table: str, control_seconds: float = CONTROL_SECONDS
) -> Iterator[Observations]:
    """Observe for the block, over separate connections.

    Control queries are `control_seconds` apart at least: they take CPU time from what is measured.
    """
    observations = Observations()
    stop = threading.Event()
    topic = change_topic(settings.mysql.database, table)
    # Records before these offsets are of earlier measurements.
    watermarks = kafka.offsets(settings.kafka, [topic])
    starts = {partition: offsets.stable for partition, offsets in watermarks.items()}

    def observe_topic() -> None:
        _observe_topic(settings, topic, starts, observations, stop)

    def observe_hive() -> None:
        _observe_hive(settings, table, observations, control_seconds, stop)

    observers = [
        _observer(observe_topic, observations),
        _observer(observe_hive, observations),
    ]
    for observer in observers:
        observer.start()
    try:
        yield observations
    finally:
        stop.set()
        for observer in observers:
            observer.join(END_SECONDS)


def _observer(observe: Callable[[], None], observations: Observations) -> threading.Thread:
    def run() -> None:
        try:
            observe()
        except KappaError as error:
            observations.failures.append(error)

    return threading.Thread(target=run, daemon=True)


def _observe_topic(
    settings: Settings,
    topic: str,
    starts: Mapping[tuple[str, int], int],
    observations: Observations,
    stop: threading.Event,
) -> None:
    """Read what readers of committed records get, from the present end of the topic on."""
    decoder = Decoder(SchemaRegistry(settings.registry.url))
    while not stop.is_set() and topic not in kafka.list_topics(settings.kafka):
        time.sleep(POLL_SECONDS)
    watermarks = kafka.offsets(settings.kafka, [topic])
    first_offsets = {}
    for partition, offsets in watermarks.items():
        first_offsets[partition] = starts.get(partition, offsets.low)
    no_wait = {"fetch.wait.max.ms": 10}
    with PartitionConsumer(
        settings.kafka, CLIENT, first_offsets, subject=topic, **no_wait
    ) as consumer:
        while not stop.is_set():
            for message in consumer.fetch_records(MAX_MESSAGES, POLL_SECONDS):
                _add_message(message, decoder, observations)


def _add_message(message: Message, decoder: Decoder, observations: Observations) -> None:
    at = time.monotonic()
    value = message.value()
    if value is None:
        return
    record = decoder.decode(value).record
    row = record["after"]
    gtid = record["source"].get("gtid")
    if row is not None and gtid:
        observations.add_change(row["n"], gtid, at)


def _observe_hive(
    settings: Settings,
    table: str,
    observations: Observations,
    control_seconds: float,
    stop: threading.Event,
) -> None:
    """Note what a query that begins now reads.

    The metastore switches a table's files and its GTID set in one step.
    """
    shown_gtids = ""
    controls = ControlQueries(settings, table, observations, control_seconds)
    with Metastore(settings.hive.metastore_uris) as metastore:
        while not stop.is_set():
            hive_table = metastore.table(settings.hive.warehouse_database, table)
            at = time.monotonic()
            gtids = hive_table.properties.get("kappa.gtid", "") if hive_table else ""
            if gtids != shown_gtids:
                shown_gtids = gtids
                newest_number = observations.add_version(gtids, at)
                controls.begin(newest_number, at)
            time.sleep(POLL_SECONDS)
    controls.join()


class ControlQueries:
    """Queries HiveServer2 for a row that was just shown, in a thread, every few seconds at most."""

    def __init__(
        self,
        settings: Settings,
        table: str,
        observations: Observations,
        pause_seconds: float = CONTROL_SECONDS,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._settings = settings
        self._table = table
        self._observations = observations
        self._begun_at = 0.0
        self._thread = threading.Thread()

    def begin(self, number: int | None, at: float) -> None:
        """Query a row of a transaction, unless a query is running or has just run."""
        if number is None or number not in self._observations.rows:
            return
        if self._thread.is_alive() or at - self._begun_at <= self._pause_seconds:
            return
        self._begun_at = at
        self._thread = threading.Thread(target=self._query, args=(number,), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for a query that is running."""
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def _query(self, number: int) -> None:
        """Query a row, which may have changed again since its transaction."""
        hive = self._settings.hive
        observations = self._observations
        row_id = observations.rows[number]
        table = f"{hive.warehouse_database}.{self._table}"
        try:
            rows = hiveserver2.query(
                hive, f"SELECT n FROM {table} WHERE id = {row_id}"
            ).rows
        except KappaError as error:
            observations.failures.append(error)
            return
        observations.controls += 1
        observations.wrong_controls += not rows or rows[0][0] < number
