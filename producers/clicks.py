"""site:clicks — the click-stream: product views and order status checks, as Avro on their topics."""

import logging
import threading
import time
import uuid
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from connectors.kafka import as_kappa_error, errors, producer
from connectors.registry import Encoder, SchemaRegistry
from connectors.shop import ShopApi
from infra.errors import KappaError, Unavailable
from infra.process import begin
from infra.settings import Settings
from infra.state import ProcessState
from producers.pace import Meter, Pace
from schemas import topics
from schemas.events import CONTRACTS, SUBJECT_ID, value_subject

PROCESS = "clicks"
REFRESH_SECONDS = 10.0
RETRY_SECONDS = 1.0
MOST_KNOWN = 5000
ORDER_CHECKS = 0.25
SOURCES, SOURCE_WEIGHTS = ("web", "app", "mail"), (60, 33, 7)
# The exponent of Zipf's law: the product of rank r is looked at 1/r^s times as often as the first.
POPULARITY = 1.1
FLUSH_SECONDS = 3.5
SILENCE_SECONDS = 5.0

log = logging.getLogger(PROCESS)


@dataclass(frozen=True)
class Audience:
    """Who clicks on what. Products stand in the order of their popularity, with cumulated weights beside them."""

    users: tuple[int, ...] = ()
    products: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    open_orders: tuple[tuple[int, int], ...] = ()

    @property
    def ready(self) -> bool:
        """Whether there is anybody to click, and anything to click on."""
        return bool(self.users and self.products)


@dataclass(frozen=True)
class Click:
    """One click, before it is encoded."""

    topic: str
    record: dict[str, Any]

    @property
    def key(self) -> bytes:
        """The key that its topic is partitioned by."""
        return str(self.record[SUBJECT_ID[self.topic]]).encode()


def audience(seed: int, users: list[int], products: list[int], open_orders: list[tuple[int, int]]) -> Audience:
    """An audience in which popularity has nothing to do with ids, and a product that is new moves the others little.

    `open_orders` are pairs of order and user.
    """
    ranked = sorted(products, key=lambda product_id: Random(f"{seed} {product_id}").random())
    weights = accumulate(1 / rank**POPULARITY for rank in range(1, len(ranked) + 1))
    return Audience(tuple(users), tuple(ranked), tuple(weights), tuple(open_orders))


def next_click(random: Random, who: Audience, event_id: str, at_ms: int) -> Click:
    """The next click of an audience that is ready; the same for the same random numbers, audience, id and time."""
    source = random.choices(SOURCES, SOURCE_WEIGHTS)[0]
    common = {"event_id": event_id, "source": source, "viewed_at": at_ms}
    if who.open_orders and random.random() < ORDER_CHECKS:
        order_id, user_id = random.choice(who.open_orders)
        return Click(topics.ORDER_VIEW, common | {"user_id": user_id, "order_id": order_id})
    product_id = random.choices(who.products, cum_weights=who.weights)[0]
    return Click(topics.PRODUCT_VIEW, common | {"user_id": random.choice(who.users), "product_id": product_id})


def ask_around(shop: ShopApi, seed: int) -> Audience:
    """The audience as the shop has it now. Raises Unavailable."""
    orders = shop.listed("/orders", MOST_KNOWN, delivered="false")
    return audience(
        seed,
        [user["id"] for user in shop.listed("/users", MOST_KNOWN)],
        [product["product_id"] for product in shop.listed("/products", MOST_KNOWN)],
        [(order["order_id"], order["user_id"]) for order in orders],
    )


