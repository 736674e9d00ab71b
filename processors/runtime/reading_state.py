"""The state of a process's reading that users see: how far it is, and what cannot continue."""

from collections.abc import Mapping

from connectors.runtime.process_state import State
from schemas.errors import KappaError, Unavailable
from schemas.topics import TopicPartition


class ReadingState:
    """The offset after the last batch in each partition, and the problems. Not thread-safe."""

    def __init__(self) -> None:
        self._next_offsets: dict[TopicPartition, int] = {}
        self._problems: dict[str, KappaError] = {}

    def note_offsets(self, topic: str, next_offsets: Mapping[int, int]) -> None:
        """Note the offsets after a batch of a topic, by partition."""
        for partition, offset in next_offsets.items():
            self._next_offsets[topic, partition] = offset

    def note_problem(self, where: str, error: KappaError) -> None:
        """Note that `where`, a topic or the reader, cannot continue."""
        self._problems[where] = error

    def clear_problem(self, where: str) -> None:
        """Note that `where` continues."""
        self._problems.pop(where, None)

    def problem(self) -> tuple[State, str] | None:
        """Return the state and its description if something cannot continue, None otherwise."""
        for where, error in sorted(self._problems.items()):
            state: State = "waiting" if isinstance(error, Unavailable) else "failed"
            return state, f"{where}: {error}"
        return None

    def lag(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Return how many records are not processed yet, by partition.

        `starts` are the offsets where reading began, `ends` the high watermarks.
        """
        lag = {}
        for topic_partition, end in ends.items():
            start = starts.get(topic_partition, 0)
            next_offset = max(start, self._next_offsets.get(topic_partition, 0))
            lag[topic_partition] = max(0, end - next_offset)
        return lag
