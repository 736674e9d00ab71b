"""The load of the benchmarks of counting: product views in the project's contract."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from connectors.kafka.admin import delete_topics, ensure_topics
from connectors.kafka.client import errors, list_topics, offsets, producer
from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.runtime.settings import Kafka, Settings
from infra.terminal.progress_line import Report
from schemas import topics
from schemas.errors import StackError
from schemas.events import CONTRACTS, value_subject

CLIENT = "bench"
PRODUCTS = 500
USERS = 100_000
SPREAD_MS = 600_000
SOURCES = ("web", "app", "mail")
SUBJECT = topics.PRODUCT_VIEW
REPORT_EVERY = 5_000
FLUSH_SECONDS = 60.0
QUEUE_PAUSE_SECONDS = 0.05

Click = dict[str, Any]


def now_ms() -> int:
    """Return the time in milliseconds of UTC."""
    return int(time.time() * 1000)


def random_click(random: Random, at_ms: int) -> Click:
    """Return a view of one of 500 products by one of 100,000 users, at a time in ms of UTC.

    Some products are far more popular than others.
    """
    return {
        "event_id": f"{random.getrandbits(144):036x}",
        "user_id": random.randrange(USERS),
        "product_id": int(PRODUCTS * random.random() ** 2),
        "source": SOURCES[random.randrange(len(SOURCES))],
        "viewed_at": at_ms,
    }


def clicks(events: int, end_ms: int, seed: int = 1) -> Iterator[Click]:
    """Yield views in the order of their times, spread evenly over ten minutes up to `end_ms`.

    The same arguments give the same views.
    """
    random = Random(seed)
    for number in range(events):
        yield random_click(random, spread_time(number, events, end_ms))


def spread_time(number: int, events: int, end_ms: int) -> int:
    """Return the time of one of many events that are spread over ten minutes up to `end_ms`."""
    return end_ms - SPREAD_MS + number * SPREAD_MS // events


def key(click: Click) -> bytes:
    """Return the Kafka key, as the shop's own clicks have it."""
    return str(click["product_id"]).encode()


def encoder(settings: Settings) -> Encoder:
    """Return the contract's encoder, which is registered under the clicks' own subject.

    Raises ContractError, Unavailable.
    """
    registry = SchemaRegistry(settings.registry.url)
    return Encoder(registry, value_subject(SUBJECT), CONTRACTS[SUBJECT])


def recreate_topic(kafka: Kafka, name: str) -> None:
    """Create an empty topic with the partitions and settings of the clicks' own topic.

    An existing one is deleted first. Raises Refused, Unavailable.
    """
    delete_topics(kafka, [name])
    model = next(topic for topic in topics.started_topics() if topic.name == SUBJECT)
    ensure_topics(kafka, [replace(model, name=name)])


def count_records(kafka: Kafka, topic: str) -> int:
    """Return how many records a topic holds, 0 if it does not exist. Raises Unavailable."""
    watermarks = offsets(kafka, [topic])
    return sum(partition.high - partition.low for partition in watermarks.values())


def fill_topic(settings: Settings, topic: str, events: int, report: Report) -> None:
    """Recreate a topic with so many views, unless it holds just as many already.

    Raises StackError if some do not arrive.
    """
    exists = topic in list_topics(settings.kafka)
    if exists and count_records(settings.kafka, topic) == events:
        return
    recreate_topic(settings.kafka, topic)
    send_all(settings, topic, clicks(events, now_ms()), events, report)
    records = count_records(settings.kafka, topic)
    if records != events:
        raise StackError(
            f"{topic} holds {records:,} of {events:,} events",
            "see ./kappa logs kafka, then run the command again",
        )


def send_all(
    settings: Settings, topic: str, load: Iterable[Click], events: int, report: Report
) -> None:
    """Send so many clicks, and wait until they are acknowledged. Raises Unavailable, Refused."""
    encode = encoder(settings).encode
    log = producer(settings.kafka, CLIENT)
    for number, click in enumerate(load):
        send(log, topic, encode(click), key(click))
        if number % REPORT_EVERY == 0:
            log.poll(0)
            report("making the load", number / events, f"{number:,} of {events:,} events")
    with errors(f"writing {topic}"):
        log.flush(FLUSH_SECONDS)


def send(log: Any, topic: str, value: bytes, click_key: bytes) -> None:
    """Queue a record, waiting while the queue is full. Raises Unavailable, Refused."""
    while True:
        try:
            with errors(f"writing {topic}"):
                log.produce(topic, value, click_key)
            return
        except BufferError:
            log.poll(QUEUE_PAUSE_SECONDS)
