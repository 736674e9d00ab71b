"""The topics of the log: names, partitions, and the configuration that the promises need."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

# A topic and the number of one of its partitions.
TopicPartition = tuple[str, int]

PRODUCT_VIEW = "productview"
ORDER_VIEW = "orderview"
CLICK_TOPICS = (PRODUCT_VIEW, ORDER_VIEW)
CHANGE_PREFIX = "cdc"
TRANSACTIONS = f"{CHANGE_PREFIX}.transaction"
DEAD_SUFFIX = ".dead"
MAX_TOPIC_LENGTH = 249

# Source-of-truth topics keep everything: views are rebuilt from them (TRAPS 14, 15).
KEEP_EVERYTHING = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
}

# A change has the whole row before and after: up to the largest packet that MySQL takes by default.
MAX_RECORD_BYTES = 128 * 2**20
CHANGES = {**KEEP_EVERYTHING, "max.message.bytes": str(MAX_RECORD_BYTES)}

# The broker's clock says how late a click is: within a partition it never goes back, unlike the
# clocks of producers.
BROKERS_CLOCK = {"message.timestamp.type": "LogAppendTime"}
# A click is small: what is larger is refused where it is written.
MAX_CLICK_BYTES = 2**20
CLICKS = {**BROKERS_CLOCK, "max.message.bytes": str(MAX_CLICK_BYTES)}
# A dead-letter topic must accept what its click topic accepts (1 MiB unless that was raised), with
# our headers and in another compression.
ROOM_FOR_LETTERS = {"max.message.bytes": str(8 * 2**20)}


@dataclass(frozen=True)
class Topic:
    """A topic that start-up creates, with the settings that it checks afterwards."""

    name: str
    partitions: int
    config: dict[str, str]
    made_with: dict[str, str] = field(
        default_factory=dict
    )  # further settings of a topic that we make; one that exists may have others


def change_topic(database: str, table: str) -> str:
    """Return the topic of one table's changes, by the table's name in MySQL.

    Kafka does not allow every character of it: see kafka_topic.
    """
    return topic_of_collection(f"{database}.{table}")


def topic_of_collection(collection: str) -> str:
    """Return the topic of a table that Debezium names `database.table`."""
    return f"{CHANGE_PREFIX}.{collection}"


def kafka_topic(topic: str) -> str:
    """Return the topic in Kafka that has a topic's records; several tables may share it.

    Debezium writes `_` for each character that Kafka does not allow in a topic's name, and cuts it
    at 249 (its `AbstractTopicNamingStrategy.sanitizedTopicName`). Other topics have this name
    already.
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", topic)[:MAX_TOPIC_LENGTH]


def table_topics(
    kafka_topics: Iterable[str], tables: Iterable[str], database: str
) -> list[str]:
    """Return the topics in some of Kafka's: for those with changes, one for each table.

    `tables` are the tables of the database that are known. A topic of changes of which none is
    known is that of the table with its name.
    """
    topics_by_name: defaultdict[str, list[str]] = defaultdict(list)
    for table in sorted(set(tables)):
        topic = change_topic(database, table)
        topics_by_name[kafka_topic(topic)].append(topic)
    topics: list[str] = []
    for name in kafka_topics:
        table_of_that_name = table_of(name, database)
        if name in topics_by_name:
            topics += topics_by_name[name]
        elif table_of_that_name is None:
            topics.append(name)
        else:
            topics.append(change_topic(database, table_of_that_name))
    return topics


def table_of(topic: str, database: str) -> str | None:
    """Return the table of a change topic, None for a topic that is none of that database.

    Of a topic in Kafka it is the name as Kafka has it.
    """
    prefix = change_topic(database, "")
    for possible_prefix in (prefix, kafka_topic(prefix)):
        if topic.startswith(possible_prefix):
            return topic[len(possible_prefix) :]
    return None


def source_table(topic: str) -> str:
    """Return the name in MySQL of the table of a change topic."""
    return topic.split(".", 2)[2]


def dead_topic(topic: str) -> str:
    """Return the topic for those records of a topic that cannot be decoded."""
    return topic + DEAD_SUFFIX


def started_topics() -> tuple[Topic, ...]:
    """Return the topics that exist before any click is written.

    Those of change capture are in connectors/debezium/connector_config.py.
    """
    clicks = [Topic(name, 4, KEEP_EVERYTHING, CLICKS) for name in CLICK_TOPICS]
    dead = [
        Topic(dead_topic(name), 1, KEEP_EVERYTHING, ROOM_FOR_LETTERS)
        for name in CLICK_TOPICS
    ]
    return (*clicks, *dead)
