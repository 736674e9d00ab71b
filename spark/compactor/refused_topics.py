"""The topics that cannot be replicated, and when each is tried again."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

# A refused topic is read again from where it lags behind, which may be much: not for every version.
RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class RefusedTopic:
    """Why a topic is not replicated, and since when (monotonic seconds)."""

    reason: str
    since: float


class RefusedTopics:
    """Remembers the refused topics from one compaction to the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._topics: dict[str, RefusedTopic] = {}

    def reasons(self) -> dict[str, str]:
        """Return the reason by topic."""
        return {
            topic: refused_topic.reason for topic, refused_topic in self._topics.items()
        }

    def recent(self) -> dict[str, str]:
        """Return the topics that are not tried again yet, with the reason."""
        oldest = self._clock() - RETRY_SECONDS
        return {
            topic: refused_topic.reason
            for topic, refused_topic in self._topics.items()
            if refused_topic.since > oldest
        }

    def retry_all(self) -> None:
        """Try all topics again in the next compaction."""
        self._topics = {
            topic: replace(refused_topic, since=-math.inf)
            for topic, refused_topic in self._topics.items()
        }

    def note_refused(self, refused_topic: Mapping[str, str]) -> list[str]:
        """Remember the refused topics of a compaction. Returns those with a new reason."""
        reasons = self.reasons()
        news = [
            topic for topic, reason in refused_topic.items() if reasons.get(topic) != reason
        ]
        recent_topics = self.recent()
        now = self._clock()
        self._topics = {
            topic: self._topics[topic]
            if topic in recent_topics
            else RefusedTopic(reason, now)
            for topic, reason in refused_topic.items()
        }
        return news
