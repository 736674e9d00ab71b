"""Clicks become counts in Cassandra, exactly, also when processes fail."""

import os
import random
import signal
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from connectors.cassandra import client as cassandra
from connectors.kafka import client as kafka
from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.cli.env import active_keyspace
from schemas import events, topics
from tests.conftest import Stack
from tests.eventually import eventually
from tests.recount import assert_cassandra_agrees_with_the_topics, live_group

LONG_AGO = timedelta(days=3)
VIEWS_BY_WINDOW = (
    "SELECT created_at, sum(view_count) FROM product_view "
    "WHERE product_id = %s GROUP BY created_at"
)


LettersOf = Callable[[Message], list[Message]]


class Shoppers:
    """View new products, so that a test knows their counts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.producer = kafka.producer(settings.kafka, "shoppers")
        self.encoder = Encoder(
            SchemaRegistry(settings.registry.url),
            events.value_subject(topics.PRODUCT_VIEW),
            events.CONTRACTS[topics.PRODUCT_VIEW],
        )

    def new_product(self) -> int:
        return random.randrange(10**12, 10**15)

    def look_at(self, product: int, at: datetime | None = None, times: int = 1) -> None:
        for _ in range(times):
            click = {
                "event_id": str(random.random()),
                "user_id": 1,
                "product_id": product,
                "source": "web",
            }
            value = self.encoder.encode(click | {"viewed_at": at or datetime.now(UTC)})
            self.producer.produce(
                topics.PRODUCT_VIEW, key=str(product).encode(), value=value
            )
        assert self.producer.flush(10) == 0

    def write_nonsense(self, value: bytes) -> Message:
        """Write a value that is no click, and return the message with its position."""
        delivered_messages: list[Message] = []
        self.producer.produce(
            topics.PRODUCT_VIEW,
            value=value,
            headers=[("trace", b"abc")],
            on_delivery=lambda _, message: delivered_messages.append(message),
        )
        assert self.producer.flush(10) == 0
        return delivered_messages[0]


class Counts:
    """The counts that a reader sees in Cassandra."""

    def __init__(self, session: cassandra.Session) -> None:
        self.session = session

    def windows(self, product: int) -> dict[datetime, int]:
        """Return the views of a product by the start of their window."""
        rows = self.session.execute(VIEWS_BY_WINDOW, [product]).rows
        return {at.replace(tzinfo=UTC): views for at, views in rows}

    def views(self, product: int) -> int:
        return sum(self.windows(product).values())


@pytest.fixture(scope="module")
def shoppers(stack: Stack) -> Shoppers:
    return Shoppers(stack.settings)


@pytest.fixture(scope="module")
def counts(stack: Stack) -> Iterator[Counts]:
    settings = stack.settings
    login = settings.login("cassandra.reader")
    with cassandra.connect(settings.cassandra, login, active_keyspace(settings)) as session:
        yield Counts(session)


def test_every_click_is_counted_once(stack: Stack, shoppers: Shoppers) -> None:
    for _ in range(50):
        shoppers.look_at(shoppers.new_product(), times=20)
    assert assert_cassandra_agrees_with_the_topics(stack.settings) >= 1000


def test_a_click_is_in_cassandra_within_a_second(
    shoppers: Shoppers, counts: Counts
) -> None:
    seconds = []
    for _ in range(100):
        product = shoppers.new_product()
        begin = time.monotonic()
        shoppers.look_at(product)
        while counts.views(product) != 1:
            assert time.monotonic() - begin < 10, f"the click on {product} is not counted"
        seconds.append(time.monotonic() - begin)
    median = statistics.median(seconds)
    slowest = max(seconds)
    print(
        f"click to Cassandra: median {median * 1e3:.0f} ms, slowest {slowest * 1e3:.0f} ms"
    )
    assert median < 1


def test_a_late_click_counts_in_its_own_window(shoppers: Shoppers, counts: Counts) -> None:
    product = shoppers.new_product()
    now = datetime.now(UTC).replace(second=7, microsecond=0)
    shoppers.look_at(product, at=now)
    shoppers.look_at(product, at=now - LONG_AGO, times=2)
    window = now.replace(second=0)
    expected = {window: 1, window - LONG_AGO: 2}
    eventually(
        lambda: counts.windows(product) == expected,
        within=10,
        because="each click is in the window in which it happened",
    )


def test_a_record_that_is_no_click_is_set_aside_and_counting_continues(
    stack: Stack, shoppers: Shoppers, counts: Counts
) -> None:
    nonsense = [
        shoppers.write_nonsense(b'{"product_id": 7}'),
        shoppers.write_nonsense(b"\0\0\x7f\xff\xff body"),
        shoppers.write_nonsense(b""),
    ]
    product = shoppers.new_product()
    shoppers.look_at(product)
    eventually(
        lambda: counts.views(product) == 1,
        within=10,
        because="a click after the nonsense is counted",
    )
    with _dead_letters(stack.settings) as letters_of:
        for message in nonsense:
            _assert_dead_letter(letters_of, message)
    eventually(
        lambda: _state(stack)["dead"]["productview"] >= 3,
        within=10,
        because="the state counts what was set aside",
    )
    assert_cassandra_agrees_with_the_topics(stack.settings)


def test_a_worker_that_lost_its_partitions_and_reads_all_again_doubles_nothing(
    stack: Stack, shoppers: Shoppers
) -> None:
    shoppers.look_at(shoppers.new_product(), times=10)
    assert_cassandra_agrees_with_the_topics(stack.settings)
    repeated = _state(stack)["repeated"]
    worker = _state(stack)["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        _rewind_the_group(stack.settings)
    finally:
        os.kill(worker, signal.SIGCONT)
    shoppers.look_at(shoppers.new_product(), times=10)
    eventually(
        lambda: _state(stack)["repeated"] >= repeated + 10,
        within=60,
        because="the worker reads what it had counted",
    )
    assert_cassandra_agrees_with_the_topics(stack.settings)


def test_the_worker_after_a_killed_one_counts_on_from_where_that_was(
    stack: Stack, shoppers: Shoppers, counts: Counts
) -> None:
    worker = _state(stack)["pid"]
    product = shoppers.new_product()
    shoppers.look_at(product, times=500)
    os.kill(worker, signal.SIGKILL)
    shoppers.look_at(product, times=500)
    eventually(
        lambda: counts.views(product) == 1000,
        within=60,
        because="the next worker counts the rest",
    )
    assert _state(stack)["pid"] != worker
    assert_cassandra_agrees_with_the_topics(stack.settings)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM clicks",
        "SELECT clicks FROM product_view",
        "SELEC 1",
        "DELETE FROM product_view WHERE product_id = 1",
    ],
)
def test_a_wrong_statement_is_answered_with_the_tables(
    stack: Stack, statement: str
) -> None:
    result = stack.kappa("query", "cassandra", statement)
    assert result.returncode == 1
    assert result.stderr.startswith("error: Cassandra refused: ")
    assert "product_view(" in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_live_counts_come_as_json_and_csv(
    stack: Stack, shoppers: Shoppers, counts: Counts
) -> None:
    product = shoppers.new_product()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    yesterday = yesterday.replace(hour=3, minute=4, second=5, microsecond=0)
    shoppers.look_at(product, at=yesterday, times=3)
    eventually(
        lambda: counts.views(product) == 3, within=10, because="three views are counted"
    )
    cql = f"SELECT created_at, view_count FROM product_view WHERE product_id = {product}"
    window = f"{yesterday:%Y-%m-%dT%H:%M}:00Z"
    csv = stack.kappa("query", "cassandra", "--csv", cql, check=True).stdout
    assert csv == f"created_at,view_count\n{window},3\n"
    json = stack.kappa(
        "query", "cassandra", "--json", "-", stdin=f"{cql};", check=True
    ).stdout
    assert json == f'[{{"created_at": "{window}", "view_count": 3}}]\n'


def _assert_dead_letter(letters_of: LettersOf, message: Message) -> None:
    """Fail unless a message comes into the topic of dead letters, with its position and reason."""
    letter = eventually(
        lambda: letters_of(message), within=20, because="the nonsense is set aside"
    )[0]
    assert letter.value() == message.value()
    headers = dict(letter.headers())
    assert headers["trace"] == b"abc"
    assert headers["topic"] == b"productview"
    assert headers["partition"] == str(message.partition()).encode()
    assert b"Avro" in headers["reason"] or b"schema id" in headers["reason"]


@contextmanager
def _dead_letters(settings: Settings) -> Iterator[LettersOf]:
    """A function that returns the dead letters of a message so far, by its position."""
    letters: dict[tuple[bytes, bytes], list[Message]] = defaultdict(list)
    reader = kafka.reader(settings.kafka, "dead-letters-test")
    reader.assign([TopicPartition(topics.dead_topic(topics.PRODUCT_VIEW), 0, 0)])

    def letters_of(message: Message) -> list[Message]:
        for letter in reader.consume(100, 0.2):
            headers = dict(letter.headers())
            letters[headers["partition"], headers["offset"]].append(letter)
        partition = str(message.partition()).encode()
        offset = str(message.offset()).encode()
        return letters[partition, offset]

    try:
        yield letters_of
    finally:
        reader.close()


def _rewind_the_group(settings: Settings) -> None:
    """Set the group's offsets to the start of the log, once Kafka has given its member up."""
    admin = AdminClient(kafka.client_config(settings.kafka, "rewind"))
    group = live_group(settings)

    def is_empty() -> bool:
        description = admin.describe_consumer_groups([group])[group].result()
        return bool(description.state == ConsumerGroupState.EMPTY)

    eventually(is_empty, within=30, because="Kafka gives the stopped worker up")
    partitions = kafka.offsets(settings.kafka, topics.CLICK_TOPICS)
    start = [TopicPartition(topic, partition, 0) for topic, partition in partitions]
    offsets = ConsumerGroupTopicPartitions(group, start)
    admin.alter_consumer_group_offsets([offsets])[group].result()


def _state(stack: Stack) -> dict[str, Any]:
    """Return what the worker last reported."""
    state = read_state(stack.settings.home, "counts")
    assert state is not None
    return state
