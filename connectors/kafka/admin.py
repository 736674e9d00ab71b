"""Looking after the log from outside: who reads in a group now, and removing topics and groups that were made for a while."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import lru_cache
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka import TIMEOUT_SECONDS, as_kappa_error, client_config, errors, list_topics
from infra.errors import Unavailable
from infra.settings import Kafka

GONE_SECONDS = 30.0
POLL_SECONDS = 0.1
ABSENT = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)


@lru_cache(maxsize=4)
def _admin(kafka: Kafka) -> AdminClient:
    return AdminClient(client_config(kafka, "kappa-admin"))


def members(kafka: Kafka, group: str) -> dict[str, int]:
    """How many partitions each member of a group reads now, by client id; empty while the group shares them out, or has no member.

    Raises Unavailable.
    """
    found = _admin(kafka).describe_consumer_groups([group], request_timeout=TIMEOUT_SECONDS)[group]
    try:
        with errors(f"reading the members of group {group}"):
            description = found.result()
    except Exception as error:
        if _is_absent(error.__cause__):
            return {}
        raise
    return {member.client_id: len(member.assignment.topic_partitions) for member in description.members if member.assignment}


def groups(kafka: Kafka) -> list[str]:
    """All consumer groups. Raises Unavailable."""
    with errors("listing the groups"):
        return sorted(group.group_id for group in _admin(kafka).list_consumer_groups(request_timeout=TIMEOUT_SECONDS).result().valid)


def delete_topics(kafka: Kafka, names: Iterable[str]) -> None:
    """Removes topics, comes back when they are gone; those that do not exist are fine. Raises Refused, Unavailable."""
    wanted = sorted(names)
    if not wanted:
        return
    _all_done(_admin(kafka).delete_topics(wanted, request_timeout=TIMEOUT_SECONDS), "removing topic")
    deadline = time.monotonic() + GONE_SECONDS
    while left := set(wanted) & set(list_topics(kafka)):
        if time.monotonic() > deadline:
            raise Unavailable(f"Kafka has not removed {', '.join(sorted(left))} within {GONE_SECONDS:.0f} s", "see ./kappa logs kafka")
        time.sleep(POLL_SECONDS)


def delete_groups(kafka: Kafka, groups: Iterable[str], patience_seconds: float = GONE_SECONDS) -> None:
    """Removes groups with their offsets, waiting for members that were killed to be given up; absent ones are fine.

    Raises Refused if one still has members after `patience_seconds`; Unavailable.
    """
    deadline = time.monotonic() + patience_seconds
    for group in sorted(groups):
        while True:
            try:
                _all_done(_admin(kafka).delete_consumer_groups([group], request_timeout=TIMEOUT_SECONDS), "removing group")
                break
            except Exception as error:
                code = _code(error.__cause__)
                if code != KafkaError.NON_EMPTY_GROUP or time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)


def _all_done(asked: Mapping[str, Future[Any]], doing: str) -> None:
    for name, future in asked.items():
        try:
            future.result()
        except KafkaException as error:
            if not _is_absent(error):
                raise as_kappa_error(error.args[0], f"{doing} {name}") from error


def _is_absent(error: BaseException | None) -> bool:
    return _code(error) in ABSENT


def _code(error: BaseException | None) -> int | None:
    with contextlib.suppress(AttributeError, IndexError):
        return int(error.args[0].code())  # type: ignore[union-attr]
    return None
