"""Having the compactor catch up with the log, and how far the log is ahead of a version."""

import time
from dataclasses import dataclass

from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka import client as kafka
from connectors.retry import wait_until
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.terminal.progress_steps import ProgressSteps
from schemas.manifest import Manifest
from schemas.topics import TopicPartition, kafka_topic
from schemas.warehouse_layout import is_source

PROCESS = "compactor"
REQUEST = "compact.request"
POLL_SECONDS = 0.2
# Most tables that are compared or read again are back after seconds; a large one takes minutes.
HEALING_SECONDS = 60.0
NEXT_STEP = "see ./kappa status and ./kappa logs compactor"

EndOffsets = dict[TopicPartition, int]


@dataclass
class CatchUp:
    """How far the compactor has come towards the end of the log; `missing` are the ends that no
    version holds yet.

    Tables that heal by themselves are awaited until `healing_deadline` (monotonic seconds).
    """

    settings: Settings
    versions: ManifestStore
    missing: EndOffsets
    healing_deadline: float = 0.0

    def published_version(self) -> Manifest | None:
        """Return the newest published version if it holds everything up to the ends.

        Tables that the compactor refuses are left out, and in the end those that do not heal.
        """
        state = read_state(self.settings.home, PROCESS) or {}
        numbers = self.versions.numbers()
        if state.get("version") is None or not numbers:
            return None
        newest = self.versions.read(numbers[-1])
        refused_topics = {kafka_topic(topic) for topic in state.get("refused", {})}
        healing_topics = set()
        if time.monotonic() < self.healing_deadline:
            healing_topics = {kafka_topic(topic) for topic in state.get("healing", ())}
        missing = {}
        for (topic, partition), end in self.missing.items():
            if topic in refused_topics:
                is_missing = topic in healing_topics
            else:
                is_missing = is_behind(newest, (topic, partition), end)
            if is_missing:
                missing[topic, partition] = end
        self.missing = missing
        is_published = not missing and state["version"] >= newest.version
        return newest if is_published else None

    def description(self) -> str:
        """Return what is awaited, for people."""
        topics = sorted({topic for topic, _ in self.missing})
        return f"a version with {', '.join(topics) or 'everything, shown by Hive'}"

    def problem(self) -> str:
        """Return why the wait failed: what is missing, and what the compactor reports."""
        state = read_state(self.settings.home, PROCESS) or {}
        detail = state.get("detail", "it has not reported yet")
        return f"{self.description()}; the compactor: {detail}"


def is_behind(manifest: Manifest, partition: TopicPartition, end: int) -> bool:
    """Return whether a version ends before an offset of a partition."""
    return end_offset(manifest, partition) < end


def end_offset(manifest: Manifest, partition: TopicPartition) -> int:
    """Return the offset up to which a version holds a partition, of all tables in it."""
    topic, number = partition
    ends = []
    for table_topic, offsets in manifest.offsets.items():
        if kafka_topic(table_topic) == topic:
            ends.append(offsets.get(number, 0))
    return min(ends, default=0)


def catch_up(
    settings: Settings, versions: ManifestStore, timeout_seconds: float
) -> Manifest:
    """Have the compactor compact immediately, and wait until what is logged now is published.

    Returns the version that holds it. Raises Unavailable after `timeout_seconds`.
    """
    healing_deadline = time.monotonic() + min(HEALING_SECONDS, timeout_seconds / 2)
    progress = CatchUp(settings, versions, log_ends(settings), healing_deadline)
    request = settings.home / "run" / REQUEST
    request.parent.mkdir(parents=True, exist_ok=True)
    request.touch()
    with ProgressSteps().waiting(lambda: f"waiting for {progress.description()}"):
        return wait_until(
            progress.published_version,
            timeout_seconds=timeout_seconds,
            what=progress.problem,
            poll_seconds=POLL_SECONDS,
            hint=NEXT_STEP,
        )


def log_ends(settings: Settings) -> EndOffsets:
    """Return the end offsets of the partitions that the warehouse takes from the log.

    Empty partitions are absent. Raises Unavailable.
    """
    database = settings.mysql.database
    topics = [
        topic for topic in kafka.list_topics(settings.kafka) if is_source(topic, database)
    ]
    ends = {}
    for partition, watermark in kafka.offsets(settings.kafka, topics).items():
        if watermark.stable > watermark.low:
            ends[partition] = watermark.stable
    return ends


def offsets_ahead(settings: Settings, manifest: Manifest) -> int:
    """Return how many offsets the log is ahead of a version. Raises Unavailable."""
    ends = log_ends(settings)
    return sum(end - end_offset(manifest, partition) for partition, end in ends.items())
