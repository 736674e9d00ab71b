"""Count the batches of one topic: in memory, and on their way to Cassandra."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from connectors.kafka.readers.batches import DecodedBatch
from connectors.kafka.readers.group_reader import GroupReader
from processors.counts.cassandra_writer import CassandraWriter, OffsetCommitter
from processors.counts.progress import BatchFigures, Progress
from processors.counts.state_tables import Checkpoint
from processors.counts.topic_state import TopicState
from processors.decoding.clicks import DecodedClicks, RejectedRecord, concatenate_clicks
from processors.runtime.clock import SYSTEM_CLOCK, Clock
from processors.runtime.ordered_batches import OrderedBatches
from schemas.topics import TopicPartition

ROOM_TIMEOUT_SECONDS = 1.0
STOP_TIMEOUT_SECONDS = 5.0

ClickBatch = DecodedBatch[DecodedClicks[Message]]


@dataclass(frozen=True)
class CountingContext:
    """The reader and the settings that the topics of a worker share.

    Rejected records below the offsets of `dead_letters_from` become dead letters by
    another worker.
    """

    reader: GroupReader[DecodedClicks[Message]]
    progress: Progress
    stopping: threading.Event
    dead_letters_from: Mapping[TopicPartition, int]
    clock: Clock = SYSTEM_CLOCK


@dataclass(frozen=True)
class OpenTopic:
    """A topic's counts in memory, and the running writer of their changes."""

    state: TopicState
    writer: CassandraWriter


class BatchCounter:
    """Counts one topic's batches one after the other, each exactly once."""

    def __init__(
        self,
        topic: str,
        open_topic: Callable[[OffsetCommitter], OpenTopic],
        context: CountingContext,
    ) -> None:
        """`open_topic` may raise KappaError while Cassandra is unreachable."""
        self._topic = topic
        self._context = context
        self._open_topic = open_topic
        self._opened_topic: OpenTopic | None = None
        self._batches = OrderedBatches(
            "counts", context.reader, context.progress, context.stopping
        )
        self._epoch = -1

    def count_batch(self, batch: ClickBatch) -> None:
        """Count a batch in memory, repeating that while it fails.

        Returns early if the batch is void: its epoch is over, or the process stops.
        """
        self._batches.process_in_order(batch, self._count_once)

    def stop(self) -> None:
        """Write and commit what is counted."""
        if self._opened_topic is not None:
            self._opened_topic.writer.stop(STOP_TIMEOUT_SECONDS)

    def commit_checkpoints(self, epoch: int, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Commit offsets, each with the largest event time before it as its note."""
        offsets = {
            partition: (checkpoint.next_offset, str(checkpoint.max_event_ms))
            for partition, checkpoint in checkpoints.items()
        }
        self._context.reader.commit(self._topic, epoch, offsets)

    def rewind(self) -> None:
        """Count everything again from the committed offsets."""
        self._context.reader.rewind()

    def _count_once(self, batch: ClickBatch) -> None:
        topic = self._get_topic()
        if batch.epoch != self._epoch:
            # Other workers may have counted since the last epoch.
            topic.state.begin_epoch(batch.epoch, self._committed_event_times())
            self._epoch = batch.epoch
        clicks = concatenate_clicks([part.clicks for part in batch.parts])
        rejected_records: list[RejectedRecord[Message]] = []
        next_offsets: dict[int, int] = {}
        for part in batch.parts:
            rejected_records += part.rejected_records
            next_offsets |= part.next_offsets
        dead_letters = [record for record in rejected_records if self._is_ours(record)]
        began_at = self._context.clock.monotonic()
        repeated_events = topic.state.count_clicks(clicks, dead_letters, next_offsets)
        count_seconds = self._context.clock.monotonic() - began_at
        self._context.reader.counted_within(count_seconds)
        figures = BatchFigures(
            topic=self._topic,
            events=sum(part.record_count for part in batch.parts),
            repeated_events=repeated_events,
            dead=len(rejected_records),
            late=sum(record.late for record in rejected_records),
            next_offsets=next_offsets,
        )
        self._context.progress.batch_counted(figures)
        self._wait_for_room(topic.writer, batch)

    def _wait_for_room(self, writer: CassandraWriter, batch: ClickBatch) -> None:
        """Have the changes written; wait while too many of them are not written yet."""
        while not writer.notify_changes(ROOM_TIMEOUT_SECONDS, catching_up=batch.more):
            if self._batches.is_void(batch):
                return

    def _get_topic(self) -> OpenTopic:
        if self._opened_topic is None:
            self._opened_topic = self._open_topic(self)
        return self._opened_topic

    def _committed_event_times(self) -> dict[int, int | None]:
        """Return the largest event time before the committed offset of each partition.

        It is the note of the commit; None if the note has no time.
        """
        event_times: dict[int, int | None] = {}
        for (topic, partition), note in self._context.reader.notes.items():
            if topic == self._topic:
                is_time = note.lstrip("-").isdigit()
                event_times[partition] = int(note) if is_time else None
        return event_times

    def _is_ours(self, rejected: RejectedRecord[Message]) -> bool:
        record = rejected.record
        topic_partition = (record.topic() or "", record.partition() or 0)
        first_offset = self._context.dead_letters_from.get(topic_partition, 0)
        return (record.offset() or 0) >= first_offset
