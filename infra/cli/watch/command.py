"""`kappa watch`: the log's records, decoded, as they arrive. It reads without a group, so that it never moves anybody else."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import click
from confluent_kafka import Message, TopicPartition
from rich.console import Console

from connectors import kafka
from connectors.registry import Decoder, SchemaRegistry
from infra.errors import Unavailable, UsageError
from infra.settings import Settings
from infra.watch_record import Record, read
from infra.watch_render import as_json, as_text
from infra.watch_start import Place, from_offsets, named_topics, shop_topics, since
from infra.watch_where import predicate
from schemas.topics import CHANGE_PREFIX, CLICK_TOPICS, TRANSACTIONS

T = TypeVar("T")

CLIENT = "kappa-watch"
POLL_SECONDS = 0.2
NEW_TOPICS_SECONDS = 3.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    """How to watch. Times, offsets and the expression are as typed: `watch` reads them."""

    since: str | None = None
    from_beginning: bool = False
    offsets: tuple[str, ...] = ()
    gtid: str | None = None
    where: str | None = None
    json: bool = False
    most: int | None = None


@dataclass
class Transaction:
    """One MySQL transaction on its way through the change topics: complete when all that its END announces has been seen."""

    gtid: str
    announced: dict[str, int] | None = None
    seen: Counter[str] = field(default_factory=Counter)

    def holds(self, record: Record) -> bool:
        """Whether a record belongs to the transaction; takes note of it."""
        if (record.gtid or "").lower() != self.gtid.lower():
            return False
        if record.topic != TRANSACTIONS:
            self.seen[record.topic] += 1
        elif record.value["status"] == "END":
            parts = record.value["data_collections"] or []
            self.announced = {f"{CHANGE_PREFIX}.{part['data_collection']}": part["event_count"] for part in parts}
        return True

    def complete(self, topics: set[str]) -> bool:
        """Whether every change that it made in these topics has been seen."""
        return self.announced is not None and all(self.seen[name] >= count for name, count in self.announced.items() if name in topics)


class Sight:
    """An assignment that grows with the log, and the records read through it."""

    def __init__(self, settings: Settings, names: tuple[str, ...], options: Options) -> None:
        """Finds topics and starting places. Raises UsageError for words that do not fit the log, Unavailable if Kafka is away."""
        self._settings, self._options, self._by_default = settings, options, not names
        existing = kafka.list_topics(settings.kafka)
        self.topics = named_topics(names, existing, settings.mysql.database) if names else self._worth_watching(existing)
        read_too = [TRANSACTIONS] if options.gtid and TRANSACTIONS in existing else []
        self._places = self._starts(list(dict.fromkeys([*self.topics, *read_too])))
        self._decoder = Decoder(SchemaRegistry(settings.registry.url))
        self._noted = ""
        self._looked_at = time.monotonic()

    def records(self) -> Iterator[Record]:
        """Every record from the starting places on, for ever."""
        consumer = kafka.reader(self._settings.kafka, CLIENT)
        try:
            consumer.assign([TopicPartition(*place, offset) for place, offset in self._places.items()])
            while True:
                message = consumer.poll(POLL_SECONDS)
                if message is not None and (record := self._read(message)):
                    yield record
                if self._by_default and time.monotonic() - self._looked_at > NEW_TOPICS_SECONDS:
                    if added := self._patiently(self._appeared):
                        consumer.incremental_assign([TopicPartition(*place, offset) for place, offset in added.items()])
                    self._looked_at = time.monotonic()
        finally:
            consumer.close()

    def _starts(self, topics: list[str]) -> dict[Place, int]:
        """Where to start in each partition; at the end of what can be read now if nothing else was asked for."""
        options, cluster = self._options, self._settings.kafka
        ranges = kafka.offsets(cluster, topics)
        if options.offsets:
            return from_offsets(options.offsets, self.topics, ranges)
        if options.since:
            found = kafka.offsets_at(cluster, topics, since(options.since, _now_ms()))
            return {place: ranges[place].stable if offset is None else offset for place, offset in found.items()}
        if options.from_beginning or options.gtid:
            return {place: held.low for place, held in ranges.items()}
        return {place: held.stable for place, held in ranges.items()}

    def _worth_watching(self, existing: Iterable[str]) -> list[str]:
        """What is watched if nothing is named: tables and clicks, but of a MySQL transaction only tables know."""
        names = shop_topics(existing, self._settings.mysql.database)
        return [name for name in names if name not in CLICK_TOPICS] if self._options.gtid else names

    def _appeared(self) -> dict[Place, int]:
        """The partitions of topics that have come into being, from their first record."""
        cluster = self._settings.kafka
        new = [name for name in self._worth_watching(kafka.list_topics(cluster)) if name not in self.topics]
        added = {place: held.low for place, held in kafka.offsets(cluster, new).items()} if new else {}
        self.topics += new
        for name in new:
            note(f"watching {name} too")
        self._places |= added
        return added

    def _read(self, message: Message) -> Record | None:
        """A message as a record, however long the registry takes; None if it was news of a broker that is away."""
        error = message.error()
        if error is None:
            return self._patiently(lambda: read(message, self._decoder), until_done=True)
        trouble = kafka.as_kappa_error(error, f"reading {message.topic() or 'the log'}")
        if not isinstance(trouble, Unavailable):
            raise trouble
        self._note_once(str(trouble))
        return None

    def _patiently(self, act: Callable[[], T], until_done: bool = False) -> T | None:
        """What `act` gives; while an outside system is away, says so once, and tries again if it must be done."""
        while True:
            try:
                done = act()
            except Unavailable as error:
                self._note_once(str(error))
                if not until_done:
                    return None
                time.sleep(RETRY_SECONDS)
            else:
                self._noted = ""
                return done

    def _note_once(self, trouble: str) -> None:
        if trouble != self._noted:
            note(f"waiting: {trouble}")
            self._noted = trouble


def watch(settings: Settings, topics: tuple[str, ...], options: Options) -> None:
    """Prints records until enough were shown, the transaction asked for is complete, or the reader has gone.

    Raises UsageError for an unknown topic or a bad expression, Unavailable if Kafka does not answer at the start.
    """
    fulfils = predicate(options.where) if options.where else None
    transaction = Transaction(options.gtid) if options.gtid else None
    sight, show, shown = Sight(settings, topics, options), _printer(options.json), 0
    note(f"watching {', '.join(sight.topics) or 'for topics to appear'}; Ctrl-C ends")
    for record in sight.records():
        belongs = transaction is None or transaction.holds(record)
        if belongs and record.topic in sight.topics and (fulfils is None or fulfils(record)):
            show(record)
            shown += 1
        if shown == options.most or (transaction and transaction.complete(set(sight.topics))):
            return


def note(text: str) -> None:
    """A line beside the records, on standard error."""
    click.echo(text, err=True)


def _printer(json: bool) -> Callable[[Record], None]:
    """How a record is printed: each line is flushed, so that a pipe sees it at once."""
    if json:
        return lambda record: print(as_json(record, _now_ms()), flush=True)
    if not sys.stdout.isatty():
        return lambda record: print(as_text(record, _now_ms()).plain, flush=True)
    console = Console(highlight=False)
    return lambda record: console.print(as_text(record, _now_ms()), soft_wrap=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@click.command("watch")
@click.argument("topics", nargs=-1)
@click.option("--since", metavar="TIME", help="From a time on: 90s, 10m, 2h, 1d (ago) or an ISO time (UTC).")
@click.option("--from-beginning", is_flag=True, help="From the first record on.")
@click.option("--offset", "offsets", metavar="P:N", multiple=True, help="From offset N of partition P on (one topic; repeatable).")
@click.option("--gtid", metavar="GTID", help="Only the changes of one MySQL transaction; ends when it is complete.")
@click.option("--where", metavar="EXPR", help="Only records for which this holds: \"status = '1' and before.status <> after.status\".")
@click.option("--json", "json_", is_flag=True, help="One JSON object per line.")
@click.option("-n", "--max", "most", type=click.IntRange(min=1), metavar="N", help="End after N records.")
def watch_command(
    topics: tuple[str, ...],
    since: str | None,
    from_beginning: bool,
    offsets: tuple[str, ...],
    gtid: str | None,
    where: str | None,
    json_: bool,
    most: int | None,
) -> None:
    """Show decoded records of the log as they arrive: topic[partition]@offset, age, key, and for a change what changed.

    TOPICS are names or short names (orders for cdc.eCommerce.orders); by default every table's changes and all clicks.
    Reads without a group: nobody else's position moves. Ctrl-C ends.

    In --where, a name is a field of the row or of the record; before.NAME, after.NAME and key.NAME are its parts, and
    topic, partition, offset, op (insert, update, delete, snapshot, tombstone), gtid and changed belong to the record.
    """
    if sum((bool(since), from_beginning, bool(offsets))) > 1:
        raise UsageError("--since, --from-beginning and --offset exclude each other", "give one of them")
    settings: Settings = click.get_current_context().obj
    try:
        watch(settings, topics, Options(since, from_beginning, offsets, gtid, where, json_, most))
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Python flushes standard output once more at its end: that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
