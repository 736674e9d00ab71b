import io
import random
from typing import Any

import fastavro
import numpy as np
import pytest

from processors.decoding.columnar_avro import (
    MAX_TEXT_BYTES,
    FlatReader,
    is_flat,
    join_values,
)
from schemas.events import CONTRACTS
from schemas.topics import CLICK_TOPICS, PRODUCT_VIEW

SCHEMA = CONTRACTS[PRODUCT_VIEW]
PARSED = fastavro.parse_schema(dict(SCHEMA))
NUMBERS = [0, 1, -1, 63, 64, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63)]


def encoded(**fields: Any) -> bytes:
    record = {
        "event_id": "a",
        "user_id": 1,
        "product_id": 2,
        "source": "web",
        "viewed_at": 3,
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, PARSED, record | fields)
    return stream.getvalue()


def read(values: list[bytes]) -> tuple[dict[str, Any], Any]:
    return FlatReader(SCHEMA, ("user_id", "product_id")).read(*join_values(values))


@pytest.mark.parametrize("topic", CLICK_TOPICS)
def test_the_contracts_of_the_clicks_are_flat(topic: str) -> None:
    assert is_flat(CONTRACTS[topic])


@pytest.mark.parametrize(
    "kind",
    [
        ["null", "string"],
        {"type": "array", "items": "long"},
        {"type": "record", "name": "R", "fields": []},
        "Other",
    ],
)
def test_a_schema_with_choices_or_nesting_is_not_flat(kind: Any) -> None:
    assert not is_flat(
        {"type": "record", "name": "X", "fields": [{"name": "a", "type": kind}]}
    )


def test_whole_numbers_come_as_columns() -> None:
    values = [encoded(user_id=number, product_id=-5) for number in NUMBERS]
    columns, is_decoded = read(values)
    decoded_numbers = [
        number for number, decoded in zip(NUMBERS, is_decoded, strict=True) if decoded
    ]
    assert columns["user_id"][is_decoded].tolist() == decoded_numbers
    assert set(columns["product_id"][is_decoded].tolist()) == {-5}
    # Numbers of ten bytes are left to a decoder of single records.
    assert len(decoded_numbers) >= len(NUMBERS) - 3


def test_text_that_is_long_or_not_ascii_is_left_to_a_decoder_of_single_records() -> None:
    decodable = ["", "plain", "x" * MAX_TEXT_BYTES]
    other = ["x" * (MAX_TEXT_BYTES + 1), "żółw", "x" * 40 + "ż"]
    _, is_decoded = read([encoded(event_id=text) for text in decodable + other])
    assert is_decoded.tolist() == [True, True, True, False, False, False]


def test_a_broken_record_harms_no_other() -> None:
    whole = encoded(user_id=7)
    values = [whole, whole[:-1], whole, whole + b"\0", b"", b"\xff" * 30, whole]
    columns, is_decoded = read(values)
    assert is_decoded.tolist() == [True, False, True, False, False, False, True]
    assert columns["user_id"][is_decoded].tolist() == [7, 7, 7]


@pytest.mark.parametrize("seed", range(60))
def test_every_decoded_record_is_the_one_that_fastavro_reads(seed: int) -> None:
    chance = random.Random(seed)
    values = []
    for _ in range(100):
        text = "e" * chance.randrange(70)
        value = encoded(event_id=text, user_id=chance.choice(NUMBERS))
        values.append(mutated(chance, value))
    columns, is_decoded = read(values)
    for index in np.flatnonzero(is_decoded).tolist():
        stream = io.BytesIO(values[index])
        record = fastavro.schemaless_reader(stream, PARSED, None)
        assert stream.tell() == len(values[index])
        assert columns["user_id"][index] == record["user_id"]
        assert columns["product_id"][index] == record["product_id"]


def mutated(chance: random.Random, value: bytes) -> bytes:
    """Return the value, or a damaged one."""
    damage = chance.random()
    if damage < 0.2:
        position = chance.randrange(len(value))
        byte = bytes([chance.randrange(256)])
        return value[:position] + byte + value[position + 1 :]
    if damage < 0.3:
        return value[: chance.randrange(len(value))]
    if damage < 0.4:
        return value + bytes(chance.randrange(4))
    return value
