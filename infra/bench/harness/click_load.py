"""The load of a measurement: product views in the project's contract, the same for whoever counts them."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from connectors.kafka import ensure_topics, errors, list_topics, offsets, producer
from connectors.kafka_admin import delete_topics
from connectors.registry import Encoder, SchemaRegistry
from infra.errors import StackError
from infra.progress import Report
from infra.settings import Kafka, Settings
from schemas import topics
from schemas.events import CONTRACTS, value_subject

CLIENT = "bench"
PRODUCTS, USERS = 500, 100_000
SPREAD_MS = 600_000
SOURCES = ("web", "app", "mail")
SUBJECT = topics.PRODUCT_VIEW
TELL_EVERY = 5_000
WAIT_SECONDS = 60.0

Click = dict[str, Any]


def random_click(random: Random, at_ms: int) -> Click:
    """A view of one of 500 products, some far more popular than others, by one of 100,000 users, at a time in milliseconds of UTC."""
    return {
        "event_id": f"{random.getrandbits(144):036x}",
        "user_id": random.randrange(USERS),
        "product_id": int(PRODUCTS * random.random() ** 2),
        "source": SOURCES[random.randrange(len(SOURCES))],
        "viewed_at": at_ms,
    }


def clicks(events: int, end_ms: int, seed: int = 1) -> Iterator[Click]:
    """So many views in the order of their times, spread evenly over the ten minutes before `end_ms`."""
    random = Random(seed)
    for number in range(events):
        yield random_click(random, end_ms - SPREAD_MS + number * SPREAD_MS // events)


def key(click: Click) -> bytes:
    """The Kafka key, as the shop's own clicks have it."""
    return str(click["product_id"]).encode()


def encoder(settings: Settings) -> Encoder:
    """The contract's encoder; it is registered under the clicks' own subject, where it already is. Raises ContractError, Unavailable."""
    return Encoder(SchemaRegistry(settings.registry.url), value_subject(SUBJECT), CONTRACTS[SUBJECT])


def make_topic(kafka: Kafka, name: str) -> None:
    """An empty topic with the clicks' own partitions and settings. Raises Refused, Unavailable."""
    delete_topics(kafka, [name])
    model = next(topic for topic in topics.started_topics() if topic.name == SUBJECT)
    ensure_topics(kafka, [replace(model, name=name)])


def held(kafka: Kafka, topic: str) -> int:
    """How many records a topic holds; 0 if there is none. Raises Unavailable."""
    return sum(found.high - found.low for found in offsets(kafka, [topic]).values())


def fill(settings: Settings, topic: str, events: int, now_ms: int, report: Report) -> None:
    """Makes the topic anew with so many views, unless it holds just as many already. Raises StackError if some do not arrive."""
    if topic in list_topics(settings.kafka) and held(settings.kafka, topic) == events:
        return
    make_topic(settings.kafka, topic)
    encode, log = encoder(settings).encode, producer(settings.kafka, CLIENT)
    for number, click in enumerate(clicks(events, now_ms)):
        send(log, topic, encode(click), key(click))
        if number % TELL_EVERY == 0:
            log.poll(0)
            report("making the load", number / events, f"{number:,} of {events:,} events")
    with errors(f"writing {topic}"):
        log.flush(WAIT_SECONDS)
    if (arrived := held(settings.kafka, topic)) != events:
        raise StackError(f"{topic} holds {arrived:,} of {events:,} events", "see ./kappa logs kafka, then run the command again")


def send(log: Any, topic: str, value: bytes, click_key: bytes) -> None:
    """Queues a record, waiting while the queue is full. Raises Unavailable, Refused."""
    while True:
        try:
            with errors(f"writing {topic}"):
                log.produce(topic, value, click_key)
            return
        except BufferError:
            log.poll(0.05)
