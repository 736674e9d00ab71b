"""The process `site:clicks`: product views and order status checks, as Avro on their topics."""

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from connectors.kafka.client import as_kappa_error, errors, producer
from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.retry import FOREVER, RetryPolicy
from connectors.runtime.process import begin
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import Settings
from connectors.shop_client import ShopApi
from producers.pace import Meter, Pace
from schemas import topics
from schemas.errors import KappaError, Unavailable
from schemas.events import CONTRACTS, SUBJECT_ID, value_subject

PROCESS = "clicks"
REFRESH_SECONDS = 10.0
RETRY_SECONDS = 1.0
# Rows of each list of the shop that the audience is made of.
MAX_ROWS = 5000
ORDER_CHECK_SHARE = 0.25
SOURCES = ("web", "app", "mail")
SOURCE_WEIGHTS = (60, 33, 7)
# The exponent of Zipf's law: the product of rank r is viewed 1/r^s times as often as the first.
POPULARITY = 1.1
FLUSH_SECONDS = 3.5
SILENCE_SECONDS = 5.0

log = logging.getLogger(PROCESS)


@dataclass(frozen=True)
class Audience:
    """The users who click, and the products and orders that they click on.

    `products` are in the order of their popularity, `weights` their cumulated weights.
    `open_orders` are pairs of order and user.
    """

    users: tuple[int, ...] = ()
    products: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    open_orders: tuple[tuple[int, int], ...] = ()

    @property
    def ready(self) -> bool:
        """Whether there are users and products."""
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


def create_audience(
    seed: int,
    users: Sequence[int],
    products: Sequence[int],
    open_orders: Sequence[tuple[int, int]],
) -> Audience:
    """Return an audience for which the popularity of a product does not depend on its id.

    A new product hardly moves the others. `open_orders` are pairs of order and user.
    """

    def popularity(product_id: int) -> float:
        return Random(f"{seed} {product_id}").random()

    ranking = sorted(products, key=popularity)
    weights = accumulate(1 / rank**POPULARITY for rank in range(1, len(ranking) + 1))
    return Audience(tuple(users), tuple(ranking), tuple(weights), tuple(open_orders))


def next_click(random: Random, audience: Audience, event_id: str, at_ms: int) -> Click:
    """Return the next click of an audience that is ready.

    It is the same for the same random numbers, audience, id and time.
    """
    source = random.choices(SOURCES, SOURCE_WEIGHTS)[0]
    record: dict[str, Any] = {"event_id": event_id, "source": source, "viewed_at": at_ms}
    if audience.open_orders and random.random() < ORDER_CHECK_SHARE:
        order_id, user_id = random.choice(audience.open_orders)
        record |= {"user_id": user_id, "order_id": order_id}
        return Click(topics.ORDER_VIEW, record)
    product_id = random.choices(audience.products, cum_weights=audience.weights)[0]
    record |= {"user_id": random.choice(audience.users), "product_id": product_id}
    return Click(topics.PRODUCT_VIEW, record)


def fetch_audience(shop: ShopApi, seed: int) -> Audience:
    """Return the audience as the shop has it now. Raises Unavailable, Declined."""
    orders = shop.list_rows("/orders", MAX_ROWS, delivered="false")
    users = shop.list_rows("/users", MAX_ROWS)
    products = shop.list_rows("/products", MAX_ROWS)
    return create_audience(
        seed,
        [user["id"] for user in users],
        [product["product_id"] for product in products],
        [(order["order_id"], order["user_id"]) for order in orders],
    )


