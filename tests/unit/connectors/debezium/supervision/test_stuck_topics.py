"""When a topic that cannot be read is unblocked."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from connectors.debezium.supervision.repair_log import RepairLog
from connectors.debezium.supervision.stuck_topics import StuckTopics
from connectors.kafka.client import Watermarks
from connectors.kafka.hanging_transactions import (
    OFFSETS_TOPIC,
    STUCK_SECONDS,
    TransactionTool,
)
from connectors.runtime.settings import Kafka, Settings
from schemas.errors import KappaError, Unavailable
from schemas.topics import TopicPartition

MODULE = "connectors.debezium.supervision.stuck_topics"
ORDERS = "cdc.eCommerce.orders"
LATER = 101 + STUCK_SECONDS


class Log:
    """A Kafka: the last stable offset of each of its topics, which all have ten records."""

    def __init__(self) -> None:
        self.stable_offsets = {ORDERS: 7, "productview": 3, OFFSETS_TOPIC: 10}
        self.is_reachable = True

    def list_topics(self, _kafka: Kafka) -> dict[str, int]:
        return dict.fromkeys(self.stable_offsets, 1)

    def offsets(
        self, _kafka: Kafka, topics: Iterable[str]
    ) -> dict[TopicPartition, Watermarks]:
        if not self.is_reachable:
            raise Unavailable("Kafka is away")
        return {
            (topic, 0): Watermarks(0, self.stable_offsets[topic], 10) for topic in topics
        }


class Tool(TransactionTool):
    """The command for transactions. It keeps which partitions it was given."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(kafka, Path("java"), Path("jars"))
        self.partitions: list[TopicPartition] = []
        self.hangs = True

    def abort_hanging(self, partitions: Iterable[TopicPartition]) -> list[str]:
        self.partitions += partitions
        return [f"{ORDERS}[0]@7"] if self.hangs else []


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(f"{MODULE}.kafka.list_topics", log.list_topics)
    monkeypatch.setattr(f"{MODULE}.kafka.offsets", log.offsets)
    return log


@pytest.fixture
def tool(settings: Settings, log: Log) -> Tool:
    return Tool(settings.kafka)


@pytest.fixture
def stuck_topics(settings: Settings, tool: Tool, repairs: RepairLog) -> StuckTopics:
    return StuckTopics(settings.kafka, tool, repairs)


def test_a_change_topic_that_stays_stuck_is_unblocked(
    stuck_topics: StuckTopics, tool: Tool, repairs: RepairLog
) -> None:
    stuck_topics.unblock(100)
    assert tool.partitions == []
    stuck_topics.unblock(LATER)
    # Other topics than the connector's are none of its business.
    assert tool.partitions == [(ORDERS, 0)]
    assert [entry["ended"] for entry in repairs.entries()] == [[f"{ORDERS}[0]@7"]]


def test_a_topic_that_was_looked_at_is_waited_for_again(
    stuck_topics: StuckTopics, tool: Tool, repairs: RepairLog
) -> None:
    tool.hangs = False
    stuck_topics.unblock(100)
    stuck_topics.unblock(LATER)
    stuck_topics.unblock(LATER + 2)
    assert len(tool.partitions) == 1
    assert repairs.entries() == []


def test_a_topic_that_moves_is_not_stuck(
    stuck_topics: StuckTopics, tool: Tool, log: Log
) -> None:
    stuck_topics.unblock(100)
    log.stable_offsets[ORDERS] = 8
    stuck_topics.unblock(LATER)
    assert tool.partitions == []


def test_waiting_starts_again_when_kafka_did_not_answer(
    stuck_topics: StuckTopics, tool: Tool, log: Log
) -> None:
    stuck_topics.unblock(100)
    log.is_reachable = False
    with pytest.raises(Unavailable):
        stuck_topics.unblock(102)
    log.is_reachable = True
    stuck_topics.unblock(LATER)
    assert tool.partitions == []


def test_without_the_command_a_stuck_topic_is_only_reported(
    settings: Settings, log: Log, repairs: RepairLog
) -> None:
    stuck_topics = StuckTopics(settings.kafka, None, repairs)
    stuck_topics.unblock(100)
    for now in (LATER, LATER + 2):
        with pytest.raises(KappaError, match=f"a transaction hangs in {ORDERS}") as error:
            stuck_topics.unblock(now)
    assert "KAPPA_KAFKA_LIB" in error.value.hint
