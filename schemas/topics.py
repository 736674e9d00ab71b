"""The topics of the log: names, partitions and the configuration that the promises rest on."""

from dataclasses import dataclass, field

PRODUCT_VIEW = "productview"
ORDER_VIEW = "orderview"
CLICK_TOPICS = (PRODUCT_VIEW, ORDER_VIEW)
CHANGE_PREFIX = "cdc"
TRANSACTIONS = f"{CHANGE_PREFIX}.transaction"
DEAD_SUFFIX = ".dead"

# Source-of-truth topics keep everything: views are rebuilt from them (TRAPS 14, 15).
KEEP_EVERYTHING = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}

# How late a click is shows by the broker's clock, which never goes back within a partition; producers' clocks do.
BROKERS_CLOCK = {"message.timestamp.type": "LogAppendTime"}
# A dead topic takes what its click topic took (1 MiB unless somebody raised it), with our headers and in another compression.
ROOM_FOR_LETTERS = {"max.message.bytes": str(8 * 2**20)}


@dataclass(frozen=True)
class Topic:
    """A topic that start-up creates, with the settings that it checks afterwards."""

    name: str
    partitions: int
    config: dict[str, str]
    made_with: dict[str, str] = field(default_factory=dict)  # further settings of a topic that we make; one that exists may have others


def change_topic(database: str, table: str) -> str:
    """Debezium's topic of one table."""
    return f"{CHANGE_PREFIX}.{database}.{table}"


def table_of(topic: str, database: str) -> str | None:
    """The table whose changes a topic holds, or None if it is no change topic of that database."""
    prefix = f"{CHANGE_PREFIX}.{database}."
    return topic[len(prefix) :] if topic.startswith(prefix) else None


def source_table(topic: str) -> str:
    """The name in MySQL of the table whose changes a topic holds."""
    return topic.split(".", 2)[2]


def dead_topic(topic: str) -> str:
    """Where records of a topic that cannot be read are set aside."""
    return topic + DEAD_SUFFIX


def started_topics() -> tuple[Topic, ...]:
    """The topics that exist before any click is written; those of change capture are in connectors/debezium.py."""
    clicks = [Topic(name, 4, KEEP_EVERYTHING, BROKERS_CLOCK) for name in CLICK_TOPICS]
    dead = [Topic(dead_topic(name), 1, KEEP_EVERYTHING, ROOM_FOR_LETTERS) for name in CLICK_TOPICS]
    return (*clicks, *dead)
