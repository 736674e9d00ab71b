"""The records that `kappa watch` shows. They are read without a consumer group, so that no group is
rebalanced or moved.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import click
from confluent_kafka import Message

from connectors.kafka import client as kafka
from connectors.kafka.readers.partition_consumer import PartitionConsumer
from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.retry import FOREVER, RetryPolicy
from connectors.runtime.settings import Settings
from infra.cli.watch.filter_expression import predicate
from infra.cli.watch.record import Record, read
from infra.cli.watch.render import as_json, as_text
from infra.cli.watch.start_offsets import from_offsets, named_topics, shop_topics, since
from infra.cli.watch.transaction import Transaction
from schemas.errors import Unavailable
from schemas.topics import CLICK_TOPICS, TRANSACTIONS, TopicPartition

CLIENT = "kappa-watch"
POLL_SECONDS = 0.2
MAX_MESSAGES = 500
NEW_TOPICS_SECONDS = 3.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """The options of the command. Times, offsets and the expression are as typed."""

    since: str | None = None
    from_beginning: bool = False
    offsets: tuple[str, ...] = ()
    gtid: str | None = None
    where: str | None = None
    json: bool = False
    max_records: int | None = None


def watch_log(settings: Settings, names: tuple[str, ...], options: WatchOptions) -> None:
    """Print records until `max_records` were printed or the transaction is complete.

    Raises UsageError for an unknown topic or a bad expression, Unavailable if Kafka does not answer
    at the start, BrokenPipeError when the reader of standard output has gone.
    """
    matches = predicate(options.where) if options.where else _always
    transaction = Transaction(options.gtid) if options.gtid else None
    stream = RecordStream(settings, names, options)
    print_record = _printer(options.json)
    count = 0
    _remark(f"watching {', '.join(stream.topics) or 'for topics to appear'}; Ctrl-C ends")
    for record in stream.records():
        is_included = transaction is None or transaction.includes(record)
        if is_included and record.topic in stream.topics and matches(record):
            print_record(record)
            count += 1
        if count == options.max_records:
            return
        if transaction is not None and transaction.is_complete(set(stream.topics)):
            return


class RecordStream:
    """The records of some topics; without names, also of topics that are created later."""

    def __init__(
        self, settings: Settings, names: tuple[str, ...], options: WatchOptions
    ) -> None:
        """Find the topics and the offsets to start from.

        Raises UsageError for a topic or an offset that the log does not have, Unavailable.
        """
        self._settings = settings
        self._options = options
        self._adds_new_topics = not names
        existing = kafka.list_topics(settings.kafka)
        if names:
            self.topics = named_topics(names, existing, settings.mysql.database)
        else:
            self.topics = self._default_topics(existing)
        topics = list(self.topics)
        if options.gtid and TRANSACTIONS in existing and TRANSACTIONS not in topics:
            topics.append(TRANSACTIONS)
        self._start_offsets = self._find_start_offsets(topics)
        self._decoder = Decoder(SchemaRegistry(settings.registry.url))
        self._retry_policy = RetryPolicy(
            timeout_seconds=FOREVER,
            pause_seconds=RETRY_SECONDS,
            on_failure=lambda error: self._remark_problem(str(error)),
        )
        self._last_problem = ""
        self._listed_topics_at = time.monotonic()

    def records(self) -> Iterator[Record]:
        """Yield every record from the start offsets on, without end."""
        cluster = self._settings.kafka
        with PartitionConsumer(cluster, CLIENT, self._start_offsets) as consumer:
            while True:
                for message in consumer.fetch(MAX_MESSAGES, POLL_SECONDS):
                    record = self._record(message)
                    if record is not None:
                        yield record
                new_offsets = self._new_topic_offsets()
                if new_offsets:
                    consumer.add_partitions(new_offsets)

    def _find_start_offsets(self, topics: list[str]) -> dict[TopicPartition, int]:
        """The end of what can be read now, unless the options say otherwise."""
        options = self._options
        cluster = self._settings.kafka
        watermarks = kafka.offsets(cluster, topics)
        if options.offsets:
            return from_offsets(options.offsets, self.topics, watermarks)
        ends = {partition: watermark.stable for partition, watermark in watermarks.items()}
        if options.since:
            offsets_at = kafka.offsets_at(cluster, topics, since(options.since, _now_ms()))
            for partition, offset in offsets_at.items():
                if offset is not None:
                    ends[partition] = offset
            return ends
        if options.from_beginning or options.gtid:
            return {partition: watermark.low for partition, watermark in watermarks.items()}
        return ends

    def _default_topics(self, existing: Iterable[str]) -> list[str]:
        """Tables and clicks; of a MySQL transaction only the tables have records."""
        topics = shop_topics(existing, self._settings.mysql.database)
        if self._options.gtid:
            return [topic for topic in topics if topic not in CLICK_TOPICS]
        return topics

    def _new_topic_offsets(self) -> dict[TopicPartition, int]:
        """The first offsets of topics that were created since the last look."""
        since_last_look = time.monotonic() - self._listed_topics_at
        if not self._adds_new_topics or since_last_look <= NEW_TOPICS_SECONDS:
            return {}
        try:
            offsets = self._add_new_topics()
            self._last_problem = ""
        except Unavailable as error:
            self._remark_problem(str(error))
            offsets = {}
        self._listed_topics_at = time.monotonic()
        return offsets

    def _add_new_topics(self) -> dict[TopicPartition, int]:
        cluster = self._settings.kafka
        existing = self._default_topics(kafka.list_topics(cluster))
        new_topics = [topic for topic in existing if topic not in self.topics]
        if not new_topics:
            return {}
        watermarks = kafka.offsets(cluster, new_topics)
        self.topics += new_topics
        for topic in new_topics:
            _remark(f"watching {topic} too")
        return {partition: watermark.low for partition, watermark in watermarks.items()}

    def _record(self, message: Message) -> Record | None:
        """Decode a message, waiting for the registry; None for news of a broker."""
        error = message.error()
        if error is not None:
            problem = kafka.as_kappa_error(error, f"reading {message.topic() or 'the log'}")
            if not isinstance(problem, Unavailable):
                raise problem
            self._remark_problem(str(problem))
            return None
        try:
            record = read(message, self._decoder)
        except Unavailable as failure:
            self._remark_problem(str(failure))
            record = self._retry_policy.call(lambda: read(message, self._decoder))
        self._last_problem = ""
        return record

    def _remark_problem(self, problem: str) -> None:
        """Say why records do not arrive, once for each problem."""
        if problem != self._last_problem:
            _remark(f"waiting: {problem}")
            self._last_problem = problem


def _always(record: Record) -> bool:
    return True


def _remark(text: str) -> None:
    click.echo(text, err=True)


def _printer(json: bool) -> Callable[[Record], None]:
    """How a record is printed; each line is flushed, so that a pipe gets it immediately."""
    if json:
        return lambda record: print(as_json(record, _now_ms()), flush=True)
    if not sys.stdout.isatty():
        return lambda record: print(as_text(record, _now_ms()).plain, flush=True)
    from rich.console import Console

    console = Console(highlight=False)
    return lambda record: console.print(as_text(record, _now_ms()), soft_wrap=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
