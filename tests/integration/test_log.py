"""The log as other clients see it: plain clients of Confluent, and `kappa watch`."""

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

from connectors.kafka import client as kafka
from connectors.kafka.admin import check_topics
from connectors.kafka.client import Watermarks
from connectors.runtime.process_state import read_state
from infra.cli.watch.stream import CLIENT
from schemas import topics
from tests.conftest import LAUNCHER, Stack
from tests.eventually import eventually

Record = dict[str, Any]
WatermarksByPartition = dict[tuple[str, int], Watermarks]


@pytest.fixture(scope="module")
def connections(stack: Stack) -> dict[str, Any]:
    """The connection settings for other clients, by `kappa env`."""
    return dict(json.loads(stack.kappa("env", "--json", check=True).stdout))


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.settings.site.shop_url, timeout=20) as client:
        yield client


def new_order(shop: httpx.Client) -> int:
    """Place an order and return its id."""
    user = shop.get("/users", params={"limit": 1}).json()[0]
    product = shop.get("/products", params={"limit": 1}).json()[0]
    order = {"user_id": user["id"], "product_id": product["product_id"]}
    answer = shop.post("/orders", json=order).raise_for_status()
    return int(answer.json()["order_id"])


@contextmanager
def watching(stack: Stack, *words: str) -> Iterator[list[Record]]:
    """Run `kappa watch --json`, and yield the list that it fills while it prints."""
    command = [str(LAUNCHER), "watch", "--json", *words]
    process = subprocess.Popen(
        command,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    first_line = process.stderr.readline()
    assert first_line.startswith("watching"), first_line
    records: list[Record] = []
    lines = process.stdout

    def collect() -> None:
        records.extend(map(json.loads, lines))

    collector = threading.Thread(target=collect, daemon=True)
    collector.start()
    try:
        yield records
    finally:
        process.terminate()
        process.wait(10)
        collector.join(10)


def last_values(
    connections: dict[str, Any], topic: str, watermarks: WatermarksByPartition, most: int
) -> list[Any]:
    """Return the last Avro values of each partition of a topic, at most so many of each.

    Reads with confluent-kafka's own classes and nothing of this project.
    """
    registry = SchemaRegistryClient({"url": connections["registry"]["url"]})
    decode = AvroDeserializer(registry)
    context = SerializationContext(topic, MessageField.VALUE)
    consumer = Consumer(
        {
            "bootstrap.servers": connections["kafka"]["bootstrap_servers"],
            "group.id": f"plain-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    values = []
    unread = set(watermarks)
    starts = []
    for place, marks in watermarks.items():
        start = max(marks.low, marks.stable - most)
        starts.append(TopicPartition(*place, start))
    try:
        consumer.assign(starts)
        while unread:
            message = consumer.poll(20)
            assert message is not None, f"{topic} gave nothing for 20 seconds"
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                unread.discard((message.topic(), message.partition()))
            elif message.value() and message.value()[0] == 0:
                values.append(decode(message.value(), context))
    finally:
        consumer.close()
    return values


def test_any_confluent_client_reads_clicks(
    stack: Stack, connections: dict[str, Any]
) -> None:
    def watermarks_with_clicks() -> WatermarksByPartition | None:
        watermarks = kafka.offsets(stack.settings.kafka, [topics.PRODUCT_VIEW])
        return watermarks if any(marks.stable for marks in watermarks.values()) else None

    watermarks = eventually(watermarks_with_clicks, within=60, because="there are clicks")
    clicks = last_values(connections, topics.PRODUCT_VIEW, watermarks, 50)
    assert clicks
    for click in clicks:
        assert click["product_id"] > 0
        assert click["viewed_at"].tzinfo


def test_any_confluent_client_reads_changes(
    stack: Stack, connections: dict[str, Any], shop: httpx.Client
) -> None:
    topic = topics.change_topic(stack.settings.mysql.database, "orders")
    order_id = new_order(shop)

    def is_logged() -> bool:
        watermarks = kafka.offsets(stack.settings.kafka, [topic])
        changes = last_values(connections, topic, watermarks, 50)
        inserts = [change["after"] for change in changes if change["op"] == "c"]
        return any(row["order_id"] == order_id for row in inserts)

    assert eventually(is_logged, within=60, because=f"order {order_id} is in {topic}")


def record_of_order(records: list[Record], order_id: int, op: str) -> Record | None:
    """Return the first watched change of an order with that operation, None if there is none."""
    for record in records:
        if record["key"] == {"order_id": order_id} and record["op"] == op:
            return record
    return None


def test_watch_shows_a_delivery_before_and_after(stack: Stack, shop: httpx.Client) -> None:
    with watching(stack, "orders") as records:
        order_id = new_order(shop)
        shop.post(f"/orders/{order_id}/complete").raise_for_status()
        update = eventually(
            lambda: record_of_order(records, order_id, "update"),
            within=60,
            because=f"the delivery of order {order_id} is watched",
        )
    assert update["changed"] == {"status": ["0", "1"]}
    assert update["before"]["status"] == "0"
    assert update["topic"] == topics.change_topic(stack.settings.mysql.database, "orders")
    assert update["gtid"]
    assert update["age_ms"] < 30_000


def test_one_transaction_is_shown_as_a_whole_and_then_watch_ends(
    stack: Stack, shop: httpx.Client
) -> None:
    with watching(stack, "completed_orders") as records:
        order_id = new_order(shop)
        shop.post(f"/orders/{order_id}/complete").raise_for_status()
        insert = eventually(
            lambda: record_of_order(records, order_id, "insert"),
            within=60,
            because=f"order {order_id} is delivered",
        )
    result = stack.kappa(
        "watch", "--gtid", insert["gtid"], "--json", timeout=120, check=True
    )
    changes = set()
    for record in map(json.loads, result.stdout.splitlines()):
        table = record["topic"].rpartition(".")[2]
        changes.add((table, record["op"], record["key"]["order_id"]))
    assert changes == {
        ("orders", "update", order_id),
        ("completed_orders", "insert", order_id),
    }


def test_only_records_that_fulfil_an_expression_are_shown(
    stack: Stack, shop: httpx.Client
) -> None:
    order_id = new_order(shop)
    expression = f"order_id = {order_id} and op = 'insert'"
    words = ["orders", "--from-beginning", "--where", expression, "-n", "1", "--json"]
    result = stack.kappa("watch", *words, timeout=120, check=True)
    row = json.loads(result.stdout)["after"]
    assert (row["order_id"], row["status"]) == (order_id, "0")


@pytest.mark.parametrize("topic", [topics.PRODUCT_VIEW])
def test_a_record_that_is_not_avro_is_shown_with_its_reason_and_harms_nothing(
    stack: Stack, topic: str
) -> None:
    marker = uuid.uuid4().hex
    with watching(stack, topic, "orderview") as records:
        writer = kafka.producer(stack.settings.kafka, "vandal")
        writer.produce(topic, f'{{"marker": "{marker}"}}'.encode(), key=b"1")
        assert writer.flush(20) == 0
        unreadable = eventually(
            lambda: next((record for record in records if record.get("error")), None),
            within=60,
            because="the record is shown",
        )
        count = len(records)
        eventually(lambda: len(records) >= count + 5, within=60, because="watch continues")
    assert unreadable["error"] == "not Avro: magic byte 0x7b"
    assert unreadable["hex"].startswith(b'{"marker'.hex())
    assert unreadable["value"] is None


def test_an_unknown_topic_is_answered_with_the_known_ones(stack: Stack) -> None:
    result = stack.kappa("watch", "ordes")
    assert result.returncode == 2
    assert "no topic ordes; did you mean orders?" in result.stderr
    assert "cdc.eCommerce.orders" in result.stderr


def test_a_wrong_expression_is_answered_with_the_place_of_the_mistake(stack: Stack) -> None:
    result = stack.kappa("watch", "--where", "status = = 1")
    assert result.returncode == 2
    assert "at character 10" in result.stderr


def test_watch_ends_without_an_error_when_its_output_is_closed(stack: Stack) -> None:
    command = f"'{LAUNCHER}' watch productview --from-beginning --json | head -n 1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_watching_joins_no_group(stack: Stack) -> None:
    admin = AdminClient(kafka.client_config(stack.settings.kafka, "test"))

    def groups() -> set[str]:
        answer = admin.list_consumer_groups(request_timeout=20).result()
        assert not answer.errors
        return {group.group_id for group in answer.valid}

    eventually(lambda: "counts" in groups(), within=60, because="the counts' group exists")
    before = groups()
    with watching(stack, "productview") as records:
        eventually(lambda: records, within=60, because="clicks are watched")
        assert groups() <= before
    assert CLIENT not in before


def test_every_topic_that_counts_and_warehouse_are_rebuilt_from_keeps_everything(
    stack: Stack,
) -> None:
    names = kafka.list_topics(stack.settings.kafka)
    change_topics = [name for name in names if name.startswith("cdc")]
    expected_topics = [
        topics.Topic(name, 1, topics.KEEP_EVERYTHING) for name in change_topics
    ]
    assert len(expected_topics) >= 5
    check_topics(stack.settings.kafka, [*expected_topics, *topics.started_topics()])


def test_capture_says_that_the_connector_runs(stack: Stack) -> None:
    def running_state() -> dict[str, Any] | None:
        state = read_state(stack.settings.home, "capture")
        return state if state and state["state"] == "running" else None

    state = eventually(running_state, within=60, because="capture runs")
    assert (state["connector"], state["tasks"]) == ("RUNNING", ["RUNNING"])
