"""The shop's four tables: columns, keys and MySQL types, and the DDL that creates them."""

from dataclasses import dataclass

# orders.status and completed_orders.status.
OPEN = "0"
DELIVERED = "1"

# Columns that are read by name outside of the shop.
USER_ID = "user_id"
PRODUCT_ID = "product_id"
ORDER_ID = "order_id"
ORDERED_AT = "orderedAt"


@dataclass(frozen=True)
class Column:
    """A column with its MySQL type; never NULL, since no column of the shop is."""

    name: str
    mysql_type: str
    auto_increment: bool = False
    default: str = ""


@dataclass(frozen=True)
class ForeignKey:
    """A column whose value must be the primary key of a row in another table."""

    column: str
    table: str
    referenced: str


@dataclass(frozen=True)
class Table:
    """One table of the shop's database."""

    name: str
    columns: tuple[Column, ...]
    primary_key: str
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(column.name for column in self.columns)

    def length(self, column: str) -> int:
        """Return how many characters a VARCHAR column takes."""
        kind = next(c.mysql_type for c in self.columns if c.name == column)
        return int(kind.removeprefix("VARCHAR(").removesuffix(")"))


STATUS = f"ENUM('{OPEN}','{DELIVERED}')"

USER = Table(
    "user",
    (
        Column("id", "BIGINT", auto_increment=True),
        Column("name", "VARCHAR(100)"),
        Column("address", "VARCHAR(255)"),
    ),
    primary_key="id",
)

PRODUCTS = Table(
    "products",
    (
        Column(PRODUCT_ID, "BIGINT", auto_increment=True),
        Column("category", "VARCHAR(100)"),
        Column("name", "VARCHAR(255)"),
    ),
    primary_key=PRODUCT_ID,
)

ORDERS = Table(
    "orders",
    (
        Column(ORDER_ID, "BIGINT", auto_increment=True),
        Column(USER_ID, "BIGINT"),
        Column(PRODUCT_ID, "BIGINT"),
        Column(ORDERED_AT, "TIMESTAMP", default="CURRENT_TIMESTAMP"),
        Column("status", STATUS, default=f"'{OPEN}'"),
    ),
    primary_key=ORDER_ID,
    foreign_keys=(
        ForeignKey(USER_ID, "user", "id"),
        ForeignKey(PRODUCT_ID, "products", PRODUCT_ID),
    ),
    indexes=(("status",),),
)

COMPLETED_ORDERS = Table(
    "completed_orders",
    (
        Column(ORDER_ID, "BIGINT"),
        Column("completedAt", "TIMESTAMP", default="CURRENT_TIMESTAMP"),
        Column("status", STATUS, default=f"'{DELIVERED}'"),
    ),
    primary_key=ORDER_ID,
    foreign_keys=(ForeignKey(ORDER_ID, "orders", ORDER_ID),),
)

# A table comes after the tables that it refers to.
TABLES = (USER, PRODUCTS, ORDERS, COMPLETED_ORDERS)


def quoted(name: str) -> str:
    """Return a MySQL identifier between backticks."""
    return "`" + name.replace("`", "``") + "`"


def create_table(table: Table) -> str:
    """Return the MySQL statement that creates the table unless it exists.

    Foreign keys restrict and never cascade: InnoDB executes a cascade below the binlog, so that the
    log would not have the removal of the child rows, and every view of it would keep them.
    """
    lines = [
        *(_column(column) for column in table.columns),
        f"PRIMARY KEY ({quoted(table.primary_key)})",
        *(f"INDEX ({', '.join(map(quoted, columns))})" for columns in table.indexes),
        *(_foreign_key(table, key) for key in table.foreign_keys),
    ]
    body = ",\n  ".join(lines)
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(table.name)} (\n  {body}\n) ENGINE=InnoDB "
        "DEFAULT CHARSET=utf8mb4"
    )


def _column(column: Column) -> str:
    default = f" DEFAULT {column.default}" if column.default else ""
    return (
        f"{quoted(column.name)} {column.mysql_type} NOT "
        f"NULL{default}{' AUTO_INCREMENT' if column.auto_increment else ''}"
    )


def _foreign_key(table: Table, key: ForeignKey) -> str:
    name = quoted(f"{table.name}_{key.column}")
    return (
        f"CONSTRAINT {name} FOREIGN KEY ({quoted(key.column)}) REFERENCES {quoted(key.table)} "
        f"({quoted(key.referenced)})"
    )
