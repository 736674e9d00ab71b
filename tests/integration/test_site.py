"""The site's visitors on a running stack: what the processes say of themselves, and what arrives in the log."""

import contextlib

import pytest
from confluent_kafka import TopicPartition

from connectors.kafka import offsets, reader
from connectors.registry import Decoder, SchemaRegistry
from infra.errors import ContractError
from infra.state import read_state
from schemas import topics
from schemas.events import CONTRACTS, SUBJECT_ID
from tests.eventually import eventually


def said(stack, process):
    state = read_state(stack.settings.home, process)
    assert state, f"{process} has said nothing yet"
    assert state["state"] == "running", state["detail"]
    return state


def last_records(stack, topic, most=200):
    """Key and decoded record of the last clicks in each partition; records that are no clicks (other tests write some) are passed over."""
    decoder = Decoder(SchemaRegistry(stack.settings.registry.url))
    ranges = offsets(stack.settings.kafka, [topic])
    consumer = reader(stack.settings.kafka, "site-test", **{"enable.partition.eof": False})
    try:
        wanted = {place: found for place, found in ranges.items() if found.stable > found.low}
        consumer.assign([TopicPartition(*place, max(found.low, found.stable - most)) for place, found in wanted.items()])
        messages = []
        while len(messages) < sum(min(most, found.stable - found.low) for found in wanted.values()):
            batch = [message for message in consumer.consume(500, timeout=10) if message.error() is None]
            assert batch, f"{topic} gave no record within 10 seconds"
            messages += batch
    finally:
        consumer.close()
    for message in messages:
        with contextlib.suppress(ContractError):
            yield message.key(), decoder.decode(message.value()).record


def test_customers_act_about_as_often_as_they_are_told(stack):
    rate = stack.settings.site.customer_rate
    eventually(
        lambda: said(stack, "customers")["actions_per_second"] == pytest.approx(rate, rel=0.25),
        within=60,
        because=f"customers act {rate:g} times per second",
    )


def test_every_click_is_accounted_for_and_none_failed(stack):
    before = eventually(lambda: said(stack, "clicks"), within=60, because="clicks run")
    after = eventually(
        lambda: (now := said(stack, "clicks"))["delivered"] >= before["delivered"] + 20 and now, within=60, because="clicks are delivered"
    )
    assert after["failed"] == 0
    assert after["sent"] == after["delivered"] + after["queued"]


@pytest.mark.parametrize("topic", topics.CLICK_TOPICS)
def test_clicks_are_keyed_by_what_they_are_about(stack, topic):
    clicks = eventually(lambda: list(last_records(stack, topic)), within=60, because=f"{topic} holds clicks")
    fields = {field["name"] for field in CONTRACTS[topic]["fields"]}
    ours = [(key, click) for key, click in clicks if set(click) == fields]
    assert ours
    assert all(key == str(click[SUBJECT_ID[topic]]).encode() for key, click in ours)
    assert len({click["event_id"] for _, click in ours}) == len(ours)
