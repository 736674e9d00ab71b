"""Whether the buyer of an order viewed its product within half an hour before.

It is known within seconds, and in the end exactly.
"""

import os
import random
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests

from connectors.cassandra import bootstrap as cassandra_bootstrap
from connectors.cassandra import client as cassandra
from connectors.kafka import admin as kafka_admin
from connectors.kafka import client as kafka
from connectors.kafka.readers.aligned_reader import AlignedBatch, AlignedReader
from connectors.kafka.readers.lookback import Lookback
from connectors.kafka.schema_registry import Decoder, Encoder, SchemaRegistry
from connectors.mysql import client as mysql
from connectors.runtime.process_state import ProcessState, read_state
from connectors.runtime.settings import Settings
from infra.cli.env import active_keyspace
from processors.conversion.decode import decode_orders, decode_views
from processors.conversion.interval_join import Orders, Views
from processors.conversion.join_processor import JoinContext, JoinProcessor
from processors.conversion.progress import ConversionState
from processors.conversion.rows import ConversionRows
from processors.decoding.clicks import ClickDecoder
from processors.decoding.late_clicks import TimeRule
from schemas import count_tables, events, topics
from tests.conftest import Stack
from tests.eventually import eventually
from tests.recount_orders import (
    Ends,
    assert_conversions_agree_with_the_topics,
    compare,
    rule_of,
    topics_of,
)

FIGURES = ("orders", "converted", "orders_sought_in_the_log", "views_sought_in_cassandra")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Buyer:
    """A new user and a new product: only this user views and orders it."""

    def __init__(self, stack: Stack) -> None:
        self.settings = stack.settings
        self.shop = stack.settings.site.shop_url
        product = {"category": "books", "name": f"Conversion {random.random()}"}
        self.product = self._post("/products", product)["product_id"]
        user = {"name": "Ada", "address": "1 Main Street"}
        self.user = self._post("/users", user)["id"]
        registry = SchemaRegistry(self.settings.registry.url)
        subject = events.value_subject(topics.PRODUCT_VIEW)
        contract = events.CONTRACTS[topics.PRODUCT_VIEW]
        self.encoder = Encoder(registry, subject, contract)
        self.producer = kafka.producer(self.settings.kafka, "buyer")

    def look(
        self, at: datetime, product: int | None = None, user: int | None = None
    ) -> None:
        """View a product at a time. Kafka has the view when this returns."""
        subject = product or self.product
        click = {
            "event_id": str(uuid.uuid4()),
            "user_id": user or self.user,
            "product_id": subject,
            "source": "web",
            "viewed_at": at,
        }
        value = self.encoder.encode(click)
        self.producer.produce(topics.PRODUCT_VIEW, key=str(subject).encode(), value=value)
        assert self.producer.flush(10) == 0

    def order(self) -> int:
        """Order the product now and return the order's id."""
        order = {"user_id": self.user, "product_id": self.product}
        return int(self._post("/orders", order)["order_id"])

    def order_at(self, at: datetime) -> int:
        """Insert an order of another time, as a nightly import might, and return its id."""
        settings = self.settings
        sql = "INSERT INTO orders (user_id, product_id, orderedAt) VALUES (%s, %s, %s)"
        values = (self.user, self.product, at.replace(microsecond=0))
        login = settings.login("mysql.shop")
        with mysql.connect(settings.mysql, login, settings.mysql.database) as connection:
            return connection.execute(sql, values).inserted_id

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, int]:
        answer = requests.post(self.shop + path, json=body, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())


class Conversions:
    """The conversions that a reader sees in Cassandra."""

    def __init__(self, session: cassandra.Session) -> None:
        self.session = session

    def of(self, product: int) -> dict[int, int]:
        """Return 1 for each converted order of a product and 0 for the others, by order id."""
        cql = "SELECT order_id, converted FROM conversion_by_minute WHERE product_id = %s"
        return dict(self.session.execute(cql, [product]).rows)

    def by_minute(self, product: int) -> list[tuple[int, int]]:
        """Return the orders and conversions of each minute, the newest first."""
        cql = (
            "SELECT count(*), sum(converted) FROM conversion_by_minute WHERE product_id = %s "
            "GROUP BY minute"
        )
        rows = self.session.execute(cql, [product]).rows
        return [(orders, converted_orders) for orders, converted_orders in rows]


@pytest.fixture
def buyer(stack: Stack) -> Buyer:
    return Buyer(stack)


