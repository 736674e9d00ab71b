"""Clicks that cannot be counted: set aside, listed, and put back."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from connectors import kafka
from connectors.dead_letters import MARKER, DeadLetters, Position, open_letters, position_headers
from schemas.topics import PRODUCT_VIEW, dead_topic
from tests.conftest import Stack
from tests.eventually import eventually

DEAD = dead_topic(PRODUCT_VIEW)
SET_ASIDE_SECONDS = 60
Letter = dict[str, Any]


@pytest.fixture
def nonsense(stack: Stack) -> Iterator[Any]:
    """Writes what is no click into the topic of clicks; at the end all of it, and what became of it, is done with."""
    writer = kafka.producer(stack.settings.kafka, "vandal", **{"message.max.bytes": 10_000_000, "batch.num.messages": 1, "compression.type": "none"})
    marker = uuid.uuid4().hex.encode()

    def write(value: bytes, key: bytes | None = b"7") -> Position:
        delivered: list[tuple[Any, Message]] = []
        headers = [("trace", marker), ("empty", None)]
        writer.produce(PRODUCT_VIEW, value, key, headers=headers, on_delivery=lambda *verdict: delivered.append(verdict))
        assert writer.flush(30) == 0
        ((error, message),) = delivered
        assert error is None
        return Position(PRODUCT_VIEW, message.partition(), message.offset())

    yield write
    for letter in listed(stack):
        if {"name": "trace", "hex": marker.hex()} in letter["headers"]:
            writer.produce(DEAD, headers=position_headers(MARKER, position_of(letter), "1"))
    assert writer.flush(30) == 0


def listed(stack: Stack, *words: str) -> list[Letter]:
    return list(json.loads(stack.kappa("dead", PRODUCT_VIEW, "--json", *words, check=True).stdout))


def position_of(letter: Letter) -> Position:
    return Position(letter["topic"], letter["partition"], letter["offset"])


def letters_of(stack: Stack, position: Position, *words: str) -> list[Letter]:
    return [letter for letter in listed(stack, *words) if position_of(letter) == position]


def set_aside(stack: Stack, position: Position) -> Letter:
    """The letter of a record, once it is listed."""
    letter, *more = eventually(lambda: letters_of(stack, position), within=SET_ASIDE_SECONDS, because=f"{position} is set aside")
    assert not more
    return letter


def set_aside_again(stack: Stack, position: Position) -> Letter:
    """The new letter of a record that was redriven and failed again, once it is listed."""
    origin = {"name": "redriven_from", "hex": str(position).encode().hex()}
    because = f"{position} fails again at its new place"
    letter, *more = eventually(lambda: [each for each in listed(stack) if origin in each["headers"]], within=SET_ASIDE_SECONDS, because=because)
    assert not more
    return letter


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
def topic_takes(stack: Stack, size: int) -> Iterator[None]:
    """Has the topic of clicks take records of that size, for a while."""
    admin = AdminClient(kafka.client_config(stack.settings.kafka, "dead-test"))

    def change(operation: AlterConfigOpType) -> None:
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=operation)
        for done in admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, PRODUCT_VIEW, incremental_configs=[entry])]).values():
            done.result()

    change(AlterConfigOpType.SET)
    try:
        yield
    finally:
        change(AlterConfigOpType.DELETE)


def test_a_record_is_set_aside_put_back_and_set_aside_anew(stack: Stack, nonsense: Any) -> None:
    value = b'{"product_id": 7}'
    position = nonsense(value)
    first = set_aside(stack, position)
    assert (first["hex"], first["key_hex"], first["bytes"], first["redriven"]) == (value.hex(), b"7".hex(), len(value), False)
    assert first["reason"] == "not Avro: magic byte 0x7b"
    assert [header["name"] for header in first["headers"]] == ["trace", "empty"]

    again = DeadLetters(stack.settings.kafka, "dead-test")  # as a worker does that was killed after setting aside
    again.send(record_at(stack, position), "not Avro, said once more")
    again.flush()
    assert letters_of(stack, position) == [first]

    done = json.loads(stack.kappa("dead", PRODUCT_VIEW, "--redrive", "--json").stdout)
    assert done["redriven"][PRODUCT_VIEW] >= 1
    assert str(position) not in {each["record"] for each in done["failed"]}
    assert letters_of(stack, position) == []
    assert [letter["redriven"] for letter in letters_of(stack, position, "--all")] == [True]

    second = set_aside_again(stack, position)
    assert position_of(second) != position
    assert (second["hex"], second["key_hex"], second["reason"]) == (first["hex"], first["key_hex"], first["reason"])
    assert second["headers"][:-1] == first["headers"]


def test_people_see_what_is_set_aside_and_status_counts_it(stack: Stack, nonsense: Any) -> None:
    position = nonsense(b"no click at all\n")
    set_aside(stack, position)
    shown = stack.kappa("dead", check=True).stdout
    line = next(line for line in shown.splitlines() if line.startswith(str(position)))
    assert line.rstrip().endswith("no click at all")
    # Others write nonsense meanwhile, too.
    eventually(lambda: open_letters(stack.settings.kafka)[DEAD] == len(listed(stack)) > 0, within=20, because="what is counted is what is listed")


def test_a_record_too_large_for_its_topic_is_named_and_the_others_go_back(stack: Stack, nonsense: Any) -> None:
    with topic_takes(stack, 3_000_000):
        huge = nonsense(b"{" + os.urandom(1_920_000))
        small = nonsense(b"{small}")
        assert set_aside(stack, huge)["bytes"] == 1_920_001
        set_aside(stack, small)
    done = stack.kappa("dead", PRODUCT_VIEW, "--redrive")
    assert done.returncode == 1
    assert f"{huge} (1,920,002 bytes) is larger than topic productview takes" in done.stderr
    assert "max.message.bytes=" in done.stderr
    assert letters_of(stack, huge)
    assert letters_of(stack, small) == []
    set_aside_again(stack, small)


def test_an_unknown_topic_is_answered_with_those_there_are(stack: Stack) -> None:
    done = stack.kappa("dead", "productveiw")
    assert done.returncode == 2
    assert "did you mean productview?" in done.stderr
    named = done.stderr.partition("next: records are set aside of ")[2].strip().split(", ")
    assert {"orderview", "productview"} <= set(named)  # a measurement's topics may be there, too
