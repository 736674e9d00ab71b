"""Of every order it is known at once, and in the end exactly, whether its buyer had looked at the product within half an hour before."""

import os
import random
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests

from connectors import cassandra, cassandra_setup, kafka, kafka_admin, mysql
from connectors.kafka_log import LogBatch, LogReader
from connectors.kafka_past import Past
from connectors.registry import Decoder, Encoder, SchemaRegistry
from infra.env import active_keyspace
from infra.settings import Settings
from infra.state import ProcessState, read_state
from processors.clicks import ClickDecoder, TimeRule
from processors.conversion_records import placed_by, views_of
from processors.conversion_rows import ConversionRows
from processors.conversion_state import ConversionState
from processors.converter import Converter, Surroundings
from processors.join import Orders, Views
from schemas import events, topics, views
from tests.conftest import Stack
from tests.eventually import eventually
from tests.recount_orders import assert_conversions_agree_with_the_topics, compare, rule_of, topics_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Buyer:
    """Somebody new, who looks at a new product and orders it; nobody else knows of the two."""

    def __init__(self, stack: Stack) -> None:
        self.settings = stack.settings
        self.shop = stack.settings.site.shop_url
        self.product = self._post("/products", {"category": "books", "name": f"Conversion {random.random()}"})["product_id"]
        self.user = self._post("/users", {"name": "Ada", "address": "1 Main Street"})["id"]
        contract = events.CONTRACTS[topics.PRODUCT_VIEW]
        self.encoder = Encoder(SchemaRegistry(self.settings.registry.url), events.value_subject(topics.PRODUCT_VIEW), contract)
        self.producer = kafka.producer(self.settings.kafka, "buyer")

    def look(self, at: datetime, product: int | None = None, user: int | None = None) -> None:
        """Looks at a time; Kafka has the view when this returns."""
        subject = product or self.product
        click = {"event_id": str(uuid.uuid4()), "user_id": user or self.user, "product_id": subject, "source": "web", "viewed_at": at}
        self.producer.produce(topics.PRODUCT_VIEW, key=str(subject).encode(), value=self.encoder.encode(click))
        assert self.producer.flush(10) == 0

    def order(self) -> int:
        """Orders now; the order's id."""
        return int(self._post("/orders", {"user_id": self.user, "product_id": self.product})["order_id"])

    def order_at(self, at: datetime) -> int:
        """An order of another time, as a nightly import might bring it."""
        with mysql.connect(self.settings.mysql, self.settings.login("mysql.shop"), self.settings.mysql.database) as connection:
            statement = "INSERT INTO orders (user_id, product_id, orderedAt) VALUES (%s, %s, %s)"
            return connection.execute(statement, (self.user, self.product, at.replace(microsecond=0))).inserted_id

    def _post(self, path: str, body: dict[str, object]) -> dict[str, int]:
        answer = requests.post(self.shop + path, json=body, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())


class Conversions:
    """What a reader finds in Cassandra."""

    def __init__(self, session: cassandra.Session) -> None:
        self.session = session

    def of(self, product: int) -> dict[int, int]:
        """By order whether it is converted."""
        return dict(self.session.execute("SELECT order_id, converted FROM conversion_by_minute WHERE product_id = %s", [product]).rows)

    def by_minute(self, product: int) -> list[tuple[int, int]]:
        """Orders and conversions of each minute, the newest first."""
        asked = "SELECT count(*), sum(converted) FROM conversion_by_minute WHERE product_id = %s GROUP BY minute"
        return [tuple(row) for row in self.session.execute(asked, [product]).rows]  # type: ignore[misc]


@pytest.fixture
def buyer(stack: Stack) -> Buyer:
    return Buyer(stack)


@pytest.fixture(scope="module")
def conversions(stack: Stack) -> Iterator[Conversions]:
    settings = stack.settings
    with cassandra.connect(settings.cassandra, settings.login("cassandra.reader"), active_keyspace(settings)) as session:
        yield Conversions(session)


def now() -> datetime:
    return datetime.now(UTC)


def becomes(conversions: Conversions, buyer: Buyer, expected: dict[int, int], within: float = 30) -> None:
    eventually(lambda: conversions.of(buyer.product) == expected, within=within, because=f"the orders of product {buyer.product} are {expected}")


def test_an_order_after_a_look_is_converted_within_seconds(buyer: Buyer, conversions: Conversions) -> None:
    seconds, expected = [], {}
    for _ in range(5):
        buyer.look(now())
        begin, order = time.monotonic(), buyer.order()
        expected[order] = 1
        becomes(conversions, buyer, expected)
        seconds.append(time.monotonic() - begin)
    print(f"order to Cassandra: median {statistics.median(seconds) * 1e3:.0f} ms, slowest {max(seconds) * 1e3:.0f} ms")
    assert statistics.median(seconds) < 5
    by_minute = conversions.by_minute(buyer.product)
    assert (sum(orders for orders, _ in by_minute), sum(converted for _, converted in by_minute)) == (5, 5)


def test_an_order_without_a_look_is_not_converted(buyer: Buyer, conversions: Conversions) -> None:
    buyer.look(now(), user=buyer.user + 1)
    buyer.look(now(), product=buyer.product + 10**9)
    buyer.look(now() - 31 * MINUTE)
    order = buyer.order()
    becomes(conversions, buyer, {order: 0})


def test_a_look_that_arrives_after_the_order_it_preceded_converts_it(buyer: Buyer, conversions: Conversions) -> None:
    order = buyer.order()
    becomes(conversions, buyer, {order: 0})
    buyer.look(now() + 5 * MINUTE)
    buyer.look(now() - 2 * MINUTE)
    becomes(conversions, buyer, {order: 1})


