"""A value is decoded, set aside, or stops its topic."""

import pytest

from schemas import topics
from schemas.errors import ContractError
from schemas.events import CONTRACTS
from schemas.warehouse_layout import Kind, Source
from spark.log.row_decoder import (
    Contract,
    RowDecoder,
    Unreadable,
)
from tests.unit.spark.debezium_log import TABLE, DebeziumLog

CLICKS = Source(topics.PRODUCT_VIEW, topics.PRODUCT_VIEW, Kind.FACTS)
ENDS = Source(topics.TRANSACTIONS, "transaction", Kind.TRANSACTIONS)


@pytest.fixture
def log() -> DebeziumLog:
    return DebeziumLog()


@pytest.fixture
def decoder(log: DebeziumLog) -> RowDecoder:
    return RowDecoder(log.registry)


def value(schema_id: int, body: bytes = b"") -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + body


def test_a_change_is_decoded_with_its_schema_id(
    log: DebeziumLog, decoder: RowDecoder
) -> None:
    message = log.change(3, "c", 5)
    schema_id, record = decoder.decode(TABLE, message.value_ or b"")
    assert (schema_id, record["after"]) == (1, {"id": 5, "v": "x"})
    assert decoder.position(message.value_ or b"") == (1, 30)
    assert decoder.contract(TABLE, 1).columns[0].name == "id"
    assert decoder.key(TABLE, 2) == ("id",)


@pytest.mark.parametrize(
    ("source", "data", "reason"),
    [
        (TABLE, b"", "not Avro: 0 bytes"),
        (TABLE, b"{'id': 5}", "not Avro: magic byte"),
        (TABLE, value(1, b"broken"), "not a record of schema id 1"),
        (TABLE, value(2, b"\x0a"), "schema 2 is no change envelope"),
        (CLICKS, value(99), "no schema id 99"),
        (CLICKS, value(2, b"\x0a"), "schema 2 lacks "),
    ],
    ids=[
        "empty",
        "JSON",
        "broken body",
        "another kind of record",
        "unknown schema of a click",
        "another click",
    ],
)
def test_a_record_that_is_not_of_its_topic_is_set_aside_with_the_reason(
    decoder: RowDecoder, source: Source, data: bytes, reason: str
) -> None:
    with pytest.raises(Unreadable, match=reason):
        decoder.decode(source, data)


def test_a_change_whose_schema_is_lost_stops_its_topic(decoder: RowDecoder) -> None:
    with pytest.raises(ContractError, match="no schema id 99"):
        decoder.decode(TABLE, value(99))


def test_a_record_to_set_aside_is_not_taken_for_a_broken_contract() -> None:
    assert not issubclass(Unreadable, ContractError)


def test_a_click_has_the_columns_of_its_contract_whatever_else_it_brings(
    log: DebeziumLog, decoder: RowDecoder
) -> None:
    schema = CONTRACTS[CLICKS.topic]
    further = {"name": "further", "type": ["null", "string"], "default": None}
    wider = {**schema, "fields": [*schema["fields"], further]}
    schema_id = log.registry.register("", wider)
    contract = decoder.contract(CLICKS, schema_id)
    assert contract.problem is None
    assert [column.name for column in contract.columns] == [
        field["name"] for field in schema["fields"]
    ]


def test_records_of_transactions_have_the_columns_of_their_schema(
    decoder: RowDecoder,
) -> None:
    names = [column.name for column in decoder.contract(ENDS, 3).columns]
    assert names == ["status", "id", "event_count", "data_collections"]


def test_a_contract_is_asked_for_once(log: DebeziumLog, decoder: RowDecoder) -> None:
    first = decoder.contract(TABLE, 1)
    log.registry.schemas.clear()
    assert decoder.contract(TABLE, 1) is first


def test_a_contract_without_problem_is_one_that_fits() -> None:
    assert Contract(()).problem is None
