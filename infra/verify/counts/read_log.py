"""The log as the recount needs it: the clicks that count, and the orders that were placed.

Whether a record counts is decided here from the record alone, by the rule that the generation
states and without any of the code that counts. Set aside are records that are no click, clicks
logged later than the horizon after they happened, and clicks from too far in the future. A click
takes 32 bytes of memory.
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
from confluent_kafka import Message

from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.kafka.schema_registry import HEADER, MAGIC, Decoder, SchemaRegistry, split
from connectors.runtime.settings import Kafka
from infra.verify.counts.event_groups import Events
from infra.verify.counts.recount_conversion import Orders
from schemas.envelope import CREATE, READ
from schemas.errors import ContractError

CLIENT = "kappa-verify"
# Batches are larger, and so fewer, if each is waited for a little.
GATHER_SECONDS = 0.1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
INT64 = range(-(2**63), 2**63)
DECODING_ERRORS = (
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    UnicodeDecodeError,
    ValueError,
)
SCHEMA_ERRORS = (
    ContractError,
    fastavro.schema.SchemaParseException,
    fastavro.schema.UnknownType,
    KeyError,
    TypeError,
    ValueError,
)
TIME_FIELD = "viewed_at"
PLAIN_TIME = {"type": "long", "logicalType": "timestamp-millis"}

# By partition, the first offset to read and the offset to stop before.
Spans = Mapping[int, tuple[int, int]]
Click = tuple[int, int, int]  # subject, user, time in milliseconds of UTC
PlacedOrder = tuple[int, int, int, int]  # order, user, product, time in milliseconds of UTC


@dataclass(frozen=True)
class Rule:
    """The event times that count: so many milliseconds before and after the record's own time."""

    horizon_ms: int
    ahead_ms: int