class AudienceRefresher(threading.Thread):
    """Keeps `audience` up to date, beside the clicking.

    While the shop is unreachable, the last audience continues to click.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        super().__init__(name="audience", daemon=True)
        self._settings = settings
        self._stop_requested = stop
        self.audience = Audience()
        self.problem = "the shop has not answered yet"

    def run(self) -> None:
        """Ask the shop every ten seconds; every second until the audience is ready."""
        site = self._settings.site
        with ShopApi(site.shop_url) as shop:
            while not self._stop_requested.is_set():
                try:
                    self.audience = fetch_audience(shop, site.seed)
                    self.problem = ""
                except KappaError as error:
                    self.problem = str(error)
                pause = REFRESH_SECONDS if self.audience.ready else RETRY_SECONDS
                self._stop_requested.wait(pause)


class ClickSender:
    """Sends clicks and counts them: sent = delivered + failed + queued."""

    def __init__(self, settings: Settings, encoders: dict[str, Encoder]) -> None:
        """`encoders` has the encoder of each topic."""
        self._settings = settings
        self._encoders = encoders
        self._producer: Producer = producer(settings.kafka, PROCESS)
        self.sent_clicks = self.delivered_clicks = self.failed_clicks = 0
        self._delivery_problem = ""
        self._fatal_error: KafkaError | None = None
        self._reported_at = time.monotonic()

    def send(self, click: Click) -> None:
        """Queue one click.

        Raises Unavailable if the queue is full because Kafka accepts no clicks. Then the
        click is not queued.
        """
        value = self._encoders[click.topic].encode(click.record)
        try:
            with errors("queueing a click"):
                self._producer.produce(
                    click.topic, value, click.key, on_delivery=self._on_delivery
                )
        except BufferError as error:
            raise Unavailable(
                "Kafka accepts no clicks: the queue is full", "see ./kappa logs kafka"
            ) from error
        self.sent_clicks += 1

    def check_deliveries(self) -> str:
        """Read Kafka's acknowledgements, and return the problem, "" if there is none.

        A producer with a fatal error is replaced.
        """
        self._producer.poll(0)
        if self._fatal_error is not None:
            self._replace_producer(self._fatal_error)
        now = time.monotonic()
        if not self.queued_clicks:
            self._reported_at = now
            return self._delivery_problem
        silent_seconds = now - self._reported_at
        if silent_seconds > SILENCE_SECONDS:
            return (
                f"Kafka has acknowledged no click for {silent_seconds:.0f} s, "
                f"{self.queued_clicks} are queued"
            )
        return self._delivery_problem

    @property
    def queued_clicks(self) -> int:
        """The number of clicks that are neither delivered nor failed yet."""
        return self.sent_clicks - self.delivered_clicks - self.failed_clicks

    def flush(self) -> int:
        """Wait up to FLUSH_SECONDS, and return how many clicks remain unacknowledged."""
        self._producer.flush(FLUSH_SECONDS)
        return self.queued_clicks

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        self._reported_at = time.monotonic()
        if error is None:
            self.delivered_clicks += 1
            self._delivery_problem = ""
            return
        self.failed_clicks += 1
        self._delivery_problem = str(as_kappa_error(error, "delivering a click"))
        if error.fatal():
            self._fatal_error = error

    def _replace_producer(self, error: KafkaError) -> None:
        """Replace an idempotent producer that has lost its sequence number.

        It never sends again. The clicks in its queue fail.
        """
        self._producer.purge()
        self._producer.poll(0)
        self._producer = producer(self._settings.kafka, PROCESS)
        self._fatal_error = None
        problem = as_kappa_error(error, "the producer failed and was replaced")
        self._delivery_problem = str(problem)


def create_encoders(
    settings: Settings, state: ProcessState, stop: threading.Event
) -> dict[str, Encoder]:
    """Return the encoder of each topic, as soon as the registry has its contract.

    Waits for the registry. Empty if `stop` is set before.
    """
    registry = SchemaRegistry(settings.registry.url)

    def register() -> dict[str, Encoder]:
        return {
            topic: Encoder(registry, value_subject(topic), contract)
            for topic, contract in CONTRACTS.items()
        }

    def report(error: Exception) -> None:
        waiting = isinstance(error, Unavailable)
        state.report("waiting" if waiting else "failed", str(error))

    policy = RetryPolicy(
        timeout_seconds=FOREVER,
        pause_seconds=RETRY_SECONDS,
        retry_on=(KappaError,),
        on_failure=report,
        stop=stop,
    )
    try:
        return policy.call(register)
    except KappaError:  # stopped before the registry answered
        return {}


def run(settings: Settings, stop: threading.Event) -> None:
    """Click at the rate of the settings until `stop` is set."""
    state = ProcessState(settings.home, PROCESS)
    encoders = create_encoders(settings, state, stop)
    if not encoders:
        return
    sender = ClickSender(settings, encoders)
    refresher = AudienceRefresher(settings, stop)
    refresher.start()
    random = Random(settings.site.seed)
    now = time.monotonic()
    pace = Pace(settings.site.click_rate, now)
    meter = Meter(now)
    while not stop.is_set():
        problem = _send_due_clicks(sender, refresher, random, pace)
        _report(state, sender, meter, problem)
        stop.wait(pace.wait_seconds(time.monotonic()))
    unacknowledged_clicks = sender.flush()
    if unacknowledged_clicks:
        log.warning(
            "stopped with %d clicks unacknowledged: they may or may not be in the log",
            unacknowledged_clicks,
        )
    log.info(
        "stopped: %d clicks delivered, %d failed",
        sender.delivered_clicks,
        sender.failed_clicks,
    )


def _send_due_clicks(
    sender: ClickSender, refresher: AudienceRefresher, random: Random, pace: Pace
) -> str:
    """Send the clicks that are due, and return the problem, "" if there is none."""
    due_clicks = pace.due(time.monotonic())
    audience = refresher.audience
    if not audience.ready:
        return refresher.problem or "the shop has no users or no products yet"
    try:
        for _ in range(due_clicks):
            at_ms = time.time_ns() // 1_000_000
            sender.send(next_click(random, audience, str(uuid.uuid4()), at_ms))
    except KappaError as error:
        sender.check_deliveries()
        return str(error)
    return sender.check_deliveries()


def _report(state: ProcessState, sender: ClickSender, meter: Meter, problem: str) -> None:
    delivered_count = sender.delivered_clicks
    rate = meter.per_second(delivered_count, time.monotonic())
    failed = sender.failed_clicks
    summary = f"{rate:.1f} clicks/s, {delivered_count:,} delivered, {failed:,} failed"
    state.report(
        "waiting" if problem else "running",
        f"{problem}; {summary}" if problem else summary,
        clicks_per_second=round(rate, 2),
        sent=sender.sent_clicks,
        delivered=delivered_count,
        failed=failed,
        queued=sender.queued_clicks,
    )


def main() -> None:
    """Run the clicks as a process of the stack."""
    run(*begin(PROCESS))


if __name__ == "__main__":
    main()