@pytest.fixture(scope="module")
def conversions(stack: Stack) -> Iterator[Conversions]:
    settings = stack.settings
    login = settings.login("cassandra.reader")
    with cassandra.connect(settings.cassandra, login, active_keyspace(settings)) as session:
        yield Conversions(session)


def now() -> datetime:
    return datetime.now(UTC)


def assert_conversions(
    conversions: Conversions, buyer: Buyer, expected: dict[int, int]
) -> None:
    """Fail unless the buyer's orders are converted (1) or not (0) as expected, in 30 seconds."""
    assert eventually(
        lambda: conversions.of(buyer.product) == expected,
        within=30,
        because=f"the orders of product {buyer.product} are {expected}",
    )


def test_an_order_after_a_view_is_converted_within_seconds(
    buyer: Buyer, conversions: Conversions
) -> None:
    seconds = []
    expected = {}
    for _ in range(5):
        buyer.look(now())
        begin = time.monotonic()
        order = buyer.order()
        expected[order] = 1
        assert_conversions(conversions, buyer, expected)
        seconds.append(time.monotonic() - begin)
    median = statistics.median(seconds)
    slowest = max(seconds)
    print(
        f"order to Cassandra: median {median * 1e3:.0f} ms, slowest {slowest * 1e3:.0f} ms"
    )
    assert median < 5
    by_minute = conversions.by_minute(buyer.product)
    assert sum(orders for orders, _ in by_minute) == 5
    assert sum(converted_orders for _, converted_orders in by_minute) == 5


def test_an_order_without_a_view_is_not_converted(
    buyer: Buyer, conversions: Conversions
) -> None:
    buyer.look(now(), user=buyer.user + 1)
    buyer.look(now(), product=buyer.product + 10**9)
    buyer.look(now() - 31 * MINUTE)
    order = buyer.order()
    assert_conversions(conversions, buyer, {order: 0})


def test_a_view_that_arrives_after_the_order_it_preceded_converts_it(
    buyer: Buyer, conversions: Conversions
) -> None:
    order = buyer.order()
    assert_conversions(conversions, buyer, {order: 0})
    buyer.look(now() + 5 * MINUTE)
    buyer.look(now() - 2 * MINUTE)
    assert_conversions(conversions, buyer, {order: 1})


def test_an_order_imported_hours_later_is_joined_with_the_view_of_its_time(
    stack: Stack, buyer: Buyer, conversions: Conversions
) -> None:
    lookups = figure(stack, "orders_sought_in_the_log")
    at = now() - 5 * HOUR
    buyer.look(at - 10 * MINUTE)
    order_after_view = buyer.order_at(at)
    order_without_view = buyer.order_at(at - HOUR)
    assert_conversions(conversions, buyer, {order_after_view: 1, order_without_view: 0})
    eventually(
        lambda: figure(stack, "orders_sought_in_the_log") >= lookups + 2,
        within=10,
        because="their views are read from the log, not from memory",
    )


def test_a_cancelled_order_stays_an_order_that_was_placed(
    buyer: Buyer, conversions: Conversions
) -> None:
    buyer.look(now())
    completed_order = buyer.order()
    cancelled_order = buyer.order()
    orders = f"{buyer.shop}/orders"
    requests.delete(f"{orders}/{cancelled_order}", timeout=10).raise_for_status()
    requests.post(f"{orders}/{completed_order}/complete", timeout=10).raise_for_status()
    last_order = buyer.order()
    expected = dict.fromkeys((completed_order, cancelled_order, last_order), 1)
    assert_conversions(conversions, buyer, expected)


def test_after_a_kill_of_the_process_all_orders_are_as_the_topics_say(
    stack: Stack, buyer: Buyer, conversions: Conversions
) -> None:
    process = figure(stack, "pid")
    buyers = [buyer, *(Buyer(stack) for _ in range(4))]
    for number in range(40):
        if number == 20:
            os.kill(process, signal.SIGKILL)
        random_buyer = random.choice(buyers)
        actions: list[Callable[[], object]] = [
            random_buyer.order,
            partial(random_buyer.look, now()),
            partial(random_buyer.look, now() - 20 * MINUTE),
        ]
        random.choice(actions)()
    eventually(
        lambda: not psutil.pid_exists(process) or figure(stack, "pid") != process,
        within=60,
        because="the process was killed",
    )
    assert assert_conversions_agree_with_the_topics(stack.settings) > 20


