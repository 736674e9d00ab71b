"""One look at the log before a version is built: what is new in each topic, and which transactions have ended."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors import kafka
from connectors.connect import ConnectApi
from connectors.kafka import Range
from infra.errors import ContractError, KappaError, WarehouseError
from infra.settings import Settings
from schemas import topics
from schemas.warehouse import Kind, Source, source_of
from spark import plan, transaction_log
from spark.archive import Archived
from spark.cut import Allowed, Gap
from spark.decoding import RowDecoder
from spark.log_reader import Reading
from spark.manifest import Manifest
from spark.scopes import Cut, Ends

# How far a topic that was left behind catches up at once, in records of the topic of transactions.
MOST_OLDER = 20_000
Place = tuple[str, int]


@dataclass(frozen=True)
class Wait:
    """Changes that are waited for, since when, and what the log held of their topic when they were missed."""

    gap: Gap
    since: float
    held: Mapping[Place, Range]

    def still(self, log: Mapping[Place, Range]) -> bool:
        """Whether nothing has come since."""
        return self.held == {place: held for place, held in log.items() if place[0] == self.gap.topic}

    def __str__(self) -> str:
        return f"waits since {time.monotonic() - self.since:.0f} s: {self.gap}"


@dataclass(frozen=True)
class Look:
    """What is to be read, without the transactions' own topic; the cut as far as it is known; what the log holds.

    `base` is the GTID set that all of this amounts to, where it was needed and is sure.
    """

    readings: list[Reading]
    cut: Cut
    log: Mapping[Place, Range]
    base: str | None

    @property
    def partitions(self) -> dict[str, int]:
        """Each topic's number of partitions."""
        return {topic: sum(name == topic for name, _ in self.log) for topic, _ in self.log}

    def due(self, previous: Manifest, only: Iterable[str] | None = None) -> list[Reading]:
        """The ranges to read, of these topics only; that of the transactions' own topic ends where the cut does."""
        begin = previous.offsets.get(topics.TRANSACTIONS, {}).get(0, 0)
        ends = [Reading(transaction_log.source(), 0, begin, self.cut.end)] if self.cut.end > begin else []
        return [reading for reading in [*ends, *self.readings] if only is None or reading.source.topic in only]

    def allowed(self, readings: Iterable[Reading]) -> dict[str, Allowed]:
        """What may be taken of the topics of changes."""
        return self.cut.allowed({reading.source.topic for reading in readings if reading.source.kind is Kind.CHANGES})


def look(settings: Settings, decoder: RowDecoder, previous: Manifest, refused: dict[str, str]) -> Look:
    """Look at the log; topics that cannot be carried are added to `refused`, with the reason.

    The transactions that have ended are read first, so that their changes are mostly there. Raises WarehouseError if the log lacks
    records that were not read yet, Unavailable if Kafka does not answer.
    """
    base = _base(settings, previous)
    sources = _sources(kafka.list_topics(settings.kafka), settings.mysql.database, refused)
    names = [source.topic for source in sources]
    ended = kafka.offsets(settings.kafka, [topics.TRANSACTIONS])
    log = {**kafka.offsets(settings.kafka, names), **ended}
    begin = _begin(previous, ended)
    for lost in set(previous.offsets) - {topic for topic, _ in log} - set(refused):
        refused[lost] = "the topic is gone from Kafka; its table stays as it was"
    readings = plan.readings(previous, sources, log)
    stable = ended[topics.TRANSACTIONS, 0].stable if ended else 0

    def ends(start: int, end: int) -> Ends:
        return Ends(transaction_log.read(settings.kafka, decoder, start, end), start, max(start, end))

    older = {topic: ends(left.offset, min(begin, left.offset + MOST_OLDER)) for topic, left in previous.left.items() if topic in names}
    if any(held.stable < held.high for held in log.values()):
        base = None  # something that Connect counts as written may not be visible yet
    return Look(readings, Cut(previous, ends(begin, stable), older), log, base)


def _begin(previous: Manifest, ended: Mapping[Place, Range]) -> int:
    """Where the topic of transactions is to be read from."""
    start = previous.offsets.get(topics.TRANSACTIONS, {}).get(0)
    if ended:
        plan.check_held(topics.TRANSACTIONS, 0, start, ended[topics.TRANSACTIONS, 0])
    elif start is not None:
        raise WarehouseError(
            f"the topic {topics.TRANSACTIONS} is gone from Kafka: nothing else says which transactions are whole",
            "restore the topic, or rebuild the warehouse from a new snapshot",
        )
    return start or 0


def _base(settings: Settings, previous: Manifest) -> str | None:
    """A snapshot's rows do not say at which GTID set it was taken: Connect does, once it is over."""
    if previous.snapshot is None or previous.snapshot.whole or not previous.snapshot.ended:
        return None
    try:
        return ConnectApi(settings.connect.url).gtids(settings.connect.connector)
    except KappaError:
        return None  # the next transaction tells as well


def to_repeat(archived: Iterable[Archived], given_up: Mapping[str, set[str]]) -> set[str]:
    """The topics of which something was archived that is now given up (GTIDs by topic; '' for all in step)."""
    again = set()
    for done in archived:
        topic, gone = done.source.topic, given_up.get("", set()) | given_up.get(done.source.topic, set())
        counted = {gtid for part in done.parts for gtid in part.changes}
        if gone and (topic == topics.TRANSACTIONS or gone & counted or done.others):
            again.add(topic)
    return again


def _sources(names: Iterable[str], database: str, refused: dict[str, str]) -> list[Source]:
    """The sources that are to be carried, but for the transactions."""
    sources = []
    for topic in names:
        try:
            source = source_of(topic, database)
        except ContractError as error:
            refused[topic] = f"{error}; {error.hint}"
            continue
        if source is not None and topic not in refused and source.kind is not Kind.TRANSACTIONS:
            sources.append(source)
    return sources