class AudienceWatch(threading.Thread):
    """Keeps `current` fresh beside the clicking; while the shop is away the clicks go on with what is known."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        super().__init__(name="audience", daemon=True)
        self._settings, self._stop_asked = settings, stop
        self.current, self.trouble = Audience(), "the shop has not been asked yet"

    def run(self) -> None:
        """Ask the shop every ten seconds, and more often as long as nobody is known."""
        site = self._settings.site
        with ShopApi(site.shop_url) as shop:
            while not self._stop_asked.is_set():
                try:
                    self.current, self.trouble = ask_around(shop, site.seed), ""
                except KappaError as error:
                    self.trouble = str(error)
                self._stop_asked.wait(REFRESH_SECONDS if self.current.ready else RETRY_SECONDS)


class Clicks:
    """Sends clicks and keeps account of each: sent = delivered + failed + still queued."""

    def __init__(self, settings: Settings, encoders: dict[str, Encoder]) -> None:
        self._settings, self._encoders = settings, encoders
        self._producer: Producer = producer(settings.kafka, PROCESS)
        self.sent = self.delivered = self.failed = 0
        self.trouble = ""
        self._broken: KafkaError | None = None
        self._heard_at = time.monotonic()

    def send(self, click: Click) -> None:
        """Queue one click. Raises Unavailable, the click not being queued, if the queue is full because Kafka takes none."""
        value = self._encoders[click.topic].encode(click.record)
        try:
            with errors("queueing a click"):
                self._producer.produce(click.topic, value, click.key, on_delivery=self._heard)
        except BufferError as error:
            raise Unavailable("Kafka takes no clicks: the queue is full", "see ./kappa logs kafka") from error
        self.sent += 1

    def listen(self) -> str:
        """Take in what Kafka acknowledged; what is wrong, or "" if clicks arrive. A producer broken for good is replaced."""
        self._producer.poll(0)
        if self._broken is not None:
            self._replace(self._broken)
        silent_seconds = time.monotonic() - self._heard_at
        if self.queued and silent_seconds > SILENCE_SECONDS:
            return f"Kafka has acknowledged no click for {silent_seconds:.0f} s, {self.queued} are queued"
        if not self.queued:
            self._heard_at = time.monotonic()
        return self.trouble

    @property
    def queued(self) -> int:
        """Clicks sent whose fate is not known yet."""
        return self.sent - self.delivered - self.failed

    def flush(self) -> int:
        """Wait a little for what is queued; how many clicks remain unacknowledged."""
        self._producer.flush(FLUSH_SECONDS)
        return self.queued

    def _heard(self, error: KafkaError | None, _: Message) -> None:
        self._heard_at = time.monotonic()
        if error is None:
            self.delivered += 1
            self.trouble = ""
            return
        self.failed += 1
        self.trouble = str(as_kappa_error(error, "delivering a click"))
        if error.fatal():
            self._broken = error

    def _replace(self, error: KafkaError) -> None:
        """An idempotent producer that lost count of its sequence never sends again: fail what it holds, and start with another."""
        self._producer.purge()
        self._producer.poll(0)
        self._producer, self._broken = producer(self._settings.kafka, PROCESS), None
        self.trouble = str(as_kappa_error(error, "the producer broke and was replaced"))


def ready_encoders(settings: Settings, state: ProcessState, stop: threading.Event) -> dict[str, Encoder]:
    """The encoder of each topic, once the registry knows its contract; waits for the registry. Empty if stopped before."""
    registry = SchemaRegistry(settings.registry.url)
    while not stop.is_set():
        try:
            return {topic: Encoder(registry, value_subject(topic), contract) for topic, contract in CONTRACTS.items()}
        except KappaError as error:
            state.report("waiting" if isinstance(error, Unavailable) else "failed", str(error))
            stop.wait(RETRY_SECONDS)
    return {}


def run(settings: Settings, stop: threading.Event) -> None:
    """Click at the rate of the settings until told to stop."""
    state = ProcessState(settings.home, PROCESS)
    encoders = ready_encoders(settings, state, stop)
    if not encoders:
        return
    clicks, watch = Clicks(settings, encoders), AudienceWatch(settings, stop)
    watch.start()
    random, now = Random(settings.site.seed), time.monotonic()
    pace, meter = Pace(settings.site.click_rate, now), Meter(now)
    while not stop.is_set():
        trouble = _click_when_due(clicks, watch, random, pace)
        _report(state, clicks, meter, trouble)
        stop.wait(pace.wait_seconds(time.monotonic()))
    if left := clicks.flush():
        log.warning("stopped with %d clicks unacknowledged: they may or may not be in the log", left)
    log.info("stopped: %d clicks delivered, %d failed", clicks.delivered, clicks.failed)


def _click_when_due(clicks: Clicks, watch: AudienceWatch, random: Random, pace: Pace) -> str:
    """Send what is due; what stands in the way, or ""."""
    due = pace.due(time.monotonic())
    who = watch.current
    if not who.ready:
        return watch.trouble or "the shop has no users or no products yet"
    try:
        for _ in range(due):
            clicks.send(next_click(random, who, str(uuid.uuid4()), time.time_ns() // 1_000_000))
    except KappaError as error:
        clicks.listen()
        return str(error)
    return clicks.listen()


def _report(state: ProcessState, clicks: Clicks, meter: Meter, trouble: str) -> None:
    rate = meter.per_second(clicks.delivered, time.monotonic())
    said = f"{rate:.1f} clicks/s, {clicks.delivered:,} delivered, {clicks.failed:,} failed"
    figures = {"sent": clicks.sent, "delivered": clicks.delivered, "failed": clicks.failed, "queued": clicks.queued}
    state.report("waiting" if trouble else "running", f"{trouble}; {said}" if trouble else said, clicks_per_second=round(rate, 2), **figures)


def main() -> None:
    """Run the clicks as a process of the stack."""
    run(*begin(PROCESS))


if __name__ == "__main__":
    main()
