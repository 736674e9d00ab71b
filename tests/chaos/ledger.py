"""Random transactions whose outcome is known: one writer, and after each of its commits the state that its tables have."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from connectors.mysql import Connection, SqlRefused, connect, gtid_executed
from infra.errors import Refused, Unavailable
from infra.settings import Settings
from schemas.gtid import GtidSet, gtid_set

TABLES = ("ledger_clock", "ledger_accounts")
ACCOUNTS, ORDERS, DAYS, PRODUCTS = 40, 40, 6, 200
TOTAL = ACCOUNTS * 1000
# Below zero, where neither the shop's own orders are nor what MySQL numbers them with.
FIRST_ORDER = -1000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PAUSE_SECONDS, AWAY_SECONDS = 0.03, 0.5


@dataclass(frozen=True)
class Order:
    """One of the ledger's orders: its day (which is its hive partition), its product (the same of all, at every commit), its status."""

    day: int
    product: int
    status: str = "0"


@dataclass(frozen=True)
class State:
    """What the ledger's tables hold after a commit. The accounts always sum up to `TOTAL`; completed orders have a row in completed_orders."""

    tick: int = 0
    accounts: Mapping[int, int] = field(default_factory=dict)
    orders: Mapping[int, Order] = field(default_factory=dict)


Change = Callable[[State, Connection, random.Random], State]


def transfer(state: State, mysql: Connection, chance: random.Random) -> State:
    """Money from one account to another."""
    one, other = chance.sample(sorted(state.accounts), 2)
    amount = chance.randint(1, 100)
    for account, change in ((one, -amount), (other, amount)):
        mysql.execute("UPDATE ledger_accounts SET amount = amount + %s WHERE id = %s", (change, account))
    return replace(state, accounts={**state.accounts, one: state.accounts[one] - amount, other: state.accounts[other] + amount})


def swap_keys(state: State, mysql: Connection, chance: random.Random) -> State:
    """Two accounts exchange their numbers."""
    one, other = chance.sample(sorted(state.accounts), 2)
    for number, new in ((one, -1), (other, one), (-1, other)):
        mysql.execute("UPDATE ledger_accounts SET id = %s WHERE id = %s", (new, number))
    return replace(state, accounts={**state.accounts, one: state.accounts[other], other: state.accounts[one]})


def close_and_open(state: State, mysql: Connection, chance: random.Random) -> State:
    """An account is closed, opened, closed and opened again under a new number with what it had."""
    closed, opened = chance.choice(sorted(state.accounts)), max(state.accounts) + 1
    for number in (closed, opened):
        mysql.execute("DELETE FROM ledger_accounts WHERE id = %s", (number,))
        mysql.execute("INSERT INTO ledger_accounts (id, amount) VALUES (%s, %s)", (opened, state.accounts[closed]))
    accounts = {number: amount for number, amount in state.accounts.items() if number != closed}
    return replace(state, accounts={**accounts, opened: state.accounts[closed]})


def all_to_another_product(state: State, mysql: Connection, chance: random.Random) -> State:
    """Every order is for the next product, in all hive partitions; some orders move to another day."""
    product = next(iter(state.orders.values())).product % PRODUCTS + 1
    first, last = min(state.orders), max(state.orders)
    mysql.execute("UPDATE orders SET product_id = %s WHERE order_id BETWEEN %s AND %s", (product, first, last))
    orders = {number: replace(order, product=product) for number, order in state.orders.items()}
    for number in chance.sample(sorted(orders), 3):
        orders[number] = replace(orders[number], day=chance.randrange(DAYS))
        mysql.execute("UPDATE orders SET orderedAt = %s WHERE order_id = %s", (day_at(orders[number].day), number))
    return replace(state, orders=orders)


def complete_or_reopen(state: State, mysql: Connection, chance: random.Random) -> State:
    """An order is completed in both tables, or open again in both."""
    number = chance.choice(sorted(state.orders))
    order = replace(state.orders[number], status="0" if state.orders[number].status == "1" else "1")
    mysql.execute("UPDATE orders SET status = %s WHERE order_id = %s", (order.status, number))
    if order.status == "1":
        mysql.execute("INSERT INTO completed_orders (order_id, status) VALUES (%s, '1')", (number,))
    else:
        mysql.execute("DELETE FROM completed_orders WHERE order_id = %s", (number,))
    return replace(state, orders={**state.orders, number: order})


CHANGES: tuple[Change, ...] = (transfer, swap_keys, close_and_open, all_to_another_product, complete_or_reopen)


