"""Changes that an END record states and the log does not have yet: the compactor waits for them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.kafka.client import Watermarks
from schemas.topics import TopicPartition
from spark.compactor.cut_builder import REBUILD
from spark.log.consistent_cut import Gap

# A topic is created with its first record. So long may one be missing that transactions mention.
ABSENT_SECONDS = 30.0
Log = Mapping[TopicPartition, Watermarks]


@dataclass(frozen=True)
class MissingChanges:
    """A gap, since when it is known (monotonic seconds), and its topic's watermarks then."""

    gap: Gap
    since: float
    watermarks: Log

    def is_unchanged(self, log: Log) -> bool:
        """Return whether the topic has had no new records since."""
        return self.watermarks == watermarks_of(self.gap.topic, log)

    def __str__(self) -> str:
        return f"waits since {time.monotonic() - self.since:.0f} s: {self.gap}"


def watermarks_of(topic: str, log: Log) -> dict[TopicPartition, Watermarks]:
    """Return the watermarks of one topic's partitions."""
    return {place: watermarks for place, watermarks in log.items() if place[0] == topic}


class MissingChangesTracker:
    """Remembers the missing changes from one compaction to the next.

    So they are not read again and again before the topic has new records.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._missing: MissingChanges | None = None

    @property
    def missing(self) -> MissingChanges | None:
        """The changes that are waited for."""
        return self._missing

    def absent_topics(self) -> dict[str, str]:
        """Return the topic that does not exist after ABSENT_SECONDS, with the reason."""
        missing = self._missing
        if missing is None or missing.watermarks:
            return {}
        if self._clock() - missing.since < ABSENT_SECONDS:
            return {}
        return {missing.gap.topic: f"{missing.gap}: the topic does not exist; {REBUILD}"}

    def gap_to_skip(self, log: Log) -> Gap | None:
        """Return the gap before which the cut must stop, since nothing has come since."""
        if self._missing is None or not self._missing.is_unchanged(log):
            return None
        return self._missing.gap

    def note_gap(self, gap: Gap | None, log: Log) -> None:
        """Remember a gap of the cut, or that there is none."""
        before = self._missing
        if gap is None:
            self._missing = None
        elif before is None or before.gap != gap or not before.is_unchanged(log):
            since = self._clock()
            if before is not None and before.gap.gtid == gap.gtid:
                since = before.since
            self._missing = MissingChanges(gap, since, watermarks_of(gap.topic, log))
