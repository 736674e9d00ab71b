"""Three onlookers of the freshness measurement: the topic, what Hive shows, and now and then a query for a row that it should give."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka import Message, TopicPartition

from connectors import hive, kafka
from connectors.hive import Metastore
from connectors.registry import Decoder, SchemaRegistry
from infra.errors import KappaError
from infra.settings import Settings
from schemas.gtid import gtid_set
from schemas.topics import change_topic

CLIENT = "bench-freshness"
POLL_SECONDS = 0.05
LOOK_SECONDS = 0.05
CONTROL_SECONDS = 4.0
AT_ONCE = 2_000
Work = Callable[[], None]


@dataclass
class Sightings:
    """When each transaction, by its number, was in the topic and shown by Hive, in seconds of this machine's monotonic clock."""

    logged: dict[int, float] = field(default_factory=dict)
    gtids: dict[int, str] = field(default_factory=dict)
    shown_at: dict[int, float] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    controls: int = 0
    wrong: int = 0
    failures: list[KappaError] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raises what has ended an onlooker."""
        if self.failures:
            raise self.failures[0]

    def in_topic(self, number: int, gtid: str, at: float) -> None:
        """A change of a transaction was read; the last one counts."""
        with self._lock:
            self.logged[number], self.gtids[number] = at, gtid

    def shown(self, gtids: str, at: float) -> int | None:
        """Hive shows what a set of transactions left; the greatest number that is new with it."""
        held, new = gtid_set(gtids), None
        with self._lock:
            for number in [number for number, gtid in self.gtids.items() if gtid in held]:
                self.shown_at[number] = at
                del self.gtids[number]
                new = max(number, new or 0)
        return new

    def all_shown(self, numbers: Iterable[int]) -> bool:
        """Whether Hive shows all of these."""
        with self._lock:
            return all(number in self.shown_at for number in numbers)


@contextmanager
def watching(settings: Settings, table: str) -> Iterator[Sightings]:
    """The onlookers at work, over connections of their own."""
    seen, stop = Sightings(), threading.Event()
    topic = change_topic(settings.mysql.database, table)
    ends = {place: held.stable for place, held in kafka.offsets(settings.kafka, [topic]).items()}  # before are earlier measurements
    works: list[Work] = [lambda: _watch_topic(settings, topic, ends, seen, stop), lambda: _watch_hive(settings, table, seen, stop)]
    onlookers = [threading.Thread(target=_guarded, args=(work, seen), daemon=True) for work in works]
    for onlooker in onlookers:
        onlooker.start()
    try:
        yield seen
    finally:
        stop.set()
        for onlooker in onlookers:
            onlooker.join(30)


def _guarded(work: Work, seen: Sightings) -> None:
    try:
        work()
    except KappaError as error:
        seen.failures.append(error)


def _watch_topic(settings: Settings, topic: str, ends: Mapping[tuple[str, int], int], seen: Sightings, stop: threading.Event) -> None:
    """What readers of committed records get, from the topic's present end on."""
    decoder = Decoder(SchemaRegistry(settings.registry.url))
    while not stop.is_set() and topic not in kafka.list_topics(settings.kafka):
        time.sleep(LOOK_SECONDS)
    consumer = kafka.reader(settings.kafka, CLIENT, **{"fetch.wait.max.ms": 10})
    try:
        with kafka.errors(f"reading {topic}"):
            held = kafka.offsets(settings.kafka, [topic])
            consumer.assign([TopicPartition(*place, ends.get(place, span.low)) for place, span in held.items()])
            while not stop.is_set():
                for message in consumer.consume(AT_ONCE, POLL_SECONDS):
                    _note(message, decoder, seen)
    finally:
        consumer.close()


def _note(message: Message, decoder: Decoder, seen: Sightings) -> None:
    at, error, value = time.monotonic(), message.error(), message.value()
    if error is not None:
        raise kafka.as_kappa_error(error, "reading the topic of the measurement")
    record = decoder.decode(value).record if value is not None else None
    if record is not None and record["after"] is not None and record["source"].get("gtid"):
        seen.in_topic(record["after"]["n"], record["source"]["gtid"], at)


def _watch_hive(settings: Settings, table: str, seen: Sightings, stop: threading.Event) -> None:
    """What a query that begins now reads: the metastore switches a table's files and its GTID set in one step."""
    shown, controlled_at, control = "", 0.0, threading.Thread()
    with Metastore(settings.hive.metastore_uris) as metastore:
        while not stop.is_set():
            found = metastore.table(settings.hive.warehouse_database, table)
            at, gtids = time.monotonic(), found.properties.get("kappa.gtid", "") if found else ""
            if gtids != shown:
                shown, newest = gtids, seen.shown(gtids, at)
                if newest in seen.rows and not control.is_alive() and at - controlled_at > CONTROL_SECONDS:
                    controlled_at, control = at, threading.Thread(target=_control, args=(settings, table, seen, newest), daemon=True)
                    control.start()
            time.sleep(LOOK_SECONDS)
    if control.is_alive():
        control.join(30)


def _control(settings: Settings, table: str, seen: Sightings, number: int) -> None:
    """Asks HiveServer2 for a row of a transaction that is shown; it may have changed again since."""
    row = seen.rows[number]
    try:
        found = hive.query(settings.hive, f"SELECT n FROM {settings.hive.warehouse_database}.{table} WHERE id = {row}").rows
    except KappaError as error:
        seen.failures.append(error)
        return
    seen.controls += 1
    seen.wrong += not found or found[0][0] < number