def test_with_hardly_any_memory_the_answers_are_the_same(
    stack: Stack, tmp_path: Path
) -> None:
    with scratch_keyspace(stack.settings) as keyspace:
        state, ends = convert_everything(stack.settings, keyspace, tmp_path)
        figures = {name: state[name] for name in FIGURES}
        print(figures)
        assert all(figures.values()), figures
        assert compare(stack.settings, keyspace, ends) > 0


def test_a_conversion_is_never_overwritten(stack: Stack) -> None:
    order = Orders(*np.array([[1], [2], [3], [1_772_366_400_000]], np.int64))
    view = Views(*np.array([[2], [3], [1_772_366_400_000]], np.int64))
    with (
        scratch_keyspace(stack.settings) as keyspace,
        counts_session(stack.settings) as session,
    ):
        rows = ConversionRows(session, keyspace, 1)
        rows.write_orders(order, np.array([False]))
        assert rows.read_open_orders(view).order.tolist() == [1]
        for converted in (True, False):
            rows.write_orders(order, np.array([converted]))
            assert len(rows.read_open_orders(view)) == 0
        ConversionRows(session, keyspace, 2).write_orders(order, np.array([False]))
        assert rows.read_open_orders(view).order.tolist() == [1]


def figure(stack: Stack, name: str) -> int:
    """Return a figure that the process last reported. Raises KeyError."""
    state = read_state(stack.settings.home, "conversion") or {}
    return int(state[name])


@contextmanager
def counts_session(settings: Settings) -> Iterator[cassandra.Session]:
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.counts")
    ) as session:
        yield session


@contextmanager
def scratch_keyspace(settings: Settings) -> Iterator[str]:
    """Yield a keyspace with the table of conversions, and drop it afterwards."""
    keyspace = f"conversion_test_{uuid.uuid4().hex[:8]}"
    table = f"{keyspace}.{count_tables.CONVERSION.name}"
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.admin")
    ) as session:
        create = cassandra_bootstrap.create_keyspace(settings.cassandra, keyspace)
        session.change_schema(create)
        session.change_schema(count_tables.create_table(count_tables.CONVERSION, keyspace))
        for role, right in (
            ("counts", "SELECT"),
            ("counts", "MODIFY"),
            ("reader", "SELECT"),
        ):
            session.execute(f"GRANT {right} ON TABLE {table} TO {role}")
        try:
            yield keyspace
        finally:
            session.change_schema(f"DROP KEYSPACE {keyspace}")


def convert_everything(
    settings: Settings, keyspace: str, home: Path
) -> tuple[dict[str, Any], Ends]:
    """Join all records of both topics, with memory for a few views and orders only.

    Returns the reported state, and the ends of the topics that were reached.
    """
    order_topic, view_topic = topics_of(settings)
    group = f"conversion-test-{uuid.uuid4()}"
    reader = AlignedReader(
        settings.kafka, "conversion-test", group, (order_topic, view_topic)
    )
    state = ConversionState(ProcessState(home, "conversion", every_seconds=0))
    registry = SchemaRegistry(settings.registry.url)
    horizon_ms, ahead_ms = (
        limit // timedelta(milliseconds=1) for limit in rule_of(settings)
    )
    clicks = ClickDecoder(registry, "product_id", TimeRule(horizon_ms, ahead_ms))
    with counts_session(settings) as session:
        context = JoinContext(
            reader=reader,
            past=Lookback(settings.kafka, "conversion-test"),
            open_rows=lambda: ConversionRows(session, keyspace, 1),
            decode_views=partial(decode_views, decoder=clicks, starts={}),
            decode_orders=partial(decode_orders, decoder=Decoder(registry)),
            view_topic=view_topic,
            order_topic=order_topic,
            ahead_ms=ahead_ms,
            state=state,
            stopping=threading.Event(),
            max_views=100,
            max_orders=20,
        )
        processor = JoinProcessor(context)
        ends: Ends = {}
        while not is_processed(processor, ends):
            for batch in reader.read(500, 1.0):
                assert isinstance(batch, AlignedBatch)
                processor.process_batch(batch)
            ends = dict(reader.ends())
    reader.close()
    kafka_admin.delete_groups(settings.kafka, [group])
    state.report({}, {})
    return read_state(home, "conversion") or {}, ends


def is_processed(processor: JoinProcessor, ends: Ends) -> bool:
    """Return whether everything before these ends is processed; False if none are known yet."""
    next_offsets = processor.next_offsets
    return bool(ends) and all(
        next_offsets.get(place, 0) >= end for place, end in ends.items()
    )
