"""site:customers — people who order, receive, move house and change their minds, through the shop's API."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from connectors.shop import Declined, ShopApi
from infra.errors import Unavailable
from infra.process import begin
from infra.settings import Settings
from infra.state import ProcessState
from producers import seed
from producers.pace import Meter, Pace

PROCESS = "customers"
# Orders that others placed are left to them for this long: whoever tries the API by hand should find the order as it was.
HANDS_OFF = timedelta(minutes=10)
REFRESH_SECONDS = 60.0
MOST_KNOWN = 5000
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0

# How often each thing happens, in a thousand. As many orders are completed or cancelled as are placed, so that open ones do not pile up.
HABITS = {"order": 470, "complete": 420, "cancel": 50, "move": 40, "join": 15, "offer": 5}


@dataclass
class Known:
    """What the customers know of the shop: ids only."""

    users: list[int] = field(default_factory=list)
    products: list[int] = field(default_factory=list)
    open_orders: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Action:
    """One request to the shop; `order_id` is the order that it ends, if any."""

    habit: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    order_id: int | None = None


def next_action(random: Random, known: Known) -> Action:
    """What somebody does next; the same for the same random numbers and knowledge."""
    habit = random.choices(tuple(HABITS), tuple(HABITS.values()))[0]
    if not known.users:
        habit = "join"
    elif not known.products:
        habit = "offer"
    elif habit in ("complete", "cancel") and not known.open_orders:
        habit = "order"
    return _action(habit, random, known)


def _action(habit: str, random: Random, known: Known) -> Action:
    match habit:
        case "order":
            return Action(habit, "POST", "/orders", {"user_id": random.choice(known.users), "product_id": random.choice(known.products)})
        case "complete":
            order_id = random.choice(known.open_orders)
            return Action(habit, "POST", f"/orders/{order_id}/complete", None, order_id)
        case "cancel":
            order_id = random.choice(known.open_orders)
            return Action(habit, "DELETE", f"/orders/{order_id}", None, order_id)
        case "move":
            return Action(habit, "PUT", f"/users/{random.choice(known.users)}/address", {"address": seed.address(random)})
        case "join":
            return Action(habit, "POST", "/users", dict(seed.user(random)))
        case _:
            return Action("offer", "POST", "/products", dict(seed.product(random)))


def learn(known: Known, action: Action, answer: Any) -> None:
    """Take in what the shop answered; None for an action that the shop declined or that has no answer."""
    if action.order_id is not None:
        known.open_orders.remove(action.order_id)
    elif answer is None:
        return
    elif action.habit == "order":
        known.open_orders.append(answer["order_id"])
    elif action.habit == "join":
        known.users.append(answer["id"])
    elif action.habit == "offer":
        known.products.append(answer["product_id"])


def left_alone(orders: Iterable[dict[str, Any]], now: datetime) -> list[int]:
    """Those open orders that nobody has touched for so long that the customers may take them up."""
    return [order["order_id"] for order in orders if now - datetime.fromisoformat(order["orderedAt"]) >= HANDS_OFF]


def refresh(shop: ShopApi, known: Known) -> None:
    """Look around in the shop, keeping the customers' own young orders in mind."""
    found = left_alone(shop.listed("/orders", MOST_KNOWN, delivered="false"), datetime.now(UTC))
    known.users = [user["id"] for user in shop.listed("/users", MOST_KNOWN)]
    known.products = [product["product_id"] for product in shop.listed("/products", MOST_KNOWN)]
    known.open_orders = sorted({*known.open_orders, *found})


class Customers:
    """The customers at work: one request at a time, at the rate of the settings."""

    def __init__(self, settings: Settings, shop: ShopApi, stop: threading.Event) -> None:
        self._shop, self._stop = shop, stop
        self._random, self._known = Random(settings.site.seed), Known()
        self._state = ProcessState(settings.home, PROCESS)
        now = time.monotonic()
        self._pace, self._meter = Pace(settings.site.customer_rate, now), Meter(now)
        self._done: Counter[str] = Counter()
        self._refresh_at = now

    def run(self) -> None:
        """Act until told to stop; while the shop is away, ask again and again."""
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                self._act_when_due()
                pause = FIRST_PAUSE_SECONDS
            except Unavailable as error:
                self._state.report("waiting", str(error))
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _act_when_due(self) -> None:
        if time.monotonic() >= self._refresh_at:
            refresh(self._shop, self._known)
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        for _ in range(self._pace.due(time.monotonic())):
            if self._stop.is_set():
                return
            self._act()
        self._report()
        self._stop.wait(self._pace.wait_seconds(time.monotonic()))

    def _act(self) -> None:
        action = next_action(self._random, self._known)
        try:
            answer = self._shop.send(action.method, action.path, action.body)
        except Declined:
            # Somebody else was quicker: completed or cancelled the order, or removed the row.
            self._done["declined"] += 1
            learn(self._known, action, None)
            self._refresh_at = min(self._refresh_at, time.monotonic() + 1)
            return
        self._done[action.habit] += 1
        learn(self._known, action, answer)

    def _report(self) -> None:
        total = sum(self._done.values())
        rate = self._meter.per_second(total, time.monotonic())
        counts = ", ".join(f"{habit} {count:,}" for habit, count in self._done.most_common())
        self._state.report("running", f"{rate:.1f} actions/s ({counts})", actions_per_second=round(rate, 2), actions=dict(self._done))


def main() -> None:
    """Run the customers as a process of the stack."""
    settings, stop = begin(PROCESS)
    with ShopApi(settings.site.shop_url, timeout_seconds=4) as shop:
        Customers(settings, shop, stop).run()


if __name__ == "__main__":
    main()