def test_an_order_imported_hours_later_finds_the_look_of_then(stack: Stack, buyer: Buyer, conversions: Conversions) -> None:
    sought = figure(stack, "orders_sought_in_the_log")
    at = now() - 5 * HOUR
    buyer.look(at - 10 * MINUTE)
    preceded, unpreceded = buyer.order_at(at), buyer.order_at(at - HOUR)
    becomes(conversions, buyer, {preceded: 1, unpreceded: 0})
    eventually(lambda: figure(stack, "orders_sought_in_the_log") >= sought + 2, within=10, because="they are sought in the log, not in memory")


def test_a_cancelled_order_stays_an_order_that_was_placed(buyer: Buyer, conversions: Conversions) -> None:
    buyer.look(now())
    kept, cancelled = buyer.order(), buyer.order()
    requests.delete(f"{buyer.shop}/orders/{cancelled}", timeout=10).raise_for_status()
    requests.post(f"{buyer.shop}/orders/{kept}/complete", timeout=10).raise_for_status()
    marker = buyer.order()
    becomes(conversions, buyer, {kept: 1, cancelled: 1, marker: 1})


def test_a_killed_process_goes_on_and_all_orders_are_as_the_topics_say(stack: Stack, buyer: Buyer, conversions: Conversions) -> None:
    process = figure(stack, "pid")
    others = [Buyer(stack) for _ in range(4)]
    for number in range(40):
        if number == 20:
            os.kill(process, signal.SIGKILL)
        somebody = random.choice([buyer, *others])
        random.choice([somebody.order, partial(somebody.look, now()), partial(somebody.look, now() - 20 * MINUTE)])()
    eventually(lambda: not psutil.pid_exists(process) or figure(stack, "pid") != process, within=60, because="the process was killed")
    assert assert_conversions_agree_with_the_topics(stack.settings) > 20


def test_with_hardly_any_memory_the_answers_are_the_same(stack: Stack, tmp_path: Path) -> None:
    with scratch_keyspace(stack.settings) as keyspace:
        state = convert_everything(stack.settings, keyspace, tmp_path)
        sought = {name: state[name] for name in ("orders", "converted", "orders_sought_in_the_log", "views_sought_in_cassandra")}
        print(sought)
        assert all(sought.values()), sought
        compare(stack.settings, keyspace, state["ends"])


def test_a_conversion_stays_whatever_is_written_after_it(stack: Stack) -> None:
    order = Orders(*np.array([[1], [2], [3], [1_772_366_400_000]], np.int64))
    look = Views(*np.array([[2], [3], [1_772_366_400_000]], np.int64))
    with scratch_keyspace(stack.settings) as keyspace, counts_session(stack.settings) as session:
        rows = ConversionRows(session, keyspace, 1)
        rows.write(order, np.array([False]))
        assert rows.open_orders(look).order.tolist() == [1]
        for converted in (True, False):
            rows.write(order, np.array([converted]))
            assert len(rows.open_orders(look)) == 0
        ConversionRows(session, keyspace, 2).write(order, np.array([False]))
        assert rows.open_orders(look).order.tolist() == [1]


def figure(stack: Stack, name: str) -> int:
    """A figure of the process's state."""
    return int((read_state(stack.settings.home, "conversion") or {})[name])


@contextmanager
def counts_session(settings: Settings) -> Iterator[cassandra.Session]:
    with cassandra.connect(settings.cassandra, settings.login("cassandra.counts")) as session:
        yield session


@contextmanager
def scratch_keyspace(settings: Settings) -> Iterator[str]:
    """A keyspace with the tables of a generation, for a while."""
    keyspace = f"conversion_test_{uuid.uuid4().hex[:8]}"
    with cassandra.connect(settings.cassandra, settings.login("cassandra.admin")) as session:
        session.execute(cassandra_setup.create_keyspace(settings.cassandra, keyspace))
        session.execute(views.create_table(views.CONVERSION, keyspace))
        for role, right in (("counts", "SELECT"), ("counts", "MODIFY"), ("reader", "SELECT")):
            session.execute(f"GRANT {right} ON TABLE {keyspace}.{views.CONVERSION.name} TO {role}")
        try:
            yield keyspace
        finally:
            session.execute(f"DROP KEYSPACE {keyspace}")


def convert_everything(settings: Settings, keyspace: str, home: Path) -> dict[str, Any]:
    """Converts from the first record to the last with memory for a few views and orders; the state at the end, and the ends reached."""
    names = order_topic, _ = topics_of(settings)
    group = f"conversion-test-{uuid.uuid4()}"
    reader = LogReader(settings.kafka, "conversion-test", group, names)
    state = ConversionState(ProcessState(home, "conversion", every_seconds=0))
    registry, rule = SchemaRegistry(settings.registry.url), rule_of(settings)
    clicks = ClickDecoder(registry, "product_id", TimeRule(*(limit // timedelta(milliseconds=1) for limit in rule)))
    with counts_session(settings) as session:
        around = Surroundings(
            reader, Past(settings.kafka, "conversion-test"), lambda: ConversionRows(session, keyspace, 1),
            partial(views_of, decoder=clicks, starts={}), partial(placed_by, decoder=Decoder(registry)),
            topics.PRODUCT_VIEW, order_topic, rule[1] // timedelta(milliseconds=1), state, threading.Event(),
        )  # fmt: skip
        converter = Converter(replace(around, most_views=100, most_orders=20))
        while not (ends := reader.ends()) or any(converter._handled.get(place, 0) < end for place, end in ends.items()):
            for batch in reader.read(500, 1.0):
                assert isinstance(batch, LogBatch)
                converter.handle(batch)
    reader.close()
    kafka_admin.delete_groups(settings.kafka, [group])
    state.report({}, {})
    return {**(read_state(home, "conversion") or {}), "ends": ends}
