"""The first value of a compaction: what is new in the log, and which transactions have ended."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from connectors.debezium.connect_api import ConnectApi
from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.runtime.settings import Settings
from schemas import topics
from schemas.errors import KappaError, WarehouseError
from schemas.manifest import Manifest
from schemas.topics import TopicPartition
from schemas.warehouse_layout import Kind, TableNames, sources_among
from spark.compactor import plan
from spark.compactor.cut_builder import CutBuilder, TransactionLogRange
from spark.log import range_reader, transactions
from spark.log.consistent_cut import AllowedTransactions
from spark.log.range_reader import OffsetRange
from spark.log.row_decoder import RowDecoder
from spark.log.transactions import TransactionRecords

# How far a lagging topic catches up in one version, in records of the topic of transactions.
MOST_LAGGING = 20_000
TRANSACTIONS_PARTITION = 0


class Log(Protocol):
    """Kafka and Connect, as far as a scan needs them. All methods raise Unavailable."""

    def topics(self) -> list[str]:
        """Return the names of all topics."""

    def offsets(self, names: Iterable[str]) -> dict[TopicPartition, Watermarks]:
        """Return the watermarks of the partitions of some topics; of those that exist."""

    def transactions(self, start: int, end: int) -> TransactionRecords:
        """Return the records of the topic of transactions in a range, with their offsets."""

    def connector_gtids(self) -> str | None:
        """Return the GTID set that the connector has written to the log, None if unknown."""


class KafkaLog:
    """The log in Kafka."""

    def __init__(
        self, settings: Settings, decoder: RowDecoder, tables: Callable[[], Iterable[str]]
    ) -> None:
        """`tables` returns the names of the tables that are known."""
        self._settings = settings
        self._decoder = decoder
        self._tables = tables

    def topics(self) -> list[str]:
        """Return the names of all topics: those of tables, where several share one in Kafka."""
        names = kafka.list_topics(self._settings.kafka)
        return topics.table_topics(names, self._tables(), self._settings.mysql.database)

    def offsets(self, names: Iterable[str]) -> dict[TopicPartition, Watermarks]:
        """Return the watermarks of the partitions of some topics; of those that exist."""
        return kafka.offsets(self._settings.kafka, names)

    def transactions(self, start: int, end: int) -> TransactionRecords:
        """Return the records of the topic of transactions in a range, with their offsets."""
        return transactions.read_transactions(
            self._settings.kafka, self._decoder, start, end
        )

    def connector_gtids(self) -> str | None:
        """Return the GTID set that the connector has written to the log, None if unknown."""
        connect = self._settings.connect
        return ConnectApi(connect.url).gtids(connect.connector)


@dataclass(frozen=True)
class LogScan:
    """The log as it was when the compaction began.

    `ranges` are new and can be read (without the topic of transactions); `cut` says which
    transactions the version may have, as far as is known. `connector_gtids` is the GTID set of all
    of this, where it was asked for and is certain. `refusals` say by topic why it cannot be
    replicated.
    """

    previous: Manifest
    ranges: list[OffsetRange]
    cut: CutBuilder
    watermarks: Mapping[TopicPartition, Watermarks]
    connector_gtids: str | None
    refusals: dict[str, str] = field(default_factory=dict)

    @property
    def partition_counts(self) -> dict[str, int]:
        """The number of partitions of each topic."""
        return dict(Counter(topic for topic, _ in self.watermarks))

    @property
    def is_limited(self) -> bool:
        """Whether the log has more records than the ranges."""
        return any(
            self.watermarks[read.source.topic, read.partition].stable > read.end
            for read in self.ranges
        )

    def ranges_in_cut(self, only: Iterable[str] | None = None) -> list[OffsetRange]:
        """Return the ranges to archive, or those of some topics only.

        The range of the topic of transactions ends where the cut ends.
        """
        ranges = list(self.ranges)
        offsets = self.previous.offsets.get(topics.TRANSACTIONS, {})
        start = offsets.get(TRANSACTIONS_PARTITION, 0)
        if self.cut.end > start:
            source = transactions.transaction_source()
            ranges.insert(
                0, OffsetRange(source, TRANSACTIONS_PARTITION, start, self.cut.end)
            )
        if only is None:
            return ranges
        selected_topics = set(only)
        return [read for read in ranges if read.source.topic in selected_topics]

    def allowed(self, ranges: Iterable[OffsetRange]) -> dict[str, AllowedTransactions]:
        """Return the transactions that may be read from the topics with changes."""
        change_topics = {
            read.source.topic for read in ranges if read.source.kind is Kind.CHANGES
        }
        return self.cut.allowed(change_topics)


def scan_log(
    log: Log,
    database: str,
    previous: Manifest,
    refusals: Mapping[str, str],
    *,
    with_connector_gtids: bool = False,
) -> LogScan:
    """Scan the log since a version. Topics in `refusals` are not read.

    A snapshot of Debezium that is not whole yet needs the connector's GTID set too.

    The transactions that have ended are read before their changes, so that these are mostly there.
    Raises WarehouseError if the log lacks records that were not read yet, Unavailable.
    """
    all_refusals = dict(refusals)
    connector_gtids = None
    if with_connector_gtids or _has_unknown_snapshot(previous):
        connector_gtids = _connector_gtids(log)
    names_in_archive = TableNames(previous.archive_names())
    sources = [
        source
        for source in sources_among(log.topics(), database, names_in_archive)
        if source.topic not in all_refusals and source.kind is not Kind.TRANSACTIONS
    ]
    names = [source.topic for source in sources]
    transaction_watermarks = log.offsets([topics.TRANSACTIONS])
    watermarks = {**log.offsets(names), **transaction_watermarks}
    start = _transactions_start(previous, transaction_watermarks)
    _refuse_lost_topics(previous, watermarks, all_refusals)
    ranges = plan.ranges_to_read(previous, sources, watermarks)
    end = 0
    if transaction_watermarks:
        end = transaction_watermarks[topics.TRANSACTIONS, TRANSACTIONS_PARTITION].stable
    lagging_ranges: dict[str, TransactionLogRange] = {}
    for topic, left_behind in previous.lagging_topics.items():
        if topic in names:
            lagging_end = min(start, left_behind.offset + MOST_LAGGING)
            lagging_ranges[topic] = _read_transactions(log, left_behind.offset, lagging_end)
    cut = CutBuilder(previous, _read_transactions(log, start, end), lagging_ranges)
    if any(partition.stable < partition.high for partition in watermarks.values()):
        # Something that Connect counts as written may not be visible yet.
        connector_gtids = None
    return LogScan(
        previous=previous,
        ranges=ranges,
        cut=cut,
        watermarks=watermarks,
        connector_gtids=connector_gtids,
        refusals=all_refusals,
    )


def _read_transactions(log: Log, start: int, end: int) -> TransactionLogRange:
    return TransactionLogRange(log.transactions(start, end), start, max(start, end))


def _transactions_start(
    previous: Manifest, transaction_watermarks: Mapping[TopicPartition, Watermarks]
) -> int:
    """Return the offset from which to read the topic of transactions."""
    topic = topics.TRANSACTIONS
    start = previous.offsets.get(topic, {}).get(TRANSACTIONS_PARTITION)
    if transaction_watermarks:
        watermarks = transaction_watermarks[topic, TRANSACTIONS_PARTITION]
        range_reader.check_retained(topic, TRANSACTIONS_PARTITION, start, watermarks)
    elif start is not None:
        raise WarehouseError(
            f"the topic {topic} is gone from Kafka: nothing else says which transactions are whole",
            "restore the topic, or rebuild the warehouse from a new snapshot",
        )
    return start or 0


def _has_unknown_snapshot(previous: Manifest) -> bool:
    """Whether MySQL must tell the GTID set of a snapshot: its rows do not have it."""
    snapshot = previous.snapshot
    return snapshot is not None and snapshot.has_ended and not snapshot.whole


def _connector_gtids(log: Log) -> str | None:
    try:
        return log.connector_gtids()
    except KappaError:
        return None  # the next transaction tells as well


def _refuse_lost_topics(
    previous: Manifest,
    watermarks: Mapping[TopicPartition, Watermarks],
    refusals: dict[str, str],
) -> None:
    existing_topics = {topic for topic, _ in watermarks}
    for topic in previous.offsets:
        if topic not in existing_topics and topic not in refusals:
            refusals[topic] = "the topic is gone from Kafka; its table stays as it was"
