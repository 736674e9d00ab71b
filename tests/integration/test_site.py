"""The site's visitors on a running stack: what their processes report, and what the log gets."""

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from confluent_kafka import Message, TopicPartition

from connectors.kafka.client import offsets, reader
from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.runtime.process_state import read_state
from schemas import topics
from schemas.errors import ContractError
from schemas.events import CONTRACTS, SUBJECT_ID
from tests.conftest import Stack
from tests.eventually import eventually

State = dict[str, Any]


def state_of(stack: Stack, process: str) -> State:
    """Return what a process last reported. Raises AssertionError unless it runs."""
    state = read_state(stack.settings.home, process)
    assert state, f"{process} has reported nothing yet"
    assert state["state"] == "running", state["detail"]
    return state


def last_records(stack: Stack, topic: str, most: int = 200) -> Iterator[tuple[Any, Any]]:
    """Yield the key and the decoded record of the last clicks in each partition.

    Skips records that are no clicks, which other tests write.
    """
    ranges = offsets(stack.settings.kafka, [topic])
    starts = []
    count = 0
    for place, marks in ranges.items():
        start = max(marks.low, marks.stable - most)
        if start < marks.stable:
            starts.append(TopicPartition(*place, start))
            count += marks.stable - start
    consumer = reader(stack.settings.kafka, "site-test", **{"enable.partition.eof": False})
    messages: list[Message] = []
    try:
        consumer.assign(starts)
        while len(messages) < count:
            batch = consumer.consume(500, timeout=10)
            records = [message for message in batch if message.error() is None]
            assert records, f"{topic} gave no record within 10 seconds"
            messages += records
    finally:
        consumer.close()
    decoder = Decoder(SchemaRegistry(stack.settings.registry.url))
    for message in messages:
        with contextlib.suppress(ContractError):
            yield message.key(), decoder.decode(message.value()).record


def test_customers_act_about_as_often_as_they_are_told(stack: Stack) -> None:
    rate = stack.settings.site.customer_rate
    expected_rate = pytest.approx(rate, rel=0.25)
    assert eventually(
        lambda: state_of(stack, "customers")["actions_per_second"] == expected_rate,
        within=60,
        because=f"customers act {rate:g} times per second",
    )


def test_every_click_is_accounted_for_and_none_failed(stack: Stack) -> None:
    before = eventually(lambda: state_of(stack, "clicks"), within=60, because="clicks run")

    def state_after_more_clicks() -> State | Literal[False]:
        state = state_of(stack, "clicks")
        return state["delivered"] >= before["delivered"] + 20 and state

    after = eventually(state_after_more_clicks, within=60, because="clicks are delivered")
    assert after["failed"] == 0
    assert after["sent"] == after["delivered"] + after["queued"]


@pytest.mark.parametrize("topic", topics.CLICK_TOPICS)
def test_clicks_are_keyed_by_what_they_are_about(stack: Stack, topic: str) -> None:
    records = eventually(
        lambda: list(last_records(stack, topic)), within=60, because=f"{topic} holds clicks"
    )
    fields = {field["name"] for field in CONTRACTS[topic]["fields"]}
    clicks = [(key, click) for key, click in records if set(click) == fields]
    assert clicks
    for key, click in clicks:
        assert key == str(click[SUBJECT_ID[topic]]).encode()
    event_ids = {click["event_id"] for _, click in clicks}
    assert len(event_ids) == len(clicks)
