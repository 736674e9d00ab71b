"""Clicks that cannot be counted: set aside, listed, and put back."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from connectors.kafka import client as kafka
from connectors.kafka.dead_letter_reader import open_letters
from connectors.kafka.dead_letters import (
    MARKER,
    DeadLetters,
    Position,
    position_headers,
)
from schemas.topics import MAX_CLICK_BYTES, PRODUCT_VIEW, dead_topic
from tests.conftest import Stack
from tests.eventually import eventually

DEAD = dead_topic(PRODUCT_VIEW)
SET_ASIDE_SECONDS = 60
Letter = dict[str, Any]


@pytest.fixture
def nonsense(stack: Stack) -> Iterator[Any]:
    """A function that writes what is no click into the topic of clicks.

    At the end its records count as redriven.
    """
    options = {
        "message.max.bytes": 10_000_000,
        "batch.num.messages": 1,
        "compression.type": "none",
    }
    writer = kafka.producer(stack.settings.kafka, "vandal", **options)
    marker = uuid.uuid4().hex.encode()

    def write(value: bytes, key: bytes | None = b"7") -> Position:
        deliveries: list[tuple[Any, Message]] = []
        writer.produce(
            PRODUCT_VIEW,
            value,
            key,
            headers=[("trace", marker), ("empty", None)],
            on_delivery=lambda *delivery: deliveries.append(delivery),
        )
        assert writer.flush(30) == 0
        ((error, message),) = deliveries
        assert error is None
        return Position(PRODUCT_VIEW, message.partition(), message.offset())

    yield write
    for letter in all_letters(stack):
        if {"name": "trace", "hex": marker.hex()} in letter["headers"]:
            headers = position_headers(MARKER, position_of(letter), "1")
            writer.produce(DEAD, headers=headers)
    assert writer.flush(30) == 0


def all_letters(stack: Stack, *words: str) -> list[Letter]:
    """Return the letters that `kappa dead` lists."""
    result = stack.kappa("dead", PRODUCT_VIEW, "--json", *words, check=True)
    return list(json.loads(result.stdout))


def position_of(letter: Letter) -> Position:
    return Position(letter["topic"], letter["partition"], letter["offset"])


def letters_of(stack: Stack, position: Position, *words: str) -> list[Letter]:
    """Return the letters of the record at a position."""
    letters = all_letters(stack, *words)
    return [letter for letter in letters if position_of(letter) == position]


def assert_set_aside(stack: Stack, position: Position) -> Letter:
    """Return the only letter of a record, once it is listed."""
    letters = eventually(
        lambda: letters_of(stack, position),
        within=SET_ASIDE_SECONDS,
        because=f"{position} is set aside",
    )
    assert len(letters) == 1
    return letters[0]


def assert_set_aside_again(stack: Stack, position: Position) -> Letter:
    """Return the only new letter of a record that was redriven and failed again, once listed."""
    origin = {"name": "redriven_from", "hex": str(position).encode().hex()}
    letters = eventually(
        lambda: [letter for letter in all_letters(stack) if origin in letter["headers"]],
        within=SET_ASIDE_SECONDS,
        because=f"{position} fails again at its new place",
    )
    assert len(letters) == 1
    return letters[0]


def record_at(stack: Stack, position: Position) -> Message:
    reader = kafka.reader(stack.settings.kafka, "dead-test")
    try:
        reader.assign([TopicPartition(*position)])
        message = reader.poll(20)
        assert message is not None
        assert message.error() is None, message.error()
        return message
    finally:
        reader.close()


@contextmanager
def larger_records_allowed(stack: Stack, size: int) -> Iterator[None]:
    """Let the topic of clicks take records of that size within the block."""
    admin = AdminClient(kafka.client_config(stack.settings.kafka, "dead-test"))

    def alter(limit: int) -> None:
        entry = ConfigEntry(
            "max.message.bytes", str(limit), incremental_operation=AlterConfigOpType.SET
        )
        topic = ConfigResource(
            ResourceType.TOPIC, PRODUCT_VIEW, incremental_configs=[entry]
        )
        for change in admin.incremental_alter_configs([topic]).values():
            change.result()

    alter(size)
    try:
        yield
    finally:
        alter(MAX_CLICK_BYTES)


def test_a_record_is_set_aside_put_back_and_set_aside_again(
    stack: Stack, nonsense: Any
) -> None:
    value = b'{"product_id": 7}'
    position = nonsense(value)
    first = assert_set_aside(stack, position)
    assert (first["hex"], first["key_hex"]) == (value.hex(), b"7".hex())
    assert (first["bytes"], first["redriven"]) == (len(value), False)
    assert first["reason"] == "not Avro: magic byte 0x7b"
    assert [header["name"] for header in first["headers"]] == ["trace", "empty"]

    # A worker does so that was killed after setting the record aside.
    dead_letters = DeadLetters(stack.settings.kafka, "dead-test")
    dead_letters.send(record_at(stack, position), "not Avro, said once more")
    dead_letters.flush()
    assert letters_of(stack, position) == [first]

    redrive = json.loads(stack.kappa("dead", PRODUCT_VIEW, "--redrive", "--json").stdout)
    assert redrive["redriven"][PRODUCT_VIEW] >= 1
    assert str(position) not in {failure["record"] for failure in redrive["failed"]}
    assert letters_of(stack, position) == []
    assert [letter["redriven"] for letter in letters_of(stack, position, "--all")] == [True]

    second = assert_set_aside_again(stack, position)
    assert position_of(second) != position
    for key in ("hex", "key_hex", "reason"):
        assert second[key] == first[key]
    assert second["headers"][:-1] == first["headers"]


def test_people_see_what_is_set_aside_and_status_counts_it(
    stack: Stack, nonsense: Any
) -> None:
    position = nonsense(b"no click at all\n")
    assert_set_aside(stack, position)
    lines = stack.kappa("dead", check=True).stdout.splitlines()
    line = next(line for line in lines if line.startswith(str(position)))
    assert line.rstrip().endswith("no click at all")
    # Other tests may write nonsense in the same moment.
    eventually(
        lambda: open_letters(stack.settings.kafka)[DEAD] == len(all_letters(stack)) > 0,
        within=20,
        because="what is counted is what is listed",
    )


def test_a_record_too_large_for_its_topic_is_named_and_the_others_go_back(
    stack: Stack, nonsense: Any
) -> None:
    with larger_records_allowed(stack, 3_000_000):
        huge = nonsense(b"{" + os.urandom(1_920_000))
        small = nonsense(b"{small}")
        assert assert_set_aside(stack, huge)["bytes"] == 1_920_001
        assert_set_aside(stack, small)
    result = stack.kappa("dead", PRODUCT_VIEW, "--redrive")
    assert result.returncode == 1
    assert (
        f"{huge} (1,920,002 bytes) is larger than topic productview takes" in result.stderr
    )
    assert "max.message.bytes=" in result.stderr
    assert letters_of(stack, huge)
    assert letters_of(stack, small) == []
    assert_set_aside_again(stack, small)


def test_an_unknown_topic_is_answered_with_the_known_ones(stack: Stack) -> None:
    result = stack.kappa("dead", "productveiw")
    assert result.returncode == 2
    assert "did you mean productview?" in result.stderr
    hint = result.stderr.partition("next: records are set aside of ")[2]
    topics = set(hint.strip().split(", "))
    assert topics >= {"orderview", "productview"}  # topics of a benchmark may be there, too
