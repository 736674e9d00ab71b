"""The shop's orders, users and products in MySQL: each function is one transaction."""

from collections.abc import Sequence
from typing import Any

from connectors.mysql import NO_SUCH_PARENT, Connection, Pool, SqlRefused
from infra.errors import Refused
from schemas.tables import COMPLETED_ORDERS, DELIVERED, OPEN, ORDERS, PRODUCTS, USER, Table, quoted

Row = dict[str, Any]

# What one row of a table is called.
ONE = {USER.name: "user", PRODUCTS.name: "product", ORDERS.name: "order", COMPLETED_ORDERS.name: "completed order"}


class Unknown(Refused):
    """There is no row with this key."""


class BadReference(Refused):
    """A field of a new row names a row that does not exist."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class AlreadyCompleted(Refused):
    """An order can neither be completed twice nor be cancelled once completed."""


class Store:
    """What the shop does with its tables. Raises Unknown for a key without a row, and Unavailable while MySQL does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def check(self) -> None:
        """Returns if the database can be read."""
        with self._pool.connection() as connection:
            connection.query(_select(USER, "LIMIT 1"))

    def users(self, limit: int, offset: int) -> list[Row]:
        """Users by id."""
        return self._page(USER, limit, offset)

    def user(self, user_id: int) -> Row:
        """One user."""
        with self._pool.connection() as connection:
            return _row(connection, USER, user_id)

    def create_user(self, name: str, address: str) -> Row:
        """A new user."""
        return self._create(USER, {"name": name, "address": address})

    def change_address(self, user_id: int, address: str) -> Row:
        """The user, living somewhere else from now on."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(f"UPDATE {quoted(USER.name)} SET address = %s WHERE id = %s", (address, user_id))
            return _row(connection, USER, user_id)

    def products(self, limit: int, offset: int) -> list[Row]:
        """Products by id."""
        return self._page(PRODUCTS, limit, offset)

    def product(self, product_id: int) -> Row:
        """One product."""
        with self._pool.connection() as connection:
            return _row(connection, PRODUCTS, product_id)

    def create_product(self, category: str, name: str) -> Row:
        """A new product."""
        return self._create(PRODUCTS, {"category": category, "name": name})

    def orders(self, limit: int, offset: int, delivered: bool | None) -> list[Row]:
        """Orders, the newest first; only those delivered or not yet delivered if asked."""
        if delivered is None:
            return self._page(ORDERS, limit, offset, order="DESC")
        return self._page(ORDERS, limit, offset, "WHERE status = %s", (DELIVERED if delivered else OPEN,), "DESC")

    def order(self, order_id: int) -> Row:
        """One order."""
        with self._pool.connection() as connection:
            return _row(connection, ORDERS, order_id)

    def create_order(self, user_id: int, product_id: int) -> Row:
        """A new order, not yet delivered. Raises BadReference if there is no such user or product."""
        try:
            return self._create(ORDERS, {"user_id": user_id, "product_id": product_id})
        except SqlRefused as error:
            if error.errno != NO_SUCH_PARENT:
                raise
            raise self._missing_parent(user_id, product_id) from error

    def _missing_parent(self, user_id: int, product_id: int) -> BadReference:
        try:
            self.user(user_id)
        except Unknown as error:
            return BadReference("user_id", str(error))
        return BadReference("product_id", f"there is no product {product_id}")

    def complete(self, order_id: int) -> Row:
        """The completion of an order: its status and the row in completed_orders change together or not at all.

        Raises AlreadyCompleted.
        """
        with self._pool.connection() as connection, connection.transaction():
            moved = connection.execute(
                f"UPDATE {quoted(ORDERS.name)} SET status = %s WHERE order_id = %s AND status <> %s", (DELIVERED, order_id, DELIVERED)
            )
            if not moved.rows:
                _row(connection, ORDERS, order_id)
                raise AlreadyCompleted(f"order {order_id} is completed already")
            connection.insert(COMPLETED_ORDERS.name, [{"order_id": order_id, "status": DELIVERED}])
            return _row(connection, COMPLETED_ORDERS, order_id)

    def cancel(self, order_id: int) -> None:
        """The order is gone, as if never placed. A completed one stays: the goods and the money have changed hands.

        Raises AlreadyCompleted.
        """
        with self._pool.connection() as connection, connection.transaction():
            gone = connection.execute(f"DELETE FROM {quoted(ORDERS.name)} WHERE order_id = %s AND status <> %s", (order_id, DELIVERED))
            if not gone.rows:
                _row(connection, ORDERS, order_id)
                raise AlreadyCompleted(f"order {order_id} is completed: what has been delivered cannot be cancelled")

    def _create(self, table: Table, values: Row) -> Row:
        names, marks = ", ".join(map(quoted, values)), ", ".join(["%s"] * len(values))
        with self._pool.connection() as connection, connection.transaction():
            done = connection.execute(f"INSERT INTO {quoted(table.name)} ({names}) VALUES ({marks})", tuple(values.values()))
            return _row(connection, table, done.inserted_id)

    def _page(self, table: Table, limit: int, offset: int, where: str = "", parameters: Sequence[Any] = (), order: str = "ASC") -> list[Row]:
        rest = f"{where} ORDER BY {quoted(table.primary_key)} {order} LIMIT %s OFFSET %s"
        with self._pool.connection() as connection:
            return connection.query(_select(table, rest), (*parameters, limit, offset))


def _select(table: Table, rest: str) -> str:
    return f"SELECT {', '.join(map(quoted, table.column_names))} FROM {quoted(table.name)} {rest}"


def _row(connection: Connection, table: Table, key: int) -> Row:
    rows = connection.query(_select(table, f"WHERE {quoted(table.primary_key)} = %s"), (key,))
    if not rows:
        raise Unknown(f"there is no {ONE[table.name]} {key}")
    return rows[0]
