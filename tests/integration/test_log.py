"""The log as others see it: clients that know nothing of this project, and `kappa watch`."""

import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connectors import kafka
from connectors.kafka import Range
from infra.state import read_state
from infra.watch import CLIENT
from schemas import topics
from tests.conftest import LAUNCHER, Stack
from tests.eventually import eventually


@pytest.fixture(scope="module")
def connections(stack: Stack) -> dict[str, Any]:
    """What `kappa env` tells other clients."""
    return dict(json.loads(stack.kappa("env", "--json", check=True).stdout))


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.settings.site.shop_url, timeout=20) as client:
        yield client


def new_order(shop: httpx.Client) -> int:
    """The id of an order that was just placed."""
    user = shop.get("/users", params={"limit": 1}).json()[0]
    product = shop.get("/products", params={"limit": 1}).json()[0]
    answer = shop.post("/orders", json={"user_id": user["id"], "product_id": product["product_id"]}).raise_for_status()
    return int(answer.json()["order_id"])


@contextmanager
def watching(stack: Stack, *words: str) -> Iterator[list[dict[str, Any]]]:
    """What a `kappa watch --json` that has begun prints, as it prints it."""
    command = [str(LAUNCHER), "watch", "--json", *words]
    process = subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    first = process.stderr.readline()
    assert first.startswith("watching"), first
    seen: list[dict[str, Any]] = []
    lines = process.stdout
    collector = threading.Thread(target=lambda: seen.extend(map(json.loads, lines)), daemon=True)
    collector.start()
    try:
        yield seen
    finally:
        process.terminate()
        process.wait(10)
        collector.join(10)


