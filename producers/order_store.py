"""The shop's users, products and orders in MySQL. Each method is one transaction."""

from collections.abc import Sequence
from typing import Any

from connectors.mysql.client import NO_SUCH_PARENT, Connection, Pool, SqlRefused
from schemas.errors import Refused
from schemas.shop_tables import (
    COMPLETED_ORDERS,
    DELIVERED,
    OPEN,
    ORDERS,
    PRODUCTS,
    USER,
    Table,
    quoted,
)

Row = dict[str, Any]

# The name of a row of each table, for messages.
ROW_NAMES = {
    USER.name: "user",
    PRODUCTS.name: "product",
    ORDERS.name: "order",
    COMPLETED_ORDERS.name: "completed order",
}


class UnknownKey(Refused):
    """There is no row with this key."""


class BadReference(Refused):
    """A field of a new row names a row that does not exist."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class AlreadyCompleted(Refused):
    """An order can neither be completed twice nor be cancelled once completed."""


class Store:
    """Reads and writes the shop's tables.

    Every method raises Unavailable while MySQL does not answer. Those with a key raise
    UnknownKey if it has no row.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def check(self) -> None:
        """Return if the database can be read."""
        with self._pool.connection() as connection:
            connection.query(_select(USER, "LIMIT 1"))

    def users(self, limit: int, offset: int) -> list[Row]:
        """Return users by ascending id."""
        return self._page(USER, limit, offset)

    def user(self, user_id: int) -> Row:
        """Return one user."""
        with self._pool.connection() as connection:
            return _row(connection, USER, user_id)

    def create_user(self, name: str, address: str) -> Row:
        """Create a user, and return it."""
        return self._create(USER, {"name": name, "address": address})

    def change_address(self, user_id: int, address: str) -> Row:
        """Change a user's address, and return the user."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(
                f"UPDATE {quoted(USER.name)} SET address = %s WHERE id = %s",
                (address, user_id),
            )
            return _row(connection, USER, user_id)

    def products(self, limit: int, offset: int) -> list[Row]:
        """Return products by ascending id."""
        return self._page(PRODUCTS, limit, offset)

    def product(self, product_id: int) -> Row:
        """Return one product."""
        with self._pool.connection() as connection:
            return _row(connection, PRODUCTS, product_id)

    def create_product(self, category: str, name: str) -> Row:
        """Create a product, and return it."""
        return self._create(PRODUCTS, {"category": category, "name": name})

    def orders(self, limit: int, offset: int, delivered: bool | None) -> list[Row]:
        """Return orders by descending id, with `delivered` only those that are or are not."""
        if delivered is None:
            return self._page(ORDERS, limit, offset, direction="DESC")
        return self._page(
            ORDERS,
            limit,
            offset,
            where="WHERE status = %s",
            parameters=(DELIVERED if delivered else OPEN,),
            direction="DESC",
        )

    def order(self, order_id: int) -> Row:
        """Return one order."""
        with self._pool.connection() as connection:
            return _row(connection, ORDERS, order_id)

    def create_order(self, user_id: int, product_id: int) -> Row:
        """Place an order, and return it.

        Raises BadReference if there is no such user or product.
        """
        try:
            return self._create(ORDERS, {"user_id": user_id, "product_id": product_id})
        except SqlRefused as error:
            if error.errno != NO_SUCH_PARENT:
                raise
            raise self._missing_parent(user_id, product_id) from error

    def _missing_parent(self, user_id: int, product_id: int) -> BadReference:
        try:
            self.user(user_id)
        except UnknownKey as error:
            return BadReference("user_id", str(error))
        return BadReference("product_id", f"there is no product {product_id}")

    def complete(self, order_id: int) -> Row:
        """Complete an order, and return the row of `completed_orders`.

        The order's status and that row change together. Raises AlreadyCompleted.
        """
        with self._pool.connection() as connection, connection.transaction():
            update = connection.execute(
                f"UPDATE {quoted(ORDERS.name)} SET status = %s "
                "WHERE order_id = %s AND status <> %s",
                (DELIVERED, order_id, DELIVERED),
            )
            if not update.rows:
                _row(connection, ORDERS, order_id)
                raise AlreadyCompleted(f"order {order_id} is completed already")
            completion = {"order_id": order_id, "status": DELIVERED}
            connection.insert(COMPLETED_ORDERS.name, [completion])
            return _row(connection, COMPLETED_ORDERS, order_id)

    def cancel(self, order_id: int) -> None:
        """Delete an order. Raises AlreadyCompleted, since a delivered order stays."""
        with self._pool.connection() as connection, connection.transaction():
            deletion = connection.execute(
                f"DELETE FROM {quoted(ORDERS.name)} WHERE order_id = %s AND status <> %s",
                (order_id, DELIVERED),
            )
            if not deletion.rows:
                _row(connection, ORDERS, order_id)
                raise AlreadyCompleted(
                    f"order {order_id} is completed: what has been delivered cannot be cancelled"
                )

    def _create(self, table: Table, values: Row) -> Row:
        names = ", ".join(map(quoted, values))
        marks = ", ".join(["%s"] * len(values))
        with self._pool.connection() as connection, connection.transaction():
            insertion = connection.execute(
                f"INSERT INTO {quoted(table.name)} ({names}) VALUES ({marks})",
                tuple(values.values()),
            )
            return _row(connection, table, insertion.inserted_id)

    def _page(
        self,
        table: Table,
        limit: int,
        offset: int,
        *,
        where: str = "",
        parameters: Sequence[Any] = (),
        direction: str = "ASC",
    ) -> list[Row]:
        key = quoted(table.primary_key)
        rest = f"{where} ORDER BY {key} {direction} LIMIT %s OFFSET %s"
        with self._pool.connection() as connection:
            return connection.query(_select(table, rest), (*parameters, limit, offset))


def _select(table: Table, rest: str) -> str:
    columns = ", ".join(map(quoted, table.column_names))
    return f"SELECT {columns} FROM {quoted(table.name)} {rest}"


def _row(connection: Connection, table: Table, key: int) -> Row:
    statement = _select(table, f"WHERE {quoted(table.primary_key)} = %s")
    rows = connection.query(statement, (key,))
    if not rows:
        raise UnknownKey(f"there is no {ROW_NAMES[table.name]} {key}")
    return rows[0]
