"""Which topics `kappa watch` reads and from which offsets: pure functions of its arguments and of
what the log has.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.errors import UsageError
from schemas.topics import (
    CHANGE_PREFIX,
    CLICK_TOPICS,
    TopicPartition,
    change_topic,
    kafka_topic,
    table_of,
)

if TYPE_CHECKING:
    from connectors.kafka.client import Watermarks

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
OFFSET = re.compile(r"(\d+):(\d+)")


def shop_topics(existing: Iterable[str], database: str) -> list[str]:
    """Return the topics of every table's changes and of the clicks."""
    return [
        topic
        for topic in existing
        if topic in CLICK_TOPICS or table_of(topic, database) is not None
    ]


def named_topics(names: Iterable[str], existing: Iterable[str], database: str) -> list[str]:
    """Return topics by their names, by tables' names or by short names (`transaction`).

    Raises UsageError for one that does not exist, with the nearest that does and the list.
    """
    topics = sorted(existing)
    topics_by_short_name = {}
    for topic in topics:
        if topic.startswith(f"{CHANGE_PREFIX}."):
            topics_by_short_name[topic.rpartition(".")[2]] = topic
    for topic in topics:
        table = table_of(topic, database)
        if table:
            topics_by_short_name[table] = topic
    chosen_topics = []
    for name in names:
        topic_of_table = kafka_topic(change_topic(database, name))
        if name in topics:
            chosen_topics.append(name)
        elif name in topics_by_short_name:
            chosen_topics.append(topics_by_short_name[name])
        elif topic_of_table in topics:
            chosen_topics.append(topic_of_table)
        else:
            raise _unknown_topic(name, topics, topics_by_short_name)
    return list(dict.fromkeys(chosen_topics))


def _unknown_topic(name: str, topics: list[str], short_names: Iterable[str]) -> UsageError:
    similar = difflib.get_close_matches(name, [*short_names, *topics], n=1)
    suggestion = f"; did you mean {similar[0]}?" if similar else ""
    public_topics = [topic for topic in topics if not topic.startswith("_")]
    hint = "there are no topics yet: run ./kappa up"
    if public_topics:
        hint = f"topics are {', '.join(public_topics)}"
    return UsageError(f"no topic {name}{suggestion}", hint)


def since(text: str, now_ms: int) -> int:
    """Return a time in milliseconds of UTC from `90s`, `10m`, `2h`, `1d` (ago) or an ISO time.

    An ISO time without a zone is UTC. Raises UsageError for any other text.
    """
    duration = DURATION.fullmatch(text)
    if duration:
        length, unit = duration.groups()
        return now_ms - round(float(length) * UNITS_MS[unit])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text} is no time", "write 90s, 10m, 2h, 1d or 2026-01-31T12:00:00"
        ) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1_000)


def from_offsets(
    texts: Iterable[str],
    topics: list[str],
    watermarks: Mapping[TopicPartition, "Watermarks"],
) -> dict[TopicPartition, int]:
    """Return the offsets that `--offset PARTITION:OFFSET` names, of the one topic.

    Raises UsageError if there are several topics, or the log does not have one of the offsets.
    """
    if len(topics) != 1:
        raise UsageError(
            "--offset needs exactly one topic",
            "for example: ./kappa watch orders --offset 0:17",
        )
    topic = topics[0]
    offsets = {}
    for text in texts:
        numbers = OFFSET.fullmatch(text)
        if not numbers:
            raise UsageError(
                f"--offset {text} is not PARTITION:OFFSET", "for example: --offset 0:17"
            )
        partition = int(numbers[1])
        offset = int(numbers[2])
        watermark = watermarks.get((topic, partition))
        if watermark is None:
            raise UsageError(
                f"{topic} has no partition {partition}",
                f"its partitions are 0 to {len(watermarks) - 1}",
            )
        if not watermark.low <= offset <= watermark.high:
            range_text = f"offsets {watermark.low} to {watermark.high - 1}"
            raise UsageError(f"{topic}[{partition}] has {range_text}, not {offset}")
        offsets[topic, partition] = offset
    return offsets