def plain_client_reads(connections: dict[str, Any], topic: str, held: dict[tuple[str, int], Range], most: int) -> list[Any]:
    """The last Avro values of a topic, read with confluent-kafka's own classes and nothing of this project."""
    decode = AvroDeserializer(SchemaRegistryClient({"url": connections["registry"]["url"]}))
    context = SerializationContext(topic, MessageField.VALUE)
    alone = {"group.id": f"plain-{uuid.uuid4()}", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({"bootstrap.servers": connections["kafka"]["bootstrap_servers"], **alone})
    found, unread = [], set(held)
    try:
        consumer.assign([TopicPartition(*place, max(at.low, at.stable - most)) for place, at in held.items()])
        while unread:
            message = consumer.poll(20)
            assert message is not None, f"{topic} gave nothing for 20 seconds"
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                unread.discard((message.topic(), message.partition()))
            elif message.value() and message.value()[0] == 0:
                found.append(decode(message.value(), context))
    finally:
        consumer.close()
    return found


def test_any_confluent_client_reads_clicks(stack: Stack, connections: dict[str, Any]) -> None:
    held = eventually(
        lambda: (found := kafka.offsets(stack.settings.kafka, [topics.PRODUCT_VIEW])) and any(r.stable for r in found.values()) and found,
        within=60,
        because="there are clicks",
    )
    clicks = plain_client_reads(connections, topics.PRODUCT_VIEW, held, 50)
    assert clicks
    assert all(click["product_id"] > 0 and click["viewed_at"].tzinfo for click in clicks)


def test_any_confluent_client_reads_changes(stack: Stack, connections: dict[str, Any], shop: httpx.Client) -> None:
    topic = topics.change_topic(stack.settings.mysql.database, "orders")
    order_id = new_order(shop)

    def arrived() -> bool:
        held = kafka.offsets(stack.settings.kafka, [topic])
        changes = plain_client_reads(connections, topic, held, 50)
        return any(change["op"] == "c" and change["after"]["order_id"] == order_id for change in changes)

    assert eventually(arrived, within=60, because=f"order {order_id} is in {topic}")


def test_watch_shows_a_delivery_before_and_after(stack: Stack, shop: httpx.Client) -> None:
    with watching(stack, "orders") as seen:
        order_id = new_order(shop)
        shop.post(f"/orders/{order_id}/complete").raise_for_status()
        update = eventually(
            lambda: next((r for r in seen if r["key"] == {"order_id": order_id} and r["op"] == "update"), None),
            within=60,
            because=f"the delivery of order {order_id} is watched",
        )
    assert update["changed"] == {"status": ["0", "1"]}
    assert update["before"]["status"] == "0"
    assert update["topic"] == topics.change_topic(stack.settings.mysql.database, "orders")
    assert update["gtid"]
    assert update["age_ms"] < 30_000


def test_one_transaction_is_shown_as_a_whole_and_then_watch_ends(stack: Stack, shop: httpx.Client) -> None:
    with watching(stack, "completed_orders") as seen:
        order_id = new_order(shop)
        shop.post(f"/orders/{order_id}/complete").raise_for_status()
        insert = eventually(
            lambda: next((r for r in seen if r["key"] == {"order_id": order_id}), None), within=60, because=f"order {order_id} is delivered"
        )
    done = stack.kappa("watch", "--gtid", insert["gtid"], "--json", timeout=120, check=True)
    changes = {(r["topic"].rpartition(".")[2], r["op"], r["key"]["order_id"]) for r in map(json.loads, done.stdout.splitlines())}
    assert changes == {("orders", "update", order_id), ("completed_orders", "insert", order_id)}


def test_only_records_that_fulfil_an_expression_are_shown(stack: Stack, shop: httpx.Client) -> None:
    order_id = new_order(shop)
    words = ("orders", "--from-beginning", "--where", f"order_id = {order_id} and op = 'insert'", "-n", "1", "--json")
    found = json.loads(stack.kappa("watch", *words, timeout=120, check=True).stdout)
    assert (found["after"]["order_id"], found["after"]["status"]) == (order_id, "0")


@pytest.mark.parametrize("topic", [topics.PRODUCT_VIEW])
def test_a_record_that_is_not_avro_is_shown_with_its_reason_and_harms_nothing(stack: Stack, topic: str) -> None:
    marker = uuid.uuid4().hex
    with watching(stack, topic, "orderview") as seen:
        writer = kafka.producer(stack.settings.kafka, "vandal")
        writer.produce(topic, f'{{"marker": "{marker}"}}'.encode(), key=b"1")
        assert writer.flush(20) == 0
        shown = eventually(lambda: next((r for r in seen if r.get("error")), None), within=60, because="the record is shown")
        after = len(seen)
        eventually(lambda: len(seen) >= after + 5, within=60, because="watch goes on")
    assert shown["error"] == "not Avro: magic byte 0x7b"
    assert shown["hex"].startswith(b'{"marker'.hex())
    assert shown["value"] is None


def test_an_unknown_topic_is_answered_with_those_there_are(stack: Stack) -> None:
    done = stack.kappa("watch", "ordes")
    assert done.returncode == 2
    assert "no topic ordes; did you mean orders?" in done.stderr
    assert "cdc.eCommerce.orders" in done.stderr


def test_a_wrong_expression_is_answered_with_its_place(stack: Stack) -> None:
    done = stack.kappa("watch", "--where", "status = = 1")
    assert done.returncode == 2
    assert "at character 10" in done.stderr


def test_a_reader_that_goes_away_ends_watch_quietly(stack: Stack) -> None:
    command = f"'{LAUNCHER}' watch productview --from-beginning --json | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], env=stack.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_watching_joins_no_group(stack: Stack) -> None:
    admin = AdminClient(kafka.client_config(stack.settings.kafka, "test"))

    def groups() -> set[str]:
        listed = admin.list_consumer_groups(request_timeout=20).result()
        assert not listed.errors
        return {group.group_id for group in listed.valid}

    before = eventually(lambda: (found := groups()) and "counts" in found and found, within=60, because="the counts' group is there")
    with watching(stack, "productview") as seen:
        eventually(lambda: seen, within=60, because="clicks are watched")
        assert groups() <= before
    assert CLIENT not in before


def test_every_topic_that_views_are_rebuilt_from_keeps_everything(stack: Stack) -> None:
    wanted = [topics.Topic(name, 1, topics.KEEP_EVERYTHING) for name in kafka.list_topics(stack.settings.kafka) if name.startswith("cdc")]
    assert len(wanted) >= 5
    kafka.check_topics(stack.settings.kafka, [*wanted, *topics.started_topics()])


def test_capture_says_that_the_connector_runs(stack: Stack) -> None:
    state = eventually(
        lambda: (said := read_state(stack.settings.home, "capture")) and said["state"] == "running" and said, within=60, because="capture runs"
    )
    assert (state["connector"], state["tasks"]) == ("RUNNING", ["RUNNING"])
