import io
import random
from typing import Any

import fastavro
import numpy as np
import pytest

from processors.avro_columns import LONGEST_TEXT, FlatReader, is_flat, joined
from schemas.events import CONTRACTS
from schemas.topics import CLICK_TOPICS, PRODUCT_VIEW

SCHEMA = CONTRACTS[PRODUCT_VIEW]
PARSED = fastavro.parse_schema(dict(SCHEMA))
NUMBERS = [0, 1, -1, 63, 64, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63)]


def encoded(**fields: Any) -> bytes:
    record = {"event_id": "a", "user_id": 1, "product_id": 2, "source": "web", "viewed_at": 3} | fields
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, PARSED, record)
    return stream.getvalue()


def read(values: list[bytes]) -> tuple[dict[str, Any], Any]:
    return FlatReader(SCHEMA, ("user_id", "product_id")).read(*joined(values))


@pytest.mark.parametrize("topic", CLICK_TOPICS)
def test_the_contracts_of_the_clicks_are_flat(topic: str) -> None:
    assert is_flat(CONTRACTS[topic])


@pytest.mark.parametrize("kind", [["null", "string"], {"type": "array", "items": "long"}, {"type": "record", "name": "R", "fields": []}, "Other"])
def test_a_schema_with_choices_or_nesting_is_not_flat(kind: Any) -> None:
    assert not is_flat({"type": "record", "name": "X", "fields": [{"name": "a", "type": kind}]})


def test_whole_numbers_come_as_columns() -> None:
    columns, sure = read([encoded(user_id=number, product_id=-5) for number in NUMBERS])
    assert columns["user_id"][sure].tolist() == [number for number, is_sure in zip(NUMBERS, sure, strict=True) if is_sure]
    assert set(columns["product_id"][sure].tolist()) == {-5}
    assert sure.sum() >= len(NUMBERS) - 3  # those of ten bytes are left to a decoder of single records


def test_text_that_is_not_ascii_or_long_is_left_to_a_decoder_of_single_records() -> None:
    texts = ["", "plain", "x" * LONGEST_TEXT, "x" * (LONGEST_TEXT + 1), "żółw", "x" * 40 + "ż"]
    _, sure = read([encoded(event_id=text) for text in texts])
    assert sure.tolist() == [True, True, True, False, False, False]


def test_a_broken_record_harms_no_other() -> None:
    whole = encoded(user_id=7)
    columns, sure = read([whole, whole[:-1], whole, whole + b"\0", b"", b"\xff" * 30, whole])
    assert sure.tolist() == [True, False, True, False, False, False, True]
    assert columns["user_id"][sure].tolist() == [7, 7, 7]


def test_nothing_is_read_that_fastavro_reads_otherwise() -> None:
    chance = random.Random(7)
    for _ in range(60):
        values = [mutated(chance, encoded(event_id="e" * chance.randrange(70), user_id=chance.choice(NUMBERS))) for _ in range(100)]
        columns, sure = read(values)
        for place in np.flatnonzero(sure).tolist():
            stream = io.BytesIO(values[place])
            record = fastavro.schemaless_reader(stream, PARSED, None)
            assert stream.tell() == len(values[place])
            assert (columns["user_id"][place], columns["product_id"][place]) == (record["user_id"], record["product_id"])


def mutated(chance: random.Random, value: bytes) -> bytes:
    """The value, or a damaged one."""
    damage = chance.random()
    if damage < 0.2:
        at = chance.randrange(len(value))
        return value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :]
    if damage < 0.3:
        return value[: chance.randrange(len(value))]
    return value + bytes(chance.randrange(4)) if damage < 0.4 else value
