"""Whole topics in one process: all their partitions, read side by side in step with the log's own time.

No group shares the work; a group only keeps the offsets. They are committed for all topics together, in one request, so that
whatever they say was true of one process at one moment, even if two should run by mistake.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors import kafka
from connectors.kafka_group import Batch
from infra.errors import KappaError, Refused, Unavailable
from infra.settings import Kafka

ASK_SECONDS, COMMIT_SECONDS, LOOK_SECONDS = 1.0, 0.5, 10.0
# How long one topic is waited for while another may have something.
SHORT_SECONDS = 0.05
# How far a topic may be ahead of another that still has a way to go.
AHEAD_MS = 60_000
QUEUE_KILOBYTES = 32_768

Place = tuple[str, int]


@dataclass(frozen=True)
class Start:
    """Where an epoch begins: the next offset of each partition, and the notes that were committed with them."""

    epoch: int
    offsets: Mapping[Place, int] = field(default_factory=dict)
    notes: Mapping[Place, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LogBatch(Batch):
    """Records of one topic, ascending by offset within each partition; `number` counts the batches of all topics in an epoch.

    All that the log holds up to the time `reached_ms` is in this batch or came before it, in every topic.
    """

    messages: Sequence[Message] = field(repr=False)
    start: Start = field(repr=False)
    reached_ms: int


class LogReader:
    """Reads topics whole. `read`, `ends` and `close` belong to one thread; `rewind`, `epoch` and `commit` to any."""

    def __init__(self, cluster: Kafka, client_id: str, group: str, topics: Sequence[str]) -> None:
        self._cluster, self._group = cluster, group
        self._sides = [_Side(cluster, client_id, group, topic, error_cb=self._on_error, on_commit=self._on_commit) for topic in topics]
        self._lock = threading.Lock()
        self._start = Start(0)
        self._number = 0
        self._handled: dict[Place, int] = {}
        self._note = ""
        self._uncommitted = False
        self._committed_at = 0.0
        self._looked_at = time.monotonic()
        self._rewind = True
        self._away: KafkaError | None = None

    @property
    def epoch(self) -> int:
        """The number of the uninterrupted reading that goes on now."""
        return self._start.epoch

    @property
    def starts(self) -> Mapping[Place, int]:
        """The offsets at which the epoch began."""
        return self._start.offsets

    def read(self, most: int, seconds: float) -> list[Batch]:
        """What has arrived, at most one batch per topic and `most` records each: at once if there is something, else within `seconds`.

        Raises Unavailable while Kafka is away or a topic is not there yet; Refused if the log does not continue where it was left.
        """
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self._commit_due()
        self._look_for_new_partitions()
        if self._rewind:
            self._begin()
        batches = self._batches(most, seconds)
        if not batches and self._away is not None:
            self._ask_whether_kafka_is_back()
        return batches

    def rewind(self) -> None:
        """Begins a new epoch at the committed offsets."""
        self._rewind = True

    def commit(self, batch: LogBatch, following: Mapping[int, int], note: str) -> None:
        """Has a topic's next offsets by partition committed soon, together with those of the others, and a note with all of them."""
        with self._lock:
            if batch.epoch == self._start.epoch:
                self._handled |= {(batch.topic, partition): offset for partition, offset in following.items()}
                self._note, self._uncommitted = note, True

    def ends(self) -> dict[Place, int]:
        """The end of each partition's records as last heard, without asking Kafka."""
        found = {}
        for side in self._sides:
            for partition, following in side.following.items():
                with kafka.errors(f"reading the end of {side.topic}[{partition}]"):
                    _, high = side.consumer.get_watermark_offsets(TopicPartition(side.topic, partition), cached=True)
                if high >= 0:  # Kafka's own marks have offsets too, but are no records to wait for
                    found[side.topic, partition] = following if side.end(partition) == high else high
        return found

    def close(self) -> None:
        """Commits what is due, if Kafka is there."""
        self._commit_due(wait=self._away is None)
        for side in self._sides:
            side.consumer.close()

    def _begin(self) -> None:
        topics = [side.topic for side in self._sides]
        ranges = kafka.offsets(self._cluster, topics)
        for topic in topics:
            if not any(name == topic for name, _ in ranges):
                raise Unavailable(f"topic {topic} is not there yet", "it comes with the first record; see ./kappa status")
        committed = {place: found for side in self._sides for place, found in side.committed(ranges).items()}
        for place, (offset, _) in committed.items():
            if not ranges[place].low <= offset <= ranges[place].high:
                raise _broken_log(place, offset, ranges[place], self._group)
        offsets = {place: committed[place][0] if place in committed else found.low for place, found in ranges.items()}
        with self._lock:
            self._start = Start(self._start.epoch + 1, offsets, {place: note for place, (_, note) in committed.items()})
            self._handled = dict(offsets)
            self._number, self._rewind, self._uncommitted = 0, False, False
        for side in self._sides:
            side.assign({partition: offset for (topic, partition), offset in offsets.items() if topic == side.topic})

    def _batches(self, most: int, seconds: float) -> list[Batch]:
        batches: list[Batch] = []
        # Of topics at their ends nothing may come for long: another's records need not wait for that.
        readable = sorted(self._readable(), key=lambda side: side.time_ms() is None)
        wait = seconds if len(readable) == 1 else min(seconds, SHORT_SECONDS)
        for side in readable:
            try:
                messages = side.fetch(most, 0 if batches else wait)
            except KappaError:
                self.rewind()  # what came before the error in this fetch, or in another topic's, would be missing
                raise
            if messages:
                batches.append(LogBatch(side.topic, self.epoch, self._number, messages, self._start, self._reached_ms()))
                self._number += 1
        return batches

    def _readable(self) -> "list[_Side]":
        """The topics that are not far ahead of another one: what one topic's records need of another should be in memory."""
        slowest = min((at_ms for side in self._sides if (at_ms := side.time_ms()) is not None), default=0)
        return [side for side in self._sides if (at_ms := side.time_ms()) is None or at_ms <= slowest + AHEAD_MS]

    def _reached_ms(self) -> int:
        times = [at_ms for side in self._sides if (at_ms := side.time_ms()) is not None]
        return min(times) if times else max(side.newest_ms for side in self._sides)

    def _look_for_new_partitions(self) -> None:
        if self._rewind or time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        counts = kafka.list_topics(self._cluster)
        if any(counts.get(side.topic, 0) > len(side.following) for side in self._sides):
            self.rewind()

    def _commit_due(self, wait: bool = False) -> None:
        self._committed_at = time.monotonic()
        with self._lock:
            self._pass_marks()
            handled, note, due = dict(self._handled), self._note, self._uncommitted
            self._uncommitted = False
        if not due:
            return
        offsets = [TopicPartition(topic, partition, offset, note) for (topic, partition), offset in handled.items()]
        try:
            self._sides[0].consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            self._on_commit(error.args[0], offsets)

    def _pass_marks(self) -> None:
        """Behind the last record Kafka may have marks of its own: if all records are handled, those are too."""
        for side in self._sides:
            for partition, following in side.following.items():
                handled, end = self._handled.get((side.topic, partition), 0), side.end(partition)
                if self._note and end is not None and following <= handled < end:
                    self._handled[side.topic, partition], self._uncommitted = end, True

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Offsets that Kafka did not take are committed the next time."""
        if error is not None or any(place.error for place in offsets):
            self._uncommitted = True

    def _on_error(self, error: KafkaError) -> None:
        """librdkafka tells only here, and only once, that it has lost every broker."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = error

    def _ask_whether_kafka_is_back(self) -> None:
        for side in self._sides:
            with kafka.errors(f"reading {side.topic}"):
                side.consumer.list_topics(side.topic, timeout=ASK_SECONDS)
        self._away = None


