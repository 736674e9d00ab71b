"""Random transactions whose outcome is known: one writer, and its tables' state after each commit.

The writer counts its transactions: they are the ticks of the ledger.
"""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.mysql.client import Connection, SqlRefused, connect, gtid_executed
from connectors.runtime.settings import Settings
from schemas.errors import Refused, Unavailable
from schemas.gtid import GtidSet, gtid_set

TABLES = ("ledger_clock", "ledger_accounts")
ACCOUNTS = 40
ORDERS = 40
DAYS = 6
PRODUCTS = 200
TOTAL = ACCOUNTS * 1000
# Below zero, where no order of the shop is.
FIRST_ORDER = -1000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PAUSE_SECONDS = 0.03
RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Order:
    """An order of the ledger.

    Its day is its hive partition. All orders are for the same product at every commit.
    """

    day: int
    product: int
    status: str = "0"


@dataclass(frozen=True)
class State:
    """The rows of the ledger's tables after a commit.

    The amounts of the accounts sum up to `TOTAL`. An order has status 1 and a row in
    completed_orders, or neither.
    """

    tick: int = 0
    accounts: Mapping[int, int] = field(default_factory=dict)
    orders: Mapping[int, Order] = field(default_factory=dict)


Change = Callable[[State, Connection, random.Random], State]


def transfer(state: State, mysql: Connection, chance: random.Random) -> State:
    """Move money from one account to another."""
    source, target = chance.sample(sorted(state.accounts), 2)
    amount = chance.randint(1, 100)
    sql = "UPDATE ledger_accounts SET amount = amount + %s WHERE id = %s"
    mysql.execute(sql, (-amount, source))
    mysql.execute(sql, (amount, target))
    accounts = dict(state.accounts)
    accounts[source] -= amount
    accounts[target] += amount
    return replace(state, accounts=accounts)


def swap_keys(state: State, mysql: Connection, chance: random.Random) -> State:
    """Exchange the numbers of two accounts."""
    first, second = chance.sample(sorted(state.accounts), 2)
    for number, new_number in ((first, -1), (second, first), (-1, second)):
        values = (new_number, number)
        mysql.execute("UPDATE ledger_accounts SET id = %s WHERE id = %s", values)
    accounts = dict(state.accounts)
    accounts[first], accounts[second] = accounts[second], accounts[first]
    return replace(state, accounts=accounts)


def close_and_open(state: State, mysql: Connection, chance: random.Random) -> State:
    """Close an account and open it under a new number, twice."""
    accounts = dict(state.accounts)
    old_number = chance.choice(sorted(accounts))
    new_number = max(accounts) + 1
    accounts[new_number] = accounts.pop(old_number)
    row = (new_number, accounts[new_number])
    for number in (old_number, new_number):
        mysql.execute("DELETE FROM ledger_accounts WHERE id = %s", (number,))
        mysql.execute("INSERT INTO ledger_accounts (id, amount) VALUES (%s, %s)", row)
    return replace(state, accounts=accounts)


def all_to_another_product(state: State, mysql: Connection, chance: random.Random) -> State:
    """Change every order to the next product, and move some orders to another day."""
    product = next(iter(state.orders.values())).product % PRODUCTS + 1
    sql = "UPDATE orders SET product_id = %s WHERE order_id BETWEEN %s AND %s"
    mysql.execute(sql, (product, min(state.orders), max(state.orders)))
    orders = {
        number: replace(order, product=product) for number, order in state.orders.items()
    }
    for number in chance.sample(sorted(orders), 3):
        day = chance.randrange(DAYS)
        orders[number] = replace(orders[number], day=day)
        values = (day_at(day), number)
        mysql.execute("UPDATE orders SET orderedAt = %s WHERE order_id = %s", values)
    return replace(state, orders=orders)


def complete_or_reopen(state: State, mysql: Connection, chance: random.Random) -> State:
    """Complete an order in both tables, or reopen it in both."""
    number = chance.choice(sorted(state.orders))
    new_status = "0" if state.orders[number].status == "1" else "1"
    order = replace(state.orders[number], status=new_status)
    mysql.execute(
        "UPDATE orders SET status = %s WHERE order_id = %s", (order.status, number)
    )
    if order.status == "1":
        mysql.execute(
            "INSERT INTO completed_orders (order_id, status) VALUES (%s, '1')", (number,)
        )
    else:
        mysql.execute("DELETE FROM completed_orders WHERE order_id = %s", (number,))
    return replace(state, orders={**state.orders, number: order})


CHANGES: tuple[Change, ...] = (
    transfer,
    swap_keys,
    close_and_open,
    all_to_another_product,
    complete_or_reopen,
)


def day_at(day: int) -> datetime:
    """Return noon of a day of the ledger."""
    return NOON + day * DAY


