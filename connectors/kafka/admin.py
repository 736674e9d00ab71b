"""Topics and consumer groups: creating, checking, describing and deleting them."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType

from connectors.kafka.client import (
    TIMEOUT_SECONDS,
    admin_client,
    errors,
    list_topics,
    result,
)
from connectors.retry import wait_until
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError, Refused
from schemas.topics import Topic

DELETION_SECONDS = 30.0
POLL_SECONDS = 0.1
ABSENT = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)


def ensure_topics(kafka: Kafka, topics: Iterable[Topic]) -> list[str]:
    """Create the topics that do not exist, and check the configuration of those that do.

    Returns the names of the new topics. Raises Refused, with the command that repairs it, if an
    existing topic would lose records; Unavailable.
    """
    topics = list(topics)
    existing = list_topics(kafka)
    check_topics(kafka, [topic for topic in topics if topic.name in existing])
    missing = [topic for topic in topics if topic.name not in existing]
    if not missing:
        return []
    new_topics = []
    for topic in missing:
        config = topic.config | topic.made_with
        new_topics.append(
            NewTopic(topic.name, topic.partitions, kafka.replication_factor, config=config)
        )
    with admin_client(kafka) as admin:
        futures = admin.create_topics(new_topics, request_timeout=TIMEOUT_SECONDS)
        # A topic that another process created at the same moment is fine.
        _await_all(futures, "creating topic", accepted=(KafkaError.TOPIC_ALREADY_EXISTS,))
    return [topic.name for topic in missing]


def check_topics(kafka: Kafka, topics: Iterable[Topic]) -> None:
    """Compare existing topics with the configuration that they must have.

    Raises Refused, naming the first topic that differs; Unavailable.
    """
    topics_by_name = {topic.name: topic for topic in topics}
    if not topics_by_name:
        return
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics_by_name]
    with admin_client(kafka) as admin:
        futures = admin.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
        for resource, future in futures.items():
            name = resource.name
            entries = result(future, f"reading the configuration of {name}")
            actual = {key: entry.value for key, entry in entries.items()}
            _check_config(name, topics_by_name[name].config, actual)


def members(kafka: Kafka, group: str) -> dict[str, int]:
    """Return how many partitions each member of a group reads now, by client id.

    Empty while the group rebalances or has no member. Raises Unavailable.
    """
    with admin_client(kafka) as admin:
        futures = admin.describe_consumer_groups([group], request_timeout=TIMEOUT_SECONDS)
        try:
            description = result(futures[group], f"reading the members of group {group}")
        except KappaError as error:
            if _code(error.__cause__) in ABSENT:
                return {}
            raise
    return {
        member.client_id: len(member.assignment.topic_partitions)
        for member in description.members
        if member.assignment
    }


def groups(kafka: Kafka) -> list[str]:
    """Return the names of all consumer groups, sorted. Raises Unavailable."""
    with errors("listing the groups"), admin_client(kafka) as admin:
        future = admin.list_consumer_groups(request_timeout=TIMEOUT_SECONDS)
        listing = future.result()
    return sorted(group.group_id for group in listing.valid)


def delete_topics(kafka: Kafka, names: Iterable[str]) -> None:
    """Delete topics and return when they are gone; topics that do not exist are fine.

    Raises Refused, Unavailable.
    """
    names = sorted(names)
    if not names:
        return
    with admin_client(kafka) as admin:
        futures = admin.delete_topics(names, request_timeout=TIMEOUT_SECONDS)
        _await_all(futures, "deleting topic", accepted=ABSENT)
    wait_until(
        lambda: not set(names) & set(list_topics(kafka)),
        timeout_seconds=DELETION_SECONDS,
        poll_seconds=POLL_SECONDS,
        what=f"Kafka to delete {', '.join(names)}",
        hint="see ./kappa logs kafka",
    )


def delete_groups(
    kafka: Kafka, groups: Iterable[str], timeout_seconds: float = DELETION_SECONDS
) -> None:
    """Delete groups with their offsets; groups that do not exist are fine.

    Waits up to `timeout_seconds` for the sessions of killed members to expire. Raises Refused if a
    group still has members then; Unavailable.
    """
    deadline = time.monotonic() + timeout_seconds
    for group in sorted(groups):
        while not _delete_group(kafka, group, is_last_try=time.monotonic() > deadline):
            time.sleep(POLL_SECONDS)


def _delete_group(kafka: Kafka, group: str, *, is_last_try: bool) -> bool:
    """Return False if the group still has members and may be tried again."""
    with admin_client(kafka) as admin:
        futures = admin.delete_consumer_groups([group], request_timeout=TIMEOUT_SECONDS)
        try:
            _await_all(futures, "deleting group", accepted=ABSENT)
        except KappaError as error:
            if is_last_try or _code(error.__cause__) != KafkaError.NON_EMPTY_GROUP:
                raise
            return False
    return True


def _await_all(
    futures: Mapping[str, "Future[Any]"], action: str, *, accepted: tuple[int, ...]
) -> None:
    """Wait for all answers; errors with an accepted code are fine. Raises Refused, Unavailable."""
    for name, future in futures.items():
        try:
            result(future, f"{action} {name}")
        except KappaError as error:
            if _code(error.__cause__) not in accepted:
                raise


def _code(error: BaseException | None) -> int | None:
    if isinstance(error, KafkaException) and isinstance(error.args[0], KafkaError):
        return int(error.args[0].code())
    return None


def _check_config(
    name: str, expected: Mapping[str, str], actual: Mapping[str, str]
) -> None:
    differences = {
        key: value for key, value in expected.items() if actual.get(key) != value
    }
    if not differences:
        return
    descriptions = []
    assignments = []
    for key, value in differences.items():
        descriptions.append(f"{key} is {actual.get(key)} instead of {value}")
        assignments.append(f"{key}={value}")
    raise Refused(
        f"topic {name} would lose records that the warehouse and the counts are rebuilt from: "
        f"{', '.join(descriptions)}",
        "repair it with any Kafka client, such as: kafka-configs --entity-type topics "
        f"--entity-name {name} --alter --add-config {','.join(assignments)}",
    )
