"""`kappa verify counts` says equal while traffic runs, and names exactly the spoilt row."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.kafka import client as kafka
from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.runtime.settings import Settings
from connectors.shop_client import ShopApi
from schemas import count_tables, events, topics
from tests.conftest import Stack
from tests.eventually import eventually
from tests.recount import assert_cassandra_agrees_with_the_topics

PARTITION = 1
WINDOW_SECONDS = {"created_at": 10, "minute": 60, "hour": 3600}
Row = dict[str, Any]
Change = Callable[[Row], Row | None]


@dataclass(frozen=True)
class ViewedThings:
    """Products and an order that only this test views, in windows without other views."""

    product: int
    other_product: int
    order: int
    at: datetime

    def key(self, view: count_tables.View) -> Row:
        """Return the primary key of the row of `product` or `order` in a view of the counts."""
        values: Row = {
            "product_id": self.product,
            "order_id": self.order,
            "kafka_partition": PARTITION,
        }
        for name, seconds in WINDOW_SECONDS.items():
            seconds_into_window = int(self.at.timestamp()) % seconds
            values[name] = self.at - timedelta(seconds=seconds_into_window)
        return {column.name: values[column.name] for column in view.key}


def look(
    settings: Settings, topic: str, subjects: list[int], at: datetime, users: list[int]
) -> None:
    """Write a click of each user on each subject."""
    producer = kafka.producer(settings.kafka, "shoppers")
    registry = SchemaRegistry(settings.registry.url)
    encoder = Encoder(registry, events.value_subject(topic), events.CONTRACTS[topic])
    for subject in subjects:
        for user in users:
            click = {
                "event_id": str(random.random()),
                "user_id": user,
                events.SUBJECT_ID[topic]: subject,
                "source": "web",
                "viewed_at": at,
            }
            producer.produce(topic, encoder.encode(click), str(subject).encode(), PARTITION)
    assert producer.flush(10) == 0


@pytest.fixture(scope="module")
def viewed(stack: Stack) -> ViewedThings:
    age = timedelta(days=2, seconds=random.randrange(80_000))
    start = datetime.now(UTC).replace(microsecond=0) - age
    product, other_product, order = (random.randrange(10**12, 10**15) for _ in range(3))
    settings = stack.settings
    look(settings, topics.PRODUCT_VIEW, [product, other_product], start, users=[1, 2])
    look(settings, topics.PRODUCT_VIEW, [product], start, users=[3])
    look(settings, topics.ORDER_VIEW, [order], start, users=[1, 1])
    assert assert_cassandra_agrees_with_the_topics(settings) >= 7
    return ViewedThings(product, other_product, order, start)


class Spoiler:
    """Changes rows of the counts, with the rights of the administrator."""

    def __init__(self, session: cassandra.Session, keyspace: str) -> None:
        self.session = session
        self.keyspace = keyspace

    def row(self, view: count_tables.View, key: Row) -> tuple[Row | None, int]:
        """Return a row, None if it does not exist, and its write time in microseconds."""
        names = [column.name for column in view.columns]
        columns = f"{', '.join(names)}, writetime({view.values[0].name})"
        cql = f"SELECT {columns} FROM {self.keyspace}.{view.name} WHERE {_where(key)}"
        rows = self.session.execute(cql, list(key.values())).rows
        if not rows:
            return None, 1
        *values, written_at = rows[0]
        return dict(zip(names, values, strict=True)), int(written_at)

    def write(self, view: count_tables.View, key: Row, row: Row | None, at: int) -> None:
        """Write a row with a write time in microseconds, or delete it if it is None."""
        if row is None:
            table = f"{self.keyspace}.{view.name}"
            cql = f"DELETE FROM {table} USING TIMESTAMP {at} WHERE {_where(key)}"
            self.session.execute(cql, list(key.values()))
        else:
            upsert = self.session.prepare(count_tables.upsert(view, self.keyspace))
            values = [row[column.name] for column in view.columns]
            self.session.execute_each(upsert, [[*values, at]])

    @contextmanager
    def spoilt(self, view: count_tables.View, key: Row, change: Change) -> Iterator[None]:
        """Change a row by a later write within the block, and write it back afterwards."""
        row, written_at = self.row(view, key)
        self.write(view, key, change(row or {}), written_at + 1)
        try:
            yield
        finally:
            self.write(view, key, row, written_at + 2)


def _where(key: Row) -> str:
    return " AND ".join(f"{name} = %s" for name in key)


@pytest.fixture(scope="module")
def spoiler(stack: Stack) -> Iterator[Spoiler]:
    settings = stack.settings
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.admin")
    ) as session:
        generation = generations.active(session, settings.cassandra.keyspace)
        yield Spoiler(session, generation.keyspace)


def assert_differing(stack: Stack, count: int) -> dict[str, Any]:
    """Return the report of `kappa verify counts`. Fail unless so many rows differ in it.

    The exit code must be 1 if any do.
    """
    result = stack.kappa("verify", "counts", "--json")
    report: dict[str, Any] = json.loads(result.stdout)
    differences = "\n".join(map(str, report["differences"]))
    assert sum(view["differing"] for view in report["views"].values()) == count, differences
    assert result.returncode == int(count > 0), differences
    return report


def test_the_counts_equal_the_log_while_traffic_runs(
    stack: Stack, viewed: ViewedThings
) -> None:
    first = assert_differing(stack, 0)["views"]
    second = assert_differing(stack, 0)["views"]
    assert list(first) == [view.name for view in count_tables.VIEWS]
    assert all(view["rows"] and view["events"] for view in first.values())
    new_clicks = (
        second["product_view_total"]["events"] - first["product_view_total"]["events"]
    )
    assert new_clicks > 0
    result = stack.kappa("verify", "counts", check=True)
    assert "product_view_by_minute" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("equal: generation ")


def test_a_generation_that_does_not_exist_is_refused(stack: Stack) -> None:
    result = stack.kappa("verify", "counts", "--generation", "999")
    assert result.returncode == 1
    assert (
        result.stderr.splitlines()[0] == "error: there is no generation 999 of the counts"
    )


def set_to(**values: Any) -> Change:
    return lambda row: row | values


def increased(name: str, by: int) -> Change:
    return lambda row: row | {name: row[name] + by}


def remove_row(_: Row) -> None:
    return None


def shorten_list(row: Row) -> Row:
    return row | {"products": row["products"][:1]}


@dataclass(frozen=True)
class Spoiling:
    """A change of a row, and what the proof must say: the kind, Cassandra's value and the log's."""

    view: count_tables.View
    change: Change
    kind: str
    cassandra: Any
    log: Any


# "one" and "both" stand for lists of one product or of both with their counts. The rows of a round
# are spoilt at the same time: no two of them are the same row.
ROUNDS = {
    "values": [
        Spoiling(count_tables.PRODUCT_VIEWS, increased("view_count", 1), "value", 4, 3),
        Spoiling(
            count_tables.PRODUCT_VIEWS_BY_MINUTE, increased("view_count", -1), "value", 2, 3
        ),
        Spoiling(
            count_tables.PRODUCT_VIEWS_BY_HOUR,
            increased("last_offset", 10**9),
            "last_offset",
            3,
            3,
        ),
        Spoiling(
            count_tables.PRODUCT_VIEWS_TOTAL, increased("last_offset", -1), "value", 3, 2
        ),
        Spoiling(count_tables.ORDER_VIEWS, increased("view_count", 1), "value", 3, 2),
        Spoiling(count_tables.TOP_PRODUCTS, shorten_list, "value", "one", "both"),
        Spoiling(count_tables.VIEWERS, set_to(viewers=6), "value", 6, 3),
    ],
    "rows that are gone": [
        Spoiling(count_tables.PRODUCT_VIEWS_BY_MINUTE, remove_row, "missing", None, 3),
        Spoiling(count_tables.TOP_PRODUCTS, remove_row, "missing", None, "both"),
    ],
}


@pytest.mark.parametrize("spoilings", ROUNDS.values(), ids=ROUNDS.keys())
def test_every_spoilt_row_is_named_and_no_other(
    stack: Stack, spoiler: Spoiler, viewed: ViewedThings, spoilings: list[Spoiling]
) -> None:
    lists = {
        "one": [[viewed.product, 3]],
        "both": [[viewed.product, 3], [viewed.other_product, 2]],
    }
    with ExitStack() as spoilt_rows:
        for spoiling in spoilings:
            key = viewed.key(spoiling.view)
            spoilt_rows.enter_context(spoiler.spoilt(spoiling.view, key, spoiling.change))
        report = assert_differing(stack, len(spoilings))
    differences = {difference["view"]: difference for difference in report["differences"]}
    for spoiling in spoilings:
        difference = differences[spoiling.view.name]
        key = viewed.key(spoiling.view)
        assert difference["wrong"] == spoiling.kind
        assert difference["key"] == {name: as_json(value) for name, value in key.items()}
        assert difference["cassandra"] == lists.get(spoiling.cassandra, spoiling.cassandra)
        assert difference["log"] == lists.get(spoiling.log, spoiling.log)


def as_json(value: Any) -> Any:
    """Return a value of a key as the command prints it."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value


