"""An independent recount of the click topics, for tests: reads them as any Confluent-compatible client would, with nothing of ours that counts."""

import uuid
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.error import SerializationError
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connectors import cassandra, kafka
from infra.settings import Settings
from schemas import views
from tests.eventually import eventually

Key = tuple[int, datetime, int]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def assert_cassandra_agrees_with_the_topics(settings: Settings, within: float = 120) -> int:
    """Waits until everything that is in the click topics now is counted, then compares every row; returns the number of events recounted.

    Traffic may go on: a row that is further than the topics were when we came is compared up to the offset that it states.
    """
    topics = [view.topic for view in views.VIEWS]
    ends = {place: found.stable for place, found in kafka.offsets(settings.kafka, topics).items()}
    eventually(lambda: _is_counted(settings, ends), within=within, because="the counts reach the end of the click topics")
    return sum(_compare(settings, view, ends) for view in views.VIEWS)


def _is_counted(settings: Settings, ends: dict[tuple[str, int], int]) -> bool:
    committed = kafka.committed(settings.kafka, "counts", {topic for topic, _ in ends})
    return all(committed.get(place, 0) >= end for place, end in ends.items())


def _compare(settings: Settings, view: views.View, ends: dict[tuple[str, int], int]) -> int:
    rows = _rows(settings, view)
    upto = {partition: end for (topic, partition), end in ends.items() if topic == view.topic}
    for (_, _, partition), (_, last_offset) in rows.items():
        upto[partition] = max(upto[partition], last_offset + 1)
    events = _events(settings, view, upto)
    wrong = []
    for key in sorted({*rows, *events}, key=str):
        count, last_offset = rows.get(key, (0, -1))
        offsets = events.get(key, [])
        missed = [offset for offset in offsets if last_offset < offset < ends[view.topic, key[2]]]
        if count != (expected := bisect_right(offsets, last_offset)) or missed:
            wrong.append(f"{key} is {count} up to offset {last_offset}; the topic has {expected}, and then {missed[:5]}")
    assert not wrong, f"{len(wrong)} of {len(rows)} rows of {view.name} differ from {view.topic}:\n" + "\n".join(wrong[:10])
    return sum(map(len, events.values()))


def _rows(settings: Settings, view: views.View) -> dict[Key, tuple[int, int]]:
    asked = f"SELECT {view.subject.name}, created_at, kafka_partition, view_count, last_offset FROM {view.name}"
    with cassandra.connect(settings.cassandra, settings.login("cassandra.reader"), settings.cassandra.keyspace) as session:
        found = session.execute(asked).rows
    return {(subject, at.replace(tzinfo=UTC), partition): (count, last) for subject, at, partition, count, last in found}


def _events(settings: Settings, view: views.View, upto: dict[int, int]) -> dict[Key, list[int]]:
    """The offsets of the events of each row, ascending, from the start of the topic up to the given ends. What is not Avro is left out."""
    window = timedelta(seconds=settings.counts.window_seconds)
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": settings.registry.url}))
    context = SerializationContext(view.topic, MessageField.VALUE)
    events: dict[Key, list[int]] = defaultdict(list)
    for partition, offset, value in _records(settings, view.topic, upto):
        try:
            record = deserialize(value, context)
        except (SerializationError, SchemaRegistryError, EOFError, ValueError, IndexError):
            continue
        if record is not None:
            at = record["viewed_at"] - (record["viewed_at"] - EPOCH) % window
            events[record[view.subject.name], at, partition].append(offset)
    return events


def _records(settings: Settings, topic: str, upto: dict[int, int]) -> list[tuple[int, int, bytes | None]]:
    left = {partition: end for partition, end in upto.items() if end > 0}
    found = []
    consumer = Consumer(
        kafka.client_config(settings.kafka, "recount")
        | {"group.id": f"recount-{uuid.uuid4()}", "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error"}
    )
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in left])
        while left:
            for message in consumer.consume(1000, 1.0):
                partition, offset = message.partition(), message.offset()
                if message.error() is None and partition in left and offset < left[partition]:
                    found.append((partition, offset, message.value()))
                if partition in left and (offset + 1 >= left[partition]):
                    del left[partition]
    finally:
        consumer.close()
    return found
