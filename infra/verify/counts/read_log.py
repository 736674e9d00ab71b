"""The log as the recount needs it: the clicks that count, as columns of 32 bytes per event, and the orders that were placed.

What counts is decided here from the record alone, by the rule that the generation states and with nothing of the code that counts:
a record that is no click, a click logged later than the horizon after it happened, and one from too far in the future are set aside.
"""

import io
import time
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import KafkaError, Message, TopicPartition

from connectors import kafka
from connectors.registry import HEADER, MAGIC, Decoder, SchemaRegistry, split
from infra.errors import ContractError, Unavailable
from infra.recount import Events
from infra.recount_conversion import Orders
from infra.settings import Kafka
from schemas.envelope import CREATE, READ
from schemas.tables import ORDERS

CLIENT = "kappa-verify"
MOST_AT_ONCE = 10_000
POLL_SECONDS = 0.1
QUEUE_KILOBYTES = 16_384  # per partition; librdkafka's own would be four times as much
SILENCE_SECONDS = 30.0
SEE_KAFKA = "see ./kappa status and ./kappa logs kafka"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
INT64 = range(-(2**63), 2**63)
BROKEN = (EOFError, IndexError, KeyError, OverflowError, TypeError, UnicodeDecodeError, ValueError)
AT = "viewed_at"
PLAIN_TIME = {"type": "long", "logicalType": "timestamp-millis"}

# Of each partition the first offset to read and the offset to stop before.
Spans = Mapping[int, tuple[int, int]]
Click = tuple[int, int, int]


@dataclass(frozen=True)
class Rule:
    """Which event times count, in milliseconds before and after the time that Kafka gave the record."""

    horizon_ms: int
    ahead_ms: int


@dataclass
class Reading:
    """How far the reading of a topic has come, and what it has set aside."""

    topic: str
    total: int
    done: int = 0
    undecodable: int = 0
    late: int = 0
    absurd: int = 0

    def __post_init__(self) -> None:
        self.begin = time.monotonic()

    def text(self) -> str:
        """For people who wait."""
        rate = self.done / max(time.monotonic() - self.begin, 1e-3)
        percent = 100 * self.done // self.total if self.total else 100
        return f"recounting {self.topic}: {self.done:,} of {self.total:,} offsets ({percent} %), {rate:,.0f}/s"

    def set_aside(self) -> dict[str, int]:
        """The records that do not count, by reason."""
        return {"undecodable": self.undecodable, "late": self.late, "absurd": self.absurd}


class ClickDecoder:
    """Decodes the clicks of one topic, whose subject is in the field `subject`."""

    def __init__(self, registry: SchemaRegistry, subject: str) -> None:
        self._registry, self._subject = registry, subject
        self._schemas: dict[int, tuple[Any, bool] | None] = {}

    def decode(self, value: bytes | None) -> Click | None:
        """A click's subject, user and time in milliseconds of UTC; None if the value is no click. Raises Unavailable."""
        if value is None or len(value) < HEADER.size:
            return None
        magic, schema_id = HEADER.unpack_from(value)
        if magic != MAGIC:
            return None
        known = self._schemas[schema_id] if schema_id in self._schemas else self._learn(schema_id)
        if known is None:
            return None
        schema, plain = known
        stream = io.BytesIO(value)
        stream.seek(HEADER.size)
        try:
            record = fastavro.schemaless_reader(stream, schema, None)
        except BROKEN:
            return None
        return self._click(record, plain) if stream.tell() == len(value) else None

    def _click(self, record: Any, plain: bool) -> Click | None:
        if not isinstance(record, dict):
            return None
        subject, user, at = record.get(self._subject), record.get("user_id"), record.get(AT)
        if not plain:
            at = (at - EPOCH) // MILLISECOND if isinstance(at, datetime) and at.tzinfo is not None else None
        return (subject, user, at) if type(subject) is type(user) is type(at) is int and subject in INT64 and user in INT64 else None

    def _learn(self, schema_id: int) -> tuple[Any, bool] | None:
        """A schema for reading, and whether it gives times as whole milliseconds; None if the registry has none that can be read."""
        try:
            schema, plain = with_plain_time(self._registry.schema(schema_id))
            self._schemas[schema_id] = fastavro.parse_schema(schema), plain
        except (ContractError, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, KeyError, TypeError, ValueError):
            self._schemas[schema_id] = None
        return self._schemas[schema_id]


def with_plain_time(schema: Any) -> tuple[Any, bool]:
    """A schema in which the event time is the whole number that it is, without a detour through datetime; and whether it could be done."""
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    if not any(field["name"] == AT and field["type"] == PLAIN_TIME for field in fields):
        return schema, False
    return {**schema, "fields": [{**field, "type": "long"} if field["name"] == AT else field for field in fields]}, True