def test_a_row_of_a_product_that_nobody_viewed_is_named_for_people(
    stack: Stack, spoiler: Spoiler, viewed: ViewedThings
) -> None:
    product = random.randrange(10**12, 10**15)
    key = viewed.key(count_tables.PRODUCT_VIEWS) | {"product_id": product}
    row = key | {"view_count": 5, "last_offset": 0}
    with spoiler.spoilt(count_tables.PRODUCT_VIEWS, key, lambda _: row):
        result = stack.kappa("verify", "counts")
    assert result.returncode == 1
    window = as_json(key["created_at"])
    assert result.stdout.splitlines()[-1] == (
        f"product_view product {product} window {window} partition {PARTITION}: Cassandra 5, log "
        f"0 (up to offset 0 of productview[{PARTITION}])"
    )
    assert result.stderr.splitlines()[-1] == "  next: ./kappa replay counts"


def test_a_converted_order_that_is_said_not_to_be_is_named(
    stack: Stack, spoiler: Spoiler
) -> None:
    with ShopApi(stack.settings.site.shop_url) as shop:
        user = shop.list_rows("/users", 1)[0]["id"]
        product = shop.list_rows("/products", 1)[0]["product_id"]
        look(stack.settings, topics.PRODUCT_VIEW, [product], datetime.now(UTC), [user])
        order = shop.send("POST", "/orders", {"user_id": user, "product_id": product})[
            "order_id"
        ]
    key = eventually(
        lambda: key_if_converted(spoiler, product, order),
        within=30,
        because="the order is known to be converted",
    )
    with spoiler.spoilt(count_tables.CONVERSION, key, set_to(converted=0)):
        eventually(
            lambda: assert_differing(stack, 1),
            within=30,
            because="the view is committed, so that it is certain",
        )
        (difference,) = assert_differing(stack, 1)["differences"]
    assert (difference["view"], difference["wrong"]) == ("conversion_by_minute", "value")
    assert difference["key"]["order_id"] == order
    assert difference["cassandra"]["converted"] == 0
    assert difference["log"]["converted"] == 1


def key_if_converted(spoiler: Spoiler, product: int, order: int) -> Row | None:
    """Return the key of an order's row, None unless the row says that it is converted."""
    table = f"{spoiler.keyspace}.{count_tables.CONVERSION.name}"
    cql = f"SELECT minute, order_id, converted FROM {table} WHERE product_id = %s"
    for minute, order_id, is_converted in spoiler.session.execute(cql, [product]).rows:
        if order_id == order and is_converted:
            return {"product_id": product, "minute": minute, "order_id": order}
    return None


def test_restored_rows_equal_the_log_again(stack: Stack, viewed: ViewedThings) -> None:
    assert_cassandra_agrees_with_the_topics(stack.settings)
