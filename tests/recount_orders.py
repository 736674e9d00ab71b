"""An independent recount of the conversion, for tests: both topics as any Confluent-compatible
client reads them, every order with every view.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.error import SerializationError
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.kafka import client as kafka
from connectors.runtime.settings import Settings
from tests.eventually import eventually

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE = (
    SerializationError,
    SchemaRegistryError,
    EOFError,
    ValueError,
    IndexError,
    OverflowError,
)

Ends = dict[tuple[str, int], int]
Key = tuple[int, datetime, int]


def assert_conversions_agree_with_the_topics(
    settings: Settings, within: float = 120
) -> int:
    """Waits until everything that is in both topics now is handled, then compares every order;
    returns how many were compared.
    """
    names = topics_of(settings)
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader")
    ) as session:
        live = generations.active(session, settings.cassandra.keyspace)
    ends = {
        place: found.stable for place, found in kafka.offsets(settings.kafka, names).items()
    }

    def is_handled() -> bool:
        committed = kafka.committed(settings.kafka, live.conversion_group, names)
        return all(committed.get(place, 0) >= end for place, end in ends.items())

    eventually(
        is_handled, within=within, because="the conversion reaches the ends of both topics"
    )
    return compare(settings, live.keyspace, ends)


def compare(settings: Settings, keyspace: str, ends: Ends) -> int:
    """Compares the rows of all orders before the ends with a recount by nothing of ours; returns
    how many orders there were.

    Traffic goes on: a look that came after the ends may have converted an order or not, a look
    before them must have.
    """
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader"), keyspace
    ) as session:
        asked = (
            "SELECT product_id, minute, order_id, converted, user_id, ordered_at FROM "
            "conversion_by_minute"
        )
        rows = {
            (product, _utc(minute), order): (c, user, _utc(at))
            for product, minute, order, c, user, at in session.execute(asked).rows
        }
    order_topic, view_topic = topics_of(settings)
    later = {
        place: found.stable
        for place, found in kafka.offsets(settings.kafka, [order_topic, view_topic]).items()
    }
    surely = _looks(
        settings, {place: end for place, end in ends.items() if place[0] == view_topic}
    )
    perhaps = _looks(
        settings, {place: end for place, end in later.items() if place[0] == view_topic}
    )
    placed = _orders(
        settings, {place: end for place, end in ends.items() if place[0] == order_topic}
    )
    wrong = []
    for (product, minute, order), (user, at) in placed.items():
        expected = {
            (_is_preceded(looks.get((product, user), []), at), user, at)
            for looks in (surely, perhaps)
        }
        if rows.get((product, minute, order)) not in expected:
            wrong.append(
                f"order {order} of product {product} is {rows.get((product, minute, order))}, "
                f"the topics say {expected}"
            )
    assert not wrong, f"{len(wrong)} of {len(placed)} orders differ:\n" + "\n".join(
        wrong[:10]
    )
    everything = _orders(
        settings, {place: end for place, end in later.items() if place[0] == order_topic}
    )
    assert not rows.keys() - everything.keys(), "rows of orders that were never placed"
    return len(placed)


def _is_preceded(looks: list[datetime], ordered_at: datetime) -> int:
    """Of an order only the second is known: a look in the same second was before it."""
    return int(
        any(
            ordered_at - 30 * MINUTE <= at < ordered_at + timedelta(seconds=1)
            for at in looks
        )
    )


def _orders(settings: Settings, ends: Ends) -> dict[Key, tuple[int, datetime]]:
    """User and time of every order inserted or found by a snapshot."""
    found = {}
    for _, change in _decoded(settings, ends):
        if change["op"] in ("c", "r"):
            # Underscores are escaped once a table has columns that would be one field.
            after = change["after"].items()
            row = {name.replace("_u005f", "_"): value for name, value in after}
            at = datetime.fromisoformat(row["orderedAt"])
            found[
                row["product_id"], at.replace(second=0, microsecond=0), row["order_id"]
            ] = (
                row["user_id"],
                at,
            )
    return found


def _looks(settings: Settings, ends: Ends) -> dict[tuple[int, int], list[datetime]]:
    """When each product was looked at by each user: the views that count."""
    horizon, ahead = rule_of(settings)
    found = defaultdict(list)
    for message, view in _decoded(settings, ends):
        logged_at = EPOCH + timedelta(milliseconds=message.timestamp()[1])
        if logged_at - horizon <= view["viewed_at"] <= logged_at + ahead:
            found[view["product_id"], view["user_id"]].append(view["viewed_at"])
    return found


def _decoded(settings: Settings, ends: Ends) -> Iterator[tuple[Message, dict[str, Any]]]:
    """The records before the ends that are Avro, as any Confluent-compatible client reads them."""
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": settings.registry.url}))
    for message in _records(settings, ends):
        try:
            record = deserialize(
                message.value(), SerializationContext(message.topic(), MessageField.VALUE)
            )
        except UNREADABLE:
            continue
        if record is not None:
            yield message, record


def _records(settings: Settings, ends: Ends) -> Iterator[Message]:
    left = {place: end for place, end in ends.items() if end > 0}
    fixed = {
        "group.id": f"recount-{uuid.uuid4()}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(kafka.client_config(settings.kafka, "recount") | fixed)
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in left])
        while left:
            for message in consumer.consume(1000, 1.0):
                place = (message.topic(), message.partition())
                offset = message.offset()
                if message.error() is None and place in left and offset < left[place]:
                    yield message
                if place in left and offset + 1 >= left[place]:
                    del left[place]
    finally:
        consumer.close()


def topics_of(settings: Settings) -> tuple[str, str]:
    """The change topic of the orders, and that of the product views."""
    return f"cdc.{settings.mysql.database}.orders", "productview"


def rule_of(settings: Settings) -> tuple[timedelta, timedelta]:
    """How late and how early a view may be, against the log's time."""
    return timedelta(seconds=settings.counts.horizon_seconds), timedelta(
        seconds=settings.counts.ahead_seconds
    )


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
