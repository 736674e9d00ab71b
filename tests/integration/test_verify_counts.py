"""`kappa verify counts`: it says equal while traffic runs, and names exactly the row that somebody has spoilt."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import cassandra, generations, kafka
from connectors.registry import Encoder, SchemaRegistry
from connectors.shop import ShopApi
from infra.settings import Settings
from schemas import events, topics, views
from tests.conftest import Stack
from tests.eventually import eventually
from tests.recount import assert_cassandra_agrees_with_the_topics

PARTITION = 1
Row = dict[str, Any]


@dataclass(frozen=True)
class LookedAt:
    """Products and orders that nobody else looks at, in a window that nobody else is in, and the time of it."""

    product: int
    other_product: int
    order: int
    at: datetime

    def key(self, view: views.View) -> Row:
        """The primary key of their row in a view."""
        lengths = {"created_at": 10, "minute": 60, "hour": 3600}
        start = {name: self.at - timedelta(seconds=int(self.at.timestamp()) % length) for name, length in lengths.items()}
        known = {"product_id": self.product, "order_id": self.order, "kafka_partition": PARTITION, **start}
        return {column.name: known[column.name] for column in view.key}


def look(settings: Settings, topic: str, subjects: list[int], at: datetime, users: list[int]) -> None:
    """Writes clicks: each user looks at each subject."""
    producer = kafka.producer(settings.kafka, "shoppers")
    encoder = Encoder(SchemaRegistry(settings.registry.url), events.value_subject(topic), events.CONTRACTS[topic])
    for subject in subjects:
        for user in users:
            click = {"event_id": str(random.random()), "user_id": user, events.SUBJECT_ID[topic]: subject, "source": "web", "viewed_at": at}
            producer.produce(topic, encoder.encode(click), str(subject).encode(), PARTITION)
    assert producer.flush(10) == 0


@pytest.fixture(scope="module")
def looked_at(stack: Stack) -> LookedAt:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2, seconds=random.randrange(80_000))
    found = LookedAt(*(random.randrange(10**12, 10**15) for _ in range(3)), at=start)
    look(stack.settings, topics.PRODUCT_VIEW, [found.product, found.other_product], start, [1, 2])
    look(stack.settings, topics.PRODUCT_VIEW, [found.product], start, [3])
    look(stack.settings, topics.ORDER_VIEW, [found.order], start, [1, 1])
    assert assert_cassandra_agrees_with_the_topics(stack.settings) >= 7
    return found


class Spoiler:
    """Who may write everything, and does."""

    def __init__(self, session: cassandra.Session, keyspace: str) -> None:
        self.session, self.keyspace = session, keyspace

    def row(self, view: views.View, key: Row) -> tuple[Row | None, int]:
        """A row as it is, and the time of its write."""
        names = [column.name for column in view.columns]
        asked = f"SELECT {', '.join(names)}, writetime({view.values[0].name}) FROM {self.keyspace}.{view.name} WHERE {_where(key)}"
        for *values, written_at in self.session.execute(asked, list(key.values())).rows:
            return dict(zip(names, values, strict=True)), int(written_at)
        return None, 1

    def write(self, view: views.View, key: Row, row: Row | None, at: int) -> None:
        """Leaves a row as given, or removes it."""
        if row is None:
            self.session.execute(f"DELETE FROM {self.keyspace}.{view.name} USING TIMESTAMP {at} WHERE {_where(key)}", list(key.values()))
        else:
            self.session.each(self.session.prepare(views.upsert(view, self.keyspace)), [[*(row[column.name] for column in view.columns), at]])

    @contextmanager
    def spoilt(self, view: views.View, key: Row, change: Callable[[Row], Row | None]) -> Iterator[None]:
        """A row is changed by a later write, and afterwards is as before."""
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
    with cassandra.connect(settings.cassandra, settings.login("cassandra.admin")) as session:
        yield Spoiler(session, generations.active(session, settings.cassandra.keyspace).keyspace)


def verified(stack: Stack, differing: int) -> dict[str, Any]:
    """What `kappa verify counts --json` says, with the exit code that goes with it."""
    done = stack.kappa("verify", "counts", "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    named = "\n".join(map(str, report["differences"]))
    assert (done.returncode, sum(view["differing"] for view in report["views"].values())) == (int(differing > 0), differing), named
    return report


def test_the_counts_equal_the_log_while_traffic_runs(stack: Stack, looked_at: LookedAt) -> None:
    first, second = verified(stack, 0), verified(stack, 0)
    assert list(first["views"]) == [view.name for view in views.VIEWS]
    assert all(view["rows"] and view["events"] for view in first["views"].values())
    counted = [report["views"]["product_view_total"]["events"] for report in (first, second)]
    assert counted[1] > counted[0], "clicks came meanwhile"
    done = stack.kappa("verify", "counts", check=True)
    assert "product_view_by_minute" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("equal: generation ")


def test_a_generation_that_does_not_exist_is_refused(stack: Stack) -> None:
    done = stack.kappa("verify", "counts", "--generation", "999")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: there is no generation 999 of the counts"


def set_to(**values: Any) -> Callable[[Row], Row]:
    return lambda row: row | values


def raised(name: str, by: int) -> Callable[[Row], Row]:
    return lambda row: row | {name: row[name] + by}


def removed(_: Row) -> None:
    return None


WRONG: list[tuple[views.View, Callable[[Row], Row | None], str, Any, Any]] = [
    (views.PRODUCT_VIEWS, raised("view_count", 1), "value", 4, 3),
    (views.PRODUCT_VIEWS_BY_MINUTE, raised("view_count", -1), "value", 2, 3),
    (views.PRODUCT_VIEWS_BY_MINUTE, removed, "missing", None, 3),
    (views.PRODUCT_VIEWS_BY_HOUR, raised("last_offset", 10**9), "last_offset", 3, 3),
    (views.PRODUCT_VIEWS_TOTAL, raised("last_offset", -1), "value", 3, 2),
    (views.ORDER_VIEWS, raised("view_count", 1), "value", 3, 2),
    (views.TOP_PRODUCTS, removed, "missing", None, "both"),
    (views.TOP_PRODUCTS, lambda row: row | {"products": row["products"][:1]}, "value", "one", "both"),
    (views.VIEWERS, set_to(viewers=6), "value", 6, 3),
]


@pytest.mark.parametrize(
    "view, change, wrong, cassandra_, log", WRONG, ids=[f"{view.name} {wrong} {n}" for n, (view, _, wrong, *_) in enumerate(WRONG)]
)
def test_a_spoilt_row_is_named(
    stack: Stack, spoiler: Spoiler, looked_at: LookedAt, view: views.View, change: Callable[[Row], Row | None], wrong: str, cassandra_: Any, log: Any
) -> None:
    lists = {"one": [[looked_at.product, 3]], "both": [[looked_at.product, 3], [looked_at.other_product, 2]]}
    key = looked_at.key(view)
    with spoiler.spoilt(view, key, change):
        report = verified(stack, 1)
    [found] = report["differences"]
    assert (found["view"], found["wrong"]) == (view.name, wrong)
    assert found["key"] == {name: value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value for name, value in key.items()}
    assert (found["cassandra"], found["log"]) == (lists.get(cassandra_, cassandra_), lists.get(log, log))


def test_a_row_of_a_product_that_nobody_looked_at_is_named_for_people(stack: Stack, spoiler: Spoiler, looked_at: LookedAt) -> None:
    product = random.randrange(10**12, 10**15)
    key = looked_at.key(views.PRODUCT_VIEWS) | {"product_id": product}
    with spoiler.spoilt(views.PRODUCT_VIEWS, key, lambda _: key | {"view_count": 5, "last_offset": 0}):
        done = stack.kappa("verify", "counts")
    assert done.returncode == 1
    window = key["created_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert done.stdout.splitlines()[-1] == (
        f"product_view product {product} window {window} partition {PARTITION}: Cassandra 5, log 0 (up to offset 0 of productview[{PARTITION}])"
    )
    assert done.stderr.splitlines()[-1] == "  next: ./kappa replay counts"


def test_a_converted_order_that_is_said_not_to_be_is_named(stack: Stack, spoiler: Spoiler) -> None:
    with ShopApi(stack.settings.site.shop_url) as shop:
        user, product = shop.listed("/users", 1)[0]["id"], shop.listed("/products", 1)[0]["product_id"]
        look(stack.settings, topics.PRODUCT_VIEW, [product], datetime.now(UTC), [user])
        order = shop.send("POST", "/orders", {"user_id": user, "product_id": product})["order_id"]
    key = eventually(lambda: converted(spoiler, product, order), within=30, because="the order is known to be converted")
    with spoiler.spoilt(views.CONVERSION, key, set_to(converted=0)):
        eventually(lambda: verified(stack, 1), within=30, because="the look is committed, so that it is certain")
        [found] = verified(stack, 1)["differences"]
    assert (found["view"], found["wrong"], found["key"]["order_id"]) == ("conversion_by_minute", "value", order)
    assert (found["cassandra"]["converted"], found["log"]["converted"]) == (0, 1)


def converted(spoiler: Spoiler, product: int, order: int) -> Row | None:
    """The key of an order's row, once it says that it is converted."""
    asked = f"SELECT minute, order_id, converted FROM {spoiler.keyspace}.{views.CONVERSION.name} WHERE product_id = %s"
    found = {row[1]: row for row in spoiler.session.execute(asked, [product]).rows}
    return {"product_id": product, "minute": found[order][0], "order_id": order} if order in found and found[order][2] else None


def test_restored_rows_equal_the_log_again(stack: Stack, looked_at: LookedAt) -> None:
    assert_cassandra_agrees_with_the_topics(stack.settings)
