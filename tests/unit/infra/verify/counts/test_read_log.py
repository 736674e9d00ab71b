"""Which records of the log count, and what they say: decoded apart from the code that counts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaError

from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.runtime.settings import Kafka
from infra.verify.counts.read_log import (
    ClickDecoder,
    ReadProgress,
    Rule,
    Spans,
    clicks,
    orders,
    records,
)
from schemas import events, topics
from schemas.errors import ContractError, Refused
from tests.unit.connectors.kafka.readers.assigned_consumer import AssignedConsumer

CONTRACT = events.CONTRACTS[topics.PRODUCT_VIEW]
LOGGED = 1_767_268_800_000
CLICK = {
    "event_id": "a",
    "user_id": 3,
    "product_id": 7,
    "source": "web",
    "viewed_at": datetime(2026, 1, 1, 12, 0, 0, 1000, UTC),
}
RULE = Rule(horizon_ms=1000, ahead_ms=100)


class Registry(SchemaRegistry):
    """A registry in memory."""

    def __init__(self, *schemas: Any) -> None:
        super().__init__("http://nowhere")
        self.known = dict(enumerate(schemas, 1))
        self.asked = 0

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        return next(number for number, known in self.known.items() if known == schema)

    def schema(self, schema_id: int) -> dict[str, Any]:
        self.asked += 1
        if schema_id not in self.known:
            raise ContractError(f"schema id {schema_id} is unknown")
        return dict(self.known[schema_id])


def encoded(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    return Encoder(Registry(schema), "s", schema).encode(record)


def with_type(name: str, kind: Any) -> dict[str, Any]:
    fields = [
        {**field, "type": kind} if field["name"] == name else field
        for field in CONTRACT["fields"]
    ]
    return {**CONTRACT, "fields": fields}


def decoded(value: bytes | None, schema: Any = CONTRACT) -> tuple[int, int, int] | None:
    return ClickDecoder(Registry(schema), "product_id").decode(value)


def test_a_click_is_its_subject_its_user_and_its_time_in_milliseconds() -> None:
    assert decoded(encoded(CONTRACT, CLICK)) == (7, 3, LOGGED + 1)


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "long", "logicalType": "timestamp-micros"},
        ["null", {"type": "long", "logicalType": "timestamp-millis"}],
    ],
)
def test_the_time_may_be_written_otherwise(kind: Any) -> None:
    schema = with_type("viewed_at", kind)
    assert decoded(encoded(schema, CLICK), schema) == (7, 3, LOGGED + 1)


@pytest.mark.parametrize(
    "kind, value", [("long", LOGGED), ("string", "2026"), (["null", "long"], None)]
)
def test_a_time_that_is_none_makes_no_click(kind: Any, value: Any) -> None:
    schema = with_type("viewed_at", kind)
    assert decoded(encoded(schema, CLICK | {"viewed_at": value}), schema) is None


@pytest.mark.parametrize("name", ["product_id", "user_id"])
@pytest.mark.parametrize(
    "kind, value",
    [("string", "7"), ("boolean", True), ("double", 7.0), (["null", "long"], None)],
)
def test_an_id_that_is_no_whole_number_makes_no_click(
    name: str, kind: Any, value: Any
) -> None:
    schema = with_type(name, kind)
    assert decoded(encoded(schema, CLICK | {name: value}), schema) is None


RIGHT = encoded(CONTRACT, CLICK)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\0\0\0",
        b'{"product_id": 7}',
        b"\1" + RIGHT[1:],
        b"\0\0\0\0\2" + RIGHT[5:],
        RIGHT[:-1],
        RIGHT + b"\0",
        RIGHT[:6] + b"\xff" + RIGHT[7:],
    ],
)
def test_what_is_no_click_is_none(value: bytes | None) -> None:
    assert decoded(value) is None


def test_a_schema_that_is_no_record_makes_no_click() -> None:
    assert decoded(b"\0\0\0\0\1\2a", "string") is None


def test_an_unknown_schema_is_asked_for_once() -> None:
    registry = Registry(CONTRACT)
    decoder = ClickDecoder(registry, "product_id")
    assert [decoder.decode(b"\0\0\0\0\x09 body") for _ in range(5)] == [None] * 5
    assert registry.asked == 1


class Message:
    def __init__(self, offset: int, value: bytes | None, logged_ms: int) -> None:
        self._offset = offset
        self._value = value
        self._logged_ms = logged_ms

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 2, self._logged_ms


AT = LOGGED + 1


def test_only_clicks_within_the_horizon_and_not_too_far_ahead_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged = [AT, AT + 1000, AT + 1001, AT - 100, AT - 101]
    messages = [Message(10 + place, RIGHT, at) for place, at in enumerate(logged)] + [
        Message(20, None, AT),
        Message(21, b"x", AT),
    ]

    def records(_cluster: Kafka, _topic: str, _spans: Spans) -> list[list[Message]]:
        return [messages[:3], messages[3:]]

    monkeypatch.setattr("infra.verify.counts.read_log.records", records)
    progress = ReadProgress("productview", 7)
    found = clicks(
        Kafka(),
        {2: (0, 22)},
        ClickDecoder(Registry(CONTRACT), "product_id"),
        RULE,
        progress,
    )
    assert found[2].offsets.tolist() == [10, 11, 13]
    assert found[2].subjects.tolist() == [7] * 3
    assert found[2].users.tolist() == [3] * 3
    assert found[2].viewed_ms.tolist() == [AT] * 3
    assert progress.set_aside() == {"undecodable": 2, "late": 1, "absurd": 1}
    assert progress.text().startswith("recounting productview: 7 of 7 offsets (100 %), ")


ROW_TYPE = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "status", "type": "string"},
        {"name": "orderedAt", "type": "string"},
        {"name": "product_id", "type": "long"},
        {"name": "user_id", "type": "long"},
        {"name": "order_id", "type": "long"},
    ],
}
CHANGE_TYPE = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "op", "type": "string"},
        {"name": "after", "type": ["null", ROW_TYPE]},
    ],
}
ORDER = {
    "order_id": 1,
    "user_id": 3,
    "product_id": 7,
    "orderedAt": "2026-01-01T12:00:00Z",
    "status": "0",
}


def test_an_order_is_read_by_the_names_of_its_columns_in_whatever_order_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = [
        {"op": "c", "after": ORDER},
        {"op": "u", "after": ORDER | {"status": "1"}},
        {"op": "d", "after": None},
        {"op": "r", "after": ORDER | {"order_id": 2}},
        {"op": "c", "after": ORDER | {"orderedAt": "noon"}},
    ]
    messages = [
        Message(offset, encoded(CHANGE_TYPE, change), LOGGED)
        for offset, change in enumerate(changes)
    ]
    messages.append(Message(9, None, LOGGED))
    monkeypatch.setattr("infra.verify.counts.read_log.records", lambda *_: [messages])
    progress = ReadProgress("cdc.eCommerce.orders", 6)
    found = orders(Kafka(), {2: (0, 10)}, Registry(CHANGE_TYPE), progress)
    assert {name: column.tolist() for name, column in vars(found).items()} == {
        "partitions": [2, 2],
        "offsets": [0, 3],
        "orders": [1, 2],
        "users": [3, 3],
        "products": [7, 7],
        "ordered_ms": [LOGGED, LOGGED],
    }
    assert progress.set_aside() == {"undecodable": 1, "late": 0, "absurd": 0}


class LogMessage(Message):
    """A message of partition 2, or an error that librdkafka reports as one."""

    def __init__(self, offset: int, error: int | None = None) -> None:
        super().__init__(offset, b"", LOGGED)
        self._error = error

    def topic(self) -> str:
        return "productview"

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)


def read_offsets(
    monkeypatch: pytest.MonkeyPatch, batches: list[list[LogMessage]], end: int
) -> list[int]:
    consumer = AssignedConsumer(list(batches))
    monkeypatch.setattr("connectors.kafka.client.reader", lambda *_, **__: consumer)
    try:
        spans = {2: (0, end)}
        found = [
            message.offset() or 0
            for batch in records(Kafka(), "productview", spans)
            for message in batch
        ]
    finally:
        assert consumer.closed == 1
    return found


EOF = KafkaError._PARTITION_EOF


@pytest.mark.parametrize(
    ("batches", "end", "offsets"),
    [
        ([[LogMessage(0), LogMessage(1), LogMessage(2)]], 2, [0, 1]),
        ([[LogMessage(0)], [LogMessage(3)]], 2, [0]),
        ([[LogMessage(0)], [LogMessage(5, EOF)]], 5, [0]),
        ([[LogMessage(0), LogMessage(1, EOF)], [], [LogMessage(4)]], 5, [0, 4]),
        ([[LogMessage(0, KafkaError._TRANSPORT)], [LogMessage(0)]], 1, [0]),
    ],
    ids=[
        "records behind the end are left out",
        "a gap covers the end",
        "control records are at the end",
        "an earlier end of the log does not stop the reader",
        "a broker that is unreachable returns",
    ],
)
def test_a_topic_is_read_up_to_the_end_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    batches: list[list[LogMessage]],
    end: int,
    offsets: list[int],
) -> None:
    assert read_offsets(monkeypatch, batches, end) == offsets


def test_a_log_that_kafka_refuses_to_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(Refused):
        read_offsets(monkeypatch, [[LogMessage(0, KafkaError._AUTO_OFFSET_RESET)]], 1)