@dataclass
class ReadProgress:
    """How many offsets of a topic have been read, and how many records were set aside."""

    topic: str
    total: int
    records: int = 0
    undecodable: int = 0
    late: int = 0
    absurd: int = 0

    def __post_init__(self) -> None:
        self.started_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since reading began."""
        return time.monotonic() - self.started_at

    def text(self) -> str:
        """Return a line for people who wait."""
        rate = self.records / max(self.seconds, 1e-3)
        percent = 100 * self.records // self.total if self.total else 100
        offsets = f"{self.records:,} of {self.total:,} offsets"
        return f"recounting {self.topic}: {offsets} ({percent} %), {rate:,.0f}/s"

    def set_aside(self) -> dict[str, int]:
        """Return how many records do not count, by reason."""
        return {"undecodable": self.undecodable, "late": self.late, "absurd": self.absurd}


@dataclass(frozen=True)
class ReaderSchema:
    """A parsed schema, and whether it gives the event time as a number of milliseconds."""

    schema: Any
    has_plain_time: bool


class ClickDecoder:
    """Decodes the clicks of one topic; their subject is in the field `subject`."""

    def __init__(self, registry: SchemaRegistry, subject: str) -> None:
        self._registry = registry
        self._subject = subject
        self._schemas: dict[int, ReaderSchema | None] = {}

    def decode(self, value: bytes | None) -> Click | None:
        """Return the click of a record's value, None if the value is no click.

        Raises Unavailable if the registry does not answer.
        """
        if value is None or len(value) < HEADER.size:
            return None
        magic, schema_id = HEADER.unpack_from(value)
        if magic != MAGIC:
            return None
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._load_schema(schema_id)
        reader_schema = self._schemas[schema_id]
        if reader_schema is None:
            return None
        stream = io.BytesIO(value)
        stream.seek(HEADER.size)
        try:
            record = fastavro.schemaless_reader(stream, reader_schema.schema, None)
        except DECODING_ERRORS:
            return None
        if stream.tell() != len(value):
            return None
        return self._click(record, reader_schema.has_plain_time)

    def _click(self, record: Any, has_plain_time: bool) -> Click | None:
        if not isinstance(record, dict):
            return None
        subject = record.get(self._subject)
        user = record.get("user_id")
        viewed_at = record.get(TIME_FIELD)
        viewed_ms = viewed_at if has_plain_time else _milliseconds(viewed_at)
        # `type`, since a bool is an int too.
        if not type(subject) is type(user) is type(viewed_ms) is int:
            return None
        if subject not in INT64 or user not in INT64:
            return None
        return subject, user, viewed_ms

    def _load_schema(self, schema_id: int) -> ReaderSchema | None:
        """Return a schema for reading, None if the registry has none that can be read."""
        try:
            schema, has_plain_time = with_plain_time(self._registry.schema(schema_id))
            return ReaderSchema(fastavro.parse_schema(schema), has_plain_time)
        except SCHEMA_ERRORS:
            return None


def _milliseconds(instant: Any) -> int | None:
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        return None
    return (instant - EPOCH) // MILLISECOND


def with_plain_time(schema: Any) -> tuple[Any, bool]:
    """Return a schema whose event time is read as the number that it is, and whether that works.

    Reading it as a number saves the detour through datetime.
    """
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    plain_fields = []
    has_plain_time = False
    for field in fields:
        if field["name"] == TIME_FIELD and field["type"] == PLAIN_TIME:
            has_plain_time = True
            plain_fields.append({**field, "type": "long"})
        else:
            plain_fields.append(field)
    if not has_plain_time:
        return schema, False
    return {**schema, "fields": plain_fields}, True


def clicks(
    cluster: Kafka, spans: Spans, decoder: ClickDecoder, rule: Rule, progress: ReadProgress
) -> dict[int, Events]:
    """Return the clicks of a topic that count, by partition. Raises Unavailable, Refused."""
    columns = {partition: _empty_columns(4) for partition in spans}
    for messages in records(cluster, progress.topic, spans):
        for message in messages:
            click = decoder.decode(message.value())
            logged_ms = message.timestamp()[1]
            if click is None:
                progress.undecodable += 1
            elif click[2] < logged_ms - rule.horizon_ms:
                progress.late += 1
            elif click[2] > logged_ms + rule.ahead_ms:
                progress.absurd += 1
            else:
                offsets, subjects, users, viewed_ms = columns[message.partition() or 0]
                offsets.append(message.offset() or 0)
                subjects.append(click[0])
                users.append(click[1])
                viewed_ms.append(click[2])
        progress.records += len(messages)
    events = {}
    for partition, partition_columns in columns.items():
        arrays = [np.frombuffer(column, np.int64) for column in partition_columns]
        events[partition] = Events(*arrays)
    return events


def orders(
    cluster: Kafka, spans: Spans, registry: SchemaRegistry, progress: ReadProgress
) -> Orders:
    """Return the orders that were inserted or snapshotted, by partition in the order of the log.

    Raises Unavailable, Refused.
    """
    decoder = Decoder(registry)
    columns = _empty_columns(6)
    for messages in records(cluster, progress.topic, spans):
        for message in messages:
            order = _placed_order(message.value(), decoder, progress)
            if order is not None:
                values = (message.partition() or 0, message.offset() or 0, *order)
                for column, value in zip(columns, values, strict=True):
                    column.append(value)
        progress.records += len(messages)
    arrays = [np.frombuffer(column, np.int64) for column in columns]
    partitions, offsets, order_ids, users, products, ordered_ms = arrays
    return Orders(
        partitions=partitions,
        offsets=offsets,
        orders=order_ids,
        users=users,
        products=products,
        ordered_ms=ordered_ms,
    )


def _empty_columns(count: int) -> list["array[int]"]:
    """Return so many columns of 64-bit integers."""
    return [array("q") for _ in range(count)]


def _placed_order(
    value: bytes | None, decoder: Decoder, progress: ReadProgress
) -> PlacedOrder | None:
    """Return a placed order, None for any other change of an order."""
    if value is None:
        return None
    try:
        split(value)
        change = decoder.decode(value).record
        if change["op"] not in (CREATE, READ):
            return None
        row = change["after"]
        ordered_at = datetime.fromisoformat(row["orderedAt"])
        ordered_ms = (ordered_at - EPOCH) // MILLISECOND
        return row["order_id"], row["user_id"], row["product_id"], ordered_ms
    except (ContractError, KeyError, TypeError, ValueError):
        progress.undecodable += 1
        return None


def records(cluster: Kafka, topic: str, spans: Spans) -> Iterator[list[Message]]:
    """Yield the committed records of the spans in batches, by partition in the order of the log.

    Raises Unavailable if Kafka falls silent before the ends of the spans, Refused if it does not
    have their beginnings any longer.
    """
    ranges = {
        (topic, partition): range(start, end) for partition, (start, end) in spans.items()
    }
    with RangeConsumer(
        cluster, CLIENT, ranges, subject=topic, gather_seconds=GATHER_SECONDS
    ) as consumer:
        for batch in consumer.batches():
            yield from batch.values()
