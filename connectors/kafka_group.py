"""A member of a consumer group that hands out batches in the order of the log, with nothing missing in between.

librdkafka shares the partitions and fetches the bytes; this adds what exact counting needs to know about them: which batches
belong to one uninterrupted reading (`epoch`), and whether one of them was lost on the way to whoever counts (`number`).
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka import TIMEOUT_SECONDS, as_kappa_error, errors, group_consumer
from infra.errors import Refused, Unavailable
from infra.settings import Kafka

ASK_SECONDS = 1.0
COMMIT_SECONDS = 0.2
# After a record so long is waited for more: a batch costs about as much as a thousand of its records.
GATHER_SECONDS = 0.004
# Members that died are given up after a session, and some more seconds are for the others to come together.
SHARING_SECONDS = 30.0

# The note of a partition of which nothing was ever committed.
NEVER = "-1"

# Records that make one batch at most, as far as they are at hand; and at first, when counting has to read every row from Cassandra: few,
# so that it counts again soon, and needs little memory. A batch that is counted within so many seconds lets the next be twice as large, one
# that is not, half.
MOST_TOGETHER, FEW_TOGETHER = 50_000, 2_000
SOON_SECONDS = 0.3

Place = tuple[str, int]
Part = TypeVar("Part")


@dataclass(frozen=True)
class Batch:
    """Records of one topic, ascending by offset within each partition, in the form of the reader that it comes from.

    All batches of an epoch together hold every record from the committed offsets on; `number` counts a topic's batches in
    an epoch from 0. When a rebalance begins a new epoch, reading begins again at the committed offsets, so batches of earlier
    epochs that are not counted yet can be dropped.
    """

    topic: str
    epoch: int
    number: int


@dataclass(frozen=True)
class DecodedBatch(Batch, Generic[Part]):
    """What decoding made of the records, fetch by fetch. `more` says that more records are at hand."""

    parts: Sequence[Part] = field(repr=False)
    more: bool = False


class GroupReader(Generic[Part]):
    """Reads topics as a member of a group, from the first `read` on: whoever does not get as far as reading takes no partitions from others.

    `read`, `ends` and `close` belong to one thread; `epoch`, `rewind` and `commit` to any.

    What is fetched is decoded on the spot, while it is in the processor's cache, and only the outcome is handed on: handing the
    records to another thread would take as long again as decoding them. `starts` are the committed offsets, by topic and partition,
    at which the epoch began; `notes` what was committed with them.
    """

    def __init__(self, kafka: Kafka, client_id: str, group: str, decoders: Mapping[str, Callable[[Sequence[Message]], Part]]) -> None:
        """`decoders` has the topics, each with what decodes its records; that may raise Unavailable, and then is asked again."""
        # An eager assignment takes all partitions away before it gives them anew: so every epoch begins at the committed offsets.
        more = {
            "partition.assignment.strategy": "roundrobin",
            "topic.metadata.refresh.interval.ms": 10_000,
            "queued.max.messages.kbytes": 32_768,
            # A queue that is full is asked for more after this. The default, a second, would be most of the time of a replay.
            "fetch.queue.backoff.ms": 20,
        }
        self._consumer: Consumer = group_consumer(kafka, client_id, group, on_commit=self._on_commit, error_cb=self._on_error, **more)
        self._group, self._decoders, self._topics = group, decoders, list(decoders)
        self._subscribed = False
        self._numbers: Counter[str] = Counter()
        self._together = FEW_TOGETHER
        self._rewind = self._unchecked = self._holding = False
        self._assigned: list[TopicPartition] = []
        self._out_since: float | None = None  # None while we have a share, be it an empty one
        self._lock = threading.Lock()
        self._due: dict[Place, tuple[int, str]] = {}
        self._sent: dict[Place, tuple[int, str]] = {}
        self._committed_at = 0.0
        self._away: KafkaError | None = None
        self._ends: dict[Place, int] = {}
        self.starts: dict[Place, int] = {}
        self.notes: dict[Place, str] = {}
        self.epoch = 0

    def read(self, most: int, seconds: float) -> list[DecodedBatch[Part]]:
        """What has arrived, as one batch per topic, fetched `most` records at a time: at once if there is something, else within `seconds`.

        Raises Unavailable while Kafka is away; Refused if the log no longer continues where the counts ended, until it does.
        """
        if not self._subscribed:
            self._subscribe()
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self._commit_due()
        if self._rewind:
            self._begin_again()
        self._holding = False
        try:
            parts, more = self._decoded(most, seconds)
        except Exception:
            if self._holding:
                self.rewind()  # else what was fetched would be missing
            raise
        if not parts and self._away is not None:
            self._ask_whether_kafka_is_back()
        if self._out_since is not None and time.monotonic() - self._out_since > SHARING_SECONDS:
            raise Unavailable(f"Kafka has given no share of group {self._group} for {SHARING_SECONDS:.0f} s", "see ./kappa logs kafka")
        if self._unchecked:
            self._check_that_the_log_continues()
            return []  # what came was fetched before the rebalance, and is fetched again in the new epoch
        return [self._batch(topic, found, more) for topic, found in parts.items()]

    def _decoded(self, most: int, seconds: float) -> tuple[dict[str, list[Part]], bool]:
        """What is at hand, decoded, by topic; and whether more is."""
        parts: defaultdict[str, list[Part]] = defaultdict(list)
        together, full = 0, True
        while full and together < self._together:
            # Until new partitions are checked nothing flows, but the next rebalance may come.
            wanted = min(most, self._together - together)
            messages = self._fetch(wanted, 0 if self._unchecked or together else seconds)
            if self._unchecked:
                break
            together, full = together + len(messages), len(messages) >= wanted
            for topic, records in self._by_topic(messages).items():
                parts[topic].append(self._decoders[topic](records))
        return parts, full

    def counted_within(self, seconds: float) -> None:
        """Says how long the counting of a batch took, which tells how many records the next ones may have."""
        self._together = min(2 * self._together, MOST_TOGETHER) if seconds < SOON_SECONDS else max(self._together // 2, FEW_TOGETHER)

    def rewind(self) -> None:
        """Begins a new epoch at the committed offsets: the cure when a batch or what was written of it got lost. Nothing more of this epoch is
        committed from now on, though the next read may be a while."""
        self._rewind = True

    def commit(self, topic: str, epoch: int, following: Mapping[int, tuple[int, str]]) -> None:
        """Has a topic's next offsets by partition, with a note each, committed soon, by the reading thread: librdkafka would make any other
        wait for its poll. Offsets of an epoch that is over are dropped: whoever has the partitions now may have committed later ones."""
        with self._lock:
            if epoch == self.epoch and not self._rewind:
                self._due |= {(topic, partition): found for partition, found in following.items()}

    def ends(self) -> dict[Place, int]:
        """The high watermark of each assigned partition as last heard, without asking Kafka."""
        for partition in self._assigned:
            with errors(f"reading the end of {partition.topic}[{partition.partition}]"):
                _low, high = self._consumer.get_watermark_offsets(partition, cached=True)
            if high >= 0 and (place := (partition.topic, partition.partition)) in self._ends:
                self._ends[place] = high
        return dict(self._ends)

    def close(self) -> None:
        """Leaves the group, so that the others need not wait for the session to time out."""
        self._commit_due()
        self._consumer.close()

    def _subscribe(self) -> None:
        with errors(f"joining the group that reads {', '.join(self._topics)}"):
            self._consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)
        self._subscribed, self._out_since = True, time.monotonic()

    def _commit_due(self) -> None:
        """Commits without waiting. That a partition has been given away meanwhile does no harm: its rows are as far as its offset says."""
        self._committed_at = time.monotonic()
        with self._lock:
            due, self._due = self._due, {}
            self._sent |= due
        if not due:
            return
        offsets = [TopicPartition(topic, partition, offset, note) for (topic, partition), (offset, note) in due.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._on_commit(error.args[0], offsets)

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Keeps offsets that Kafka did not take for the next time, unless later ones are due or their epoch is over."""
        lost = {(p.topic, p.partition): p.offset for p in offsets if error or p.error}
        with self._lock:
            failed = {place: sent for place, sent in self._sent.items() if lost.get(place) == sent[0]}
            self._due = failed | self._due

    def _on_error(self, error: KafkaError) -> None:
        """librdkafka tells only here, and only once, that it has lost every broker."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = error

    def _ask_whether_kafka_is_back(self) -> None:
        with errors(f"reading {', '.join(self._topics)}"):
            self._consumer.list_topics(self._topics[0], timeout=ASK_SECONDS)
        self._away = None

    def _fetch(self, most: int, seconds: float) -> list[Message]:
        """Waits for a record, and takes what else comes with it."""
        with errors(f"reading {', '.join(self._topics)}"):
            first = self._consumer.poll(seconds)
            if first is None:
                return []
            self._holding = self._holding or first.error() is None
            return [first, *self._consumer.consume(most - 1, GATHER_SECONDS)]

    def _by_topic(self, messages: Sequence[Message]) -> Mapping[str, Sequence[Message]]:
        """The records of some messages by topic. What Kafka tells of itself is left out; if there is nothing else, it is raised."""
        if not messages:
            return {}
        kind: Any = type(messages[0])  # calling the class's own methods takes half the time
        if any(map(kind.error, messages)):
            records = [message for message in messages if message.error() is None]
            if not records:
                raise as_kappa_error(messages[-1].error(), f"reading {messages[-1].topic() or ', '.join(self._topics)}")
            messages = records
        names = list(map(kind.topic, messages))
        if names.count(names[0]) == len(names):
            return {names[0]: messages}
        return {topic: [message for message, name in zip(messages, names, strict=True) if name == topic] for topic in self._topics if topic in names}

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        consumer.pause(partitions)
        self._assigned, self._out_since = partitions, None
        self._new_epoch()

    def _on_revoke(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._commit_due()
        self._assigned, self._out_since = [], time.monotonic()
        self._new_epoch()

    def _new_epoch(self) -> None:
        with self._lock:
            self.epoch += 1
            self._due, self._sent = {}, {}
        self._numbers.clear()
        self._together = FEW_TOGETHER
        self._unchecked = True

    def _begin_again(self) -> None:
        if self._assigned:  # else the next assignment begins at the committed offsets anyway
            again = [TopicPartition(p.topic, p.partition, OFFSET_INVALID) for p in self._assigned]
            with errors("beginning again at the committed offsets"):
                self._consumer.unassign()
                self._on_assign(self._consumer, again)
        self._rewind = False

    def _check_that_the_log_continues(self) -> None:
        """Lets the new partitions flow, unless one's log begins after or ends before its committed offset: then counts would be wrong."""
        starts, ends, notes = {}, {}, {}
        with errors("reading the committed offsets"):
            for place in self._consumer.committed(self._assigned, timeout=TIMEOUT_SECONDS) if self._assigned else []:
                low, high = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_SECONDS)
                if place.offset >= 0 and not low <= place.offset <= high:
                    raise _broken_log(place, low, high)
                starts[place.topic, place.partition] = place.offset if place.offset >= 0 else low
                # Before the first commit nothing was counted.
                notes[place.topic, place.partition] = (place.metadata or "") if place.offset >= 0 else NEVER
                ends[place.topic, place.partition] = high
            self._consumer.resume(self._assigned)
        self.starts, self.notes, self._ends = starts, notes, ends
        self._unchecked = False

    def _batch(self, topic: str, parts: Sequence[Part], more: bool) -> DecodedBatch[Part]:
        number = self._numbers[topic]
        self._numbers[topic] += 1
        return DecodedBatch(topic, self.epoch, number, parts, more)


def _broken_log(place: TopicPartition, low: int, high: int) -> Refused:
    return Refused(
        f"{place.topic}[{place.partition}] holds offsets {low} to {high}, but was counted up to {place.offset}: "
        "the topic was made anew or shortened, so its counts cannot be continued",
        "restore the topic; or count it from its start into new tables",
    )


def start_group(kafka: Kafka, group: str, starts: Mapping[Place, int]) -> None:
    """Has a group that has no member begin at these offsets, with nothing counted before them. Raises Refused, Unavailable."""
    consumer = group_consumer(kafka, "kappa-onlooker", group)
    offsets = [TopicPartition(topic, partition, offset, NEVER) for (topic, partition), offset in starts.items()]
    try:
        with errors(f"setting the offsets of group {group}"):
            consumer.commit(offsets=offsets, asynchronous=False)
    finally:
        consumer.close()