class Ledger(threading.Thread):
    """Writes until `stop`, and knows the state after each tick.

    While MySQL is unreachable it waits. Then it reads whether its last transaction was committed.
    """

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.failure = ""
        self._settings = settings
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._states: dict[int, State] = {}
        self._gtids: dict[int, str] = {}
        with self._connect() as mysql:
            self._state = create_tables(mysql)
            self._executed = gtid_set(gtid_executed(mysql))
        self._states[0] = self._state

    def state(self, tick: int) -> State:
        """Return the state after a tick, and forget those before."""
        with self._lock:
            for number in [number for number in self._states if number < tick]:
                del self._states[number]
            return self._states[tick]

    def gtid(self, tick: int) -> str | None:
        """Return the GTID of a tick; None unless it is known.

        It is known if nothing else was committed at the same time.
        """
        with self._lock:
            return self._gtids.get(tick)

    @property
    def ticks(self) -> int:
        """The number of the last tick."""
        return self._state.tick

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                try:
                    with self._connect() as mysql:
                        self._write(mysql)
                except (Unavailable, Refused):
                    self.stop.wait(RETRY_SECONDS)
        except Exception as error:
            self.failure = f"the ledger's writer ended: {type(error).__name__}: {error}"
            raise

    def _write(self, mysql: Connection) -> None:
        (clock,) = mysql.query("SELECT tick FROM ledger_clock")
        self._settle(int(clock["tick"]))
        while not self.stop.wait(PAUSE_SECONDS):
            tick = self._state.tick + 1
            changes = self._chance.sample(CHANGES, self._chance.randint(1, 3))
            try:
                with mysql.transaction():
                    mysql.execute("UPDATE ledger_clock SET tick = %s", (tick,))
                    after = replace(self._state, tick=tick)
                    for change in changes:
                        after = change(after, mysql, self._chance)
                    self._expect(after)
            except SqlRefused:
                continue  # a conflict with a shopper: nothing of it happened
            self._settle(tick)
            self._note_gtid(tick, gtid_set(gtid_executed(mysql)))

    def _expect(self, after: State) -> None:
        """Note the state after a transaction that is about to be committed."""
        with self._lock:
            self._states[after.tick] = after

    def _settle(self, tick: int) -> None:
        with self._lock:
            self._state = self._states[tick]

    def _note_gtid(self, tick: int, executed: GtidSet) -> None:
        """Note the GTID of a tick, if the server executed only one transaction since the last."""
        new_gtids = []
        for origin in executed.intervals:
            last_number = executed.last_number(origin)
            first_new_number = self._executed.last_number(origin) + 1
            numbers = range(first_new_number, last_number + 1)
            new_gtids += [f"{origin}:{number}" for number in numbers]
        with self._lock:
            if len(new_gtids) == 1:
                self._gtids[tick] = new_gtids[0]
        self._executed = executed

    def _connect(self) -> Connection:
        settings = self._settings
        return connect(
            settings.mysql, settings.login("mysql.admin"), settings.mysql.database
        )

    def remove(self) -> None:
        """Remove the ledger's tables and orders."""
        with self._connect() as mysql:
            for table in TABLES:
                mysql.execute(f"DROP TABLE IF EXISTS {table}")
            numbers = (min(self._state.orders), max(self._state.orders))
            for table in ("completed_orders", "orders"):
                mysql.execute(
                    f"DELETE FROM {table} WHERE order_id BETWEEN %s AND %s", numbers
                )


def create_tables(mysql: Connection) -> State:
    """Create the tables with accounts and orders, and return their state."""
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")
    for table in ("completed_orders", "orders"):
        mysql.execute(f"DELETE FROM {table} WHERE order_id < 0")
    mysql.execute("CREATE TABLE ledger_clock (id INT PRIMARY KEY, tick BIGINT NOT NULL)")
    mysql.execute(
        "CREATE TABLE ledger_accounts (id INT PRIMARY KEY, amount BIGINT NOT NULL)"
    )
    accounts = dict.fromkeys(range(ACCOUNTS), TOTAL // ACCOUNTS)
    orders = {FIRST_ORDER + number: Order(number % DAYS, 1) for number in range(ORDERS)}
    account_rows = [{"id": number, "amount": amount} for number, amount in accounts.items()]
    with mysql.transaction():
        mysql.execute("INSERT INTO ledger_clock VALUES (1, 0)")
        mysql.insert("ledger_accounts", account_rows)
        mysql.insert(
            "orders", [order_row(number, order) for number, order in orders.items()]
        )
    return State(0, accounts, orders)


def order_row(number: int, order: Order) -> dict[str, Any]:
    """Return a row of the table of orders."""
    return {
        "order_id": number,
        "user_id": 1,
        "product_id": order.product,
        "orderedAt": day_at(order.day),
    }
