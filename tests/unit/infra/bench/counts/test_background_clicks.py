import io
from typing import Any

import fastavro
import pytest

from connectors.kafka.schema_registry import split
from infra.bench.counts.background_clicks import ClickPool, encoded_time
from infra.bench.counts.peer import plain_schema
from schemas.errors import KappaError
from schemas.events import CONTRACTS
from schemas.topics import PRODUCT_VIEW

CONTRACT = CONTRACTS[PRODUCT_VIEW]
AT_MS = 1_800_000_000_123


def encode(click: dict[str, Any]) -> bytes:
    stream = io.BytesIO(b"\0\0\0\0\7")
    stream.seek(5)
    fastavro.schemaless_writer(stream, fastavro.parse_schema(CONTRACT), click)
    return stream.getvalue()


def decode(value: bytes) -> Any:
    schema = fastavro.parse_schema(plain_schema(CONTRACT))
    return fastavro.schemaless_reader(io.BytesIO(split(value)[1]), schema, None)


def test_a_click_of_the_background_is_whole_and_has_the_time_of_its_sending() -> None:
    pool = ClickPool(encode, size=3)
    for value, key in pool.clicks_at(2, 2, AT_MS):
        click = decode(value)
        assert click["viewed_at"] == AT_MS
        assert str(click["product_id"]).encode() == key


def test_after_the_last_click_of_the_pool_the_first_one_follows() -> None:
    pool = ClickPool(encode, size=3)
    assert pool.clicks_at(5, 1, 0) == pool.clicks_at(2, 1, 0)
    first_clicks = pool.clicks_at(0, 3, 0)
    assert len(set(first_clicks)) == 3


def test_a_contract_whose_event_time_is_not_its_last_field_is_refused() -> None:
    fields = CONTRACT["fields"]
    moved_schema = {**CONTRACT, "fields": [fields[-1], *fields[:-1]]}

    def encode_otherwise(click: dict[str, Any]) -> bytes:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, fastavro.parse_schema(moved_schema), click)
        return stream.getvalue()

    with pytest.raises(KappaError, match="last field"):
        ClickPool(encode_otherwise, size=3)
    assert encoded_time(0) == b"\0"
