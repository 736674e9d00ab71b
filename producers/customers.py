"""The process `site:customers`: people who use the shop through its API.

They order, receive and cancel orders, move house, and register users and products.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from connectors.runtime.process import begin
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import Settings
from connectors.shop_client import Declined, ShopApi
from producers import seed
from producers.pace import Meter, Pace
from schemas.errors import Unavailable

PROCESS = "customers"
# Orders of others are left alone for this long, so that people who try the API by hand find
# their order as it was.
LEFT_ALONE = timedelta(minutes=10)
REFRESH_SECONDS = 60.0
# After a declined action the customers' knowledge of the shop is refreshed this soon.
REFRESH_AFTER_DECLINE_SECONDS = 1.0
# Rows of each list of the shop that the customers know.
MAX_ROWS = 5000
FIRST_PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 5.0

# How often each action happens, in a thousand. As many orders are completed or cancelled as are
# placed, so that the number of open orders stays small.
ACTION_WEIGHTS = {
    "order": 470,
    "complete": 420,
    "cancel": 50,
    "move": 40,
    "join": 15,
    "offer": 5,
}


@dataclass
class ShopIds:
    """The ids of the users, products and open orders that the customers know."""

    users: list[int] = field(default_factory=list)
    products: list[int] = field(default_factory=list)
    open_orders: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Action:
    """One request to the shop; `order_id` is the order that it ends, if any."""

    kind: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    order_id: int | None = None


def next_action(random: Random, ids: ShopIds) -> Action:
    """Return the next action, the same for the same random numbers and ids."""
    kind = random.choices(tuple(ACTION_WEIGHTS), tuple(ACTION_WEIGHTS.values()))[0]
    if not ids.users:
        kind = "join"
    elif not ids.products:
        kind = "offer"
    elif kind in ("complete", "cancel") and not ids.open_orders:
        kind = "order"
    return _action(kind, random, ids)


def _action(kind: str, random: Random, ids: ShopIds) -> Action:
    match kind:
        case "order":
            user_id = random.choice(ids.users)
            product_id = random.choice(ids.products)
            body = {"user_id": user_id, "product_id": product_id}
            return Action(kind, "POST", "/orders", body)
        case "complete":
            order_id = random.choice(ids.open_orders)
            path = f"/orders/{order_id}/complete"
            return Action(kind, "POST", path, order_id=order_id)
        case "cancel":
            order_id = random.choice(ids.open_orders)
            return Action(kind, "DELETE", f"/orders/{order_id}", order_id=order_id)
        case "move":
            path = f"/users/{random.choice(ids.users)}/address"
            return Action(kind, "PUT", path, {"address": seed.address(random)})
        case "join":
            return Action(kind, "POST", "/users", dict(seed.user(random)))
        case _:
            return Action("offer", "POST", "/products", dict(seed.product(random)))


def learn(ids: ShopIds, action: Action, answer: Any) -> None:
    """Update the ids by the shop's answer.

    The answer is None if the shop declined the action or the action has no answer.
    """
    if action.order_id is not None:
        ids.open_orders.remove(action.order_id)
    elif answer is None:
        return
    elif action.kind == "order":
        ids.open_orders.append(answer["order_id"])
    elif action.kind == "join":
        ids.users.append(answer["id"])
    elif action.kind == "offer":
        ids.products.append(answer["product_id"])


def orders_to_adopt(orders: Iterable[dict[str, Any]], now: datetime) -> list[int]:
    """Return the ids of open orders that are old enough for the customers to end them."""
    return [
        order["order_id"]
        for order in orders
        if now - datetime.fromisoformat(order["orderedAt"]) >= LEFT_ALONE
    ]


def refresh(shop: ShopApi, ids: ShopIds) -> None:
    """Read the ids from the shop, and keep the customers' own recent orders.

    Raises Unavailable, Declined.
    """
    orders = shop.list_rows("/orders", MAX_ROWS, delivered="false")
    users = shop.list_rows("/users", MAX_ROWS)
    products = shop.list_rows("/products", MAX_ROWS)
    adopted_orders = orders_to_adopt(orders, datetime.now(UTC))
    ids.users = [user["id"] for user in users]
    ids.products = [product["product_id"] for product in products]
    ids.open_orders = sorted({*ids.open_orders, *adopted_orders})


class Customers:
    """Sends actions to the shop, one at a time, at the rate of the settings."""

    def __init__(self, settings: Settings, shop: ShopApi, stop: threading.Event) -> None:
        self._shop = shop
        self._stop = stop
        self._random = Random(settings.site.seed)
        self._ids = ShopIds()
        self._state = ProcessState(settings.home, PROCESS)
        now = time.monotonic()
        self._pace = Pace(settings.site.customer_rate, now)
        self._meter = Meter(now)
        self._action_counts: Counter[str] = Counter()
        self._refresh_at = now

    def run(self) -> None:
        """Act until `stop` is set; retry with back-off while the shop is unreachable."""
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                self._act_when_due()
                pause = FIRST_PAUSE_SECONDS
            except Unavailable as error:
                self._state.report("waiting", str(error))
                self._stop.wait(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _act_when_due(self) -> None:
        if time.monotonic() >= self._refresh_at:
            refresh(self._shop, self._ids)
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        for _ in range(self._pace.due(time.monotonic())):
            if self._stop.is_set():
                return
            self._act()
        self._report()
        self._stop.wait(self._pace.wait_seconds(time.monotonic()))

    def _act(self) -> None:
        action = next_action(self._random, self._ids)
        try:
            answer = self._shop.send(action.method, action.path, action.body)
        except Declined:
            # Somebody else has completed or cancelled the order, or deleted the row.
            self._action_counts["declined"] += 1
            learn(self._ids, action, None)
            soon = time.monotonic() + REFRESH_AFTER_DECLINE_SECONDS
            self._refresh_at = min(self._refresh_at, soon)
            return
        self._action_counts[action.kind] += 1
        learn(self._ids, action, answer)

    def _report(self) -> None:
        total = sum(self._action_counts.values())
        rate = self._meter.per_second(total, time.monotonic())
        counts = ", ".join(
            f"{kind} {count:,}" for kind, count in self._action_counts.most_common()
        )
        self._state.report(
            "running",
            f"{rate:.1f} actions/s ({counts})",
            actions_per_second=round(rate, 2),
            actions=dict(self._action_counts),
        )


def main() -> None:
    """Run the customers as a process of the stack."""
    settings, stop = begin(PROCESS)
    with ShopApi(settings.site.shop_url, timeout_seconds=4) as shop:
        Customers(settings, shop, stop).run()


if __name__ == "__main__":
    main()