def clicks(cluster: Kafka, spans: Spans, decoder: ClickDecoder, rule: Rule, reading: Reading) -> dict[int, Events]:
    """The clicks of a topic that count, by partition. Raises Unavailable, Refused."""
    columns = {partition: tuple(array("q") for _ in range(4)) for partition in spans}
    for messages in records(cluster, reading.topic, spans):
        for message in messages:
            click = decoder.decode(message.value())
            logged_ms = message.timestamp()[1]
            if click is None:
                reading.undecodable += 1
            elif click[2] < logged_ms - rule.horizon_ms:
                reading.late += 1
            elif click[2] > logged_ms + rule.ahead_ms:
                reading.absurd += 1
            else:
                offsets, subjects, users, viewed_ms = columns[message.partition() or 0]
                offsets.append(message.offset() or 0)
                subjects.append(click[0])
                users.append(click[1])
                viewed_ms.append(click[2])
        reading.done += len(messages)
    return {partition: Events(*(np.frombuffer(column, np.int64) for column in four)) for partition, four in columns.items()}


def orders(cluster: Kafka, spans: Spans, registry: SchemaRegistry, reading: Reading) -> Orders:
    """The orders that were inserted or snapshotted, in the order of the log within a partition. Raises Unavailable, Refused."""
    decoder, columns = Decoder(registry), [array("q") for _ in range(6)]
    for messages in records(cluster, reading.topic, spans):
        for message in messages:
            order = _order(message.value(), decoder, reading)
            if order is not None:
                for column, value in zip(columns, (message.partition() or 0, message.offset() or 0, *order), strict=True):
                    column.append(value)
        reading.done += len(messages)
    return Orders(*(np.frombuffer(column, np.int64) for column in columns))


def _order(value: bytes | None, decoder: Decoder, reading: Reading) -> tuple[int, int, int, int] | None:
    """Order, user, product and time of a placed order; None for any other change."""
    if value is None:
        return None
    try:
        split(value)
        change = decoder.decode(value).record
        if change["op"] not in (CREATE, READ):
            return None
        row = change["after"]
        order_id, user_id, product_id, ordered_at = (row[name] for name in ORDERS.column_names[:4])
        return order_id, user_id, product_id, (datetime.fromisoformat(ordered_at) - EPOCH) // MILLISECOND
    except (ContractError, KeyError, TypeError, ValueError):
        reading.undecodable += 1
        return None


def records(cluster: Kafka, topic: str, spans: Spans) -> Iterator[list[Message]]:
    """The committed records of the spans, some thousand at a time, in the order of the log within a partition.

    Raises Unavailable if Kafka falls silent before their ends, Refused if it no longer has their beginnings.
    """
    left = {partition: end for partition, (start, end) in spans.items() if start < end}
    consumer = kafka.reader(cluster, CLIENT, **{"enable.partition.eof": True, "queued.max.messages.kbytes": QUEUE_KILOBYTES})
    heard_at = time.monotonic()
    try:
        with kafka.errors(f"reading {topic}"):
            consumer.assign([TopicPartition(topic, partition, spans[partition][0]) for partition in left])
            while left:
                unfinished = len(left)
                found = [message for message in consumer.consume(MOST_AT_ONCE, POLL_SECONDS) if _is_wanted(message, left)]
                yield found
                heard_at = time.monotonic() if found or len(left) < unfinished else heard_at
                if time.monotonic() - heard_at > SILENCE_SECONDS:
                    raise Unavailable(f"Kafka gave nothing of {topic} for {SILENCE_SECONDS:.0f} s", SEE_KAFKA)
    finally:
        consumer.close()


def _is_wanted(message: Message, left: dict[int, int]) -> bool:
    """Whether a message is a record before its partition's end; a partition that has reached its end leaves `left`.

    The last offsets may hold no record: aborted records and Kafka's own marks have offsets too. A broker that is away comes back, or
    is silent for too long.
    """
    error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
    if error is not None:
        trouble = kafka.as_kappa_error(error, f"reading {message.topic() or 'the log'}")
        if error.code() == KafkaError._PARTITION_EOF and offset >= left.get(partition, 0):
            left.pop(partition, None)
        elif error.code() != KafkaError._PARTITION_EOF and not isinstance(trouble, Unavailable):
            raise trouble
        return False
    end = left.get(partition)
    if end is not None and offset >= end - 1:
        del left[partition]
    return end is not None and offset < end