class _Side:
    """One topic's consumer, and how far it is: `following` is the offset after the last record fetched, by partition."""

    def __init__(self, cluster: Kafka, client_id: str, group: str, topic: str, **callbacks: Callable[..., None]) -> None:
        more = {"group.id": group, "enable.partition.eof": True, "queued.max.messages.kbytes": QUEUE_KILOBYTES}
        self.consumer: Consumer = kafka.reader(cluster, client_id, **more, **callbacks)
        self.topic = topic
        self.newest_ms = 0
        self.following: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    def committed(self, places: Mapping[Place, kafka.Range]) -> dict[Place, tuple[int, str]]:
        """The committed offset and note of each of the topic's partitions that has one."""
        asked = [TopicPartition(topic, partition) for topic, partition in places if topic == self.topic]
        with kafka.errors(f"reading the committed offsets of {self.topic}"):
            found = self.consumer.committed(asked, timeout=kafka.TIMEOUT_SECONDS)
        return {(p.topic, p.partition): (p.offset, p.metadata or "") for p in found if p.offset >= 0}

    def assign(self, offsets: Mapping[int, int]) -> None:
        """Reads on from these offsets."""
        self.following, self._times, self._ends = dict(offsets), dict.fromkeys(offsets, 0), {}
        with kafka.errors(f"beginning to read {self.topic}"):
            self.consumer.assign([TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()])

    def time_ms(self) -> int | None:
        """The log's time up to which every partition is read; None if all are at their ends."""
        return min((at_ms for partition, at_ms in self._times.items() if partition not in self._ends), default=None)

    def end(self, partition: int) -> int | None:
        """The offset of a partition's end if everything before it was fetched; None while there is more."""
        return self._ends.get(partition)

    def fetch(self, most: int, seconds: float) -> list[Message]:
        """Waits for something, and takes whatever else is here already."""
        with kafka.errors(f"reading {self.topic}"):
            first = self.consumer.poll(seconds)
            found = [first, *self.consumer.consume(most - 1, 0)] if first is not None else []
        return [message for message in found if self._is_record(message)]

    def _is_record(self, message: Message) -> bool:
        partition, error = message.partition() or 0, message.error()
        if error is None:
            self._ends.pop(partition, None)
            self.following[partition] = (message.offset() or 0) + 1
            self._times[partition] = message.timestamp()[1]
            self.newest_ms = max(self.newest_ms, self._times[partition])
            return True
        if error.code() != KafkaError._PARTITION_EOF:
            raise kafka.as_kappa_error(error, f"reading {self.topic}[{partition}]")
        self._ends[partition] = message.offset() or 0
        return False


def _broken_log(place: Place, offset: int, found: kafka.Range, group: str) -> Refused:
    return Refused(
        f"{place[0]}[{place[1]}] holds offsets {found.low} to {found.high}, but group {group} is at {offset}: "
        "the topic was made anew or shortened, so what was computed from it cannot be continued",
        "restore the topic; or compute it from its start into new tables: ./kappa replay counts",
    )