def day_at(day: int) -> datetime:
    """Noon of one of the ledger's days."""
    return NOON + day * DAY


class Ledger(threading.Thread):
    """Writes until `stop`, and knows the state after each tick. While MySQL is away it waits, and asks then whether the last commit counted."""

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(daemon=True)
        self.stop, self.failure = threading.Event(), ""
        self._settings, self._chance, self._lock = settings, random.Random(seed), threading.Lock()
        self._states: dict[int, State] = {}
        self._own: dict[int, str] = {}
        with self._connect() as mysql:
            self._state = _made(mysql)
            self._executed = gtid_set(gtid_executed(mysql))
        self._states[0] = self._state

    def state(self, tick: int) -> State:
        """The state after a tick; forgets those before."""
        with self._lock:
            self._states = {number: found for number, found in self._states.items() if number >= tick}
            return self._states[tick]

    def gtid(self, tick: int) -> str | None:
        """The transaction of a tick, if nothing else was committed beside it, so that it can be told."""
        with self._lock:
            return self._own.get(tick)

    @property
    def ticks(self) -> int:
        """The last tick."""
        return self._state.tick

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                try:
                    with self._connect() as mysql:
                        self._write(mysql)
                except (Unavailable, Refused):
                    self.stop.wait(AWAY_SECONDS)
        except Exception as error:
            self.failure = f"the ledger's writer ended: {type(error).__name__}: {error}"
            raise

    def _write(self, mysql: Connection) -> None:
        self._settle(int(mysql.query("SELECT tick FROM ledger_clock")[0]["tick"]))
        while not self.stop.wait(PAUSE_SECONDS):
            tick, changes = self._state.tick + 1, self._chance.sample(CHANGES, self._chance.randint(1, 3))
            try:
                with mysql.transaction():
                    mysql.execute("UPDATE ledger_clock SET tick = %s", (tick,))
                    after = replace(self._state, tick=tick)
                    for change in changes:
                        after = change(after, mysql, self._chance)
                    self._expect(after)
            except SqlRefused:
                continue  # a shopper was in the way: nothing of it happened
            self._settle(tick)
            self._note_gtid(tick, gtid_set(gtid_executed(mysql)))

    def _expect(self, after: State) -> None:
        """It may be committed from now on."""
        with self._lock:
            self._states[after.tick] = after

    def _settle(self, tick: int) -> None:
        with self._lock:
            self._state = self._states[tick]

    def _note_gtid(self, tick: int, executed: GtidSet) -> None:
        new = [f"{origin}:{held[-1][1]}" for origin, held in executed.intervals.items() if held[-1][1] == self._executed.last(origin) + 1]
        grown = sum(executed.last(origin) - self._executed.last(origin) for origin in executed.intervals)
        with self._lock:
            if grown == 1 and new:
                self._own[tick] = new[0]
        self._executed = executed

    def _connect(self) -> Connection:
        return connect(self._settings.mysql, self._settings.login("mysql.admin"), self._settings.mysql.database)

    def remove(self) -> None:
        """The ledger's tables and orders go."""
        with self._connect() as mysql:
            for table in TABLES:
                mysql.execute(f"DROP TABLE IF EXISTS {table}")
            for table in ("completed_orders", "orders"):
                mysql.execute(f"DELETE FROM {table} WHERE order_id BETWEEN %s AND %s", (min(self._state.orders), max(self._state.orders)))


def _made(mysql: Connection) -> State:
    """The tables, with accounts and orders in them."""
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")
    for table in ("completed_orders", "orders"):
        mysql.execute(f"DELETE FROM {table} WHERE order_id < 0")
    mysql.execute("CREATE TABLE ledger_clock (id INT PRIMARY KEY, tick BIGINT NOT NULL)")
    mysql.execute("CREATE TABLE ledger_accounts (id INT PRIMARY KEY, amount BIGINT NOT NULL)")
    orders = {number: Order(number % DAYS, 1) for number in range(ORDERS)}
    with mysql.transaction():
        mysql.execute("INSERT INTO ledger_clock VALUES (1, 0)")
        mysql.insert("ledger_accounts", [{"id": number, "amount": TOTAL // ACCOUNTS} for number in range(ACCOUNTS)])
        mysql.insert(
            "orders",
            [
                {"order_id": FIRST_ORDER + number, "user_id": 1, "product_id": order.product, "orderedAt": day_at(order.day)}
                for number, order in orders.items()
            ],
        )
    accounts = dict.fromkeys(range(ACCOUNTS), TOTAL // ACCOUNTS)
    return State(0, accounts, {FIRST_ORDER + number: order for number, order in orders.items()})
