"""The shop's first users and products: invented, plausible, the same for the same seed."""

from collections.abc import Callable
from random import Random

from connectors.mysql.client import Connection, connect
from connectors.runtime.settings import Settings
from producers.words import CATEGORIES, FIRST_NAMES, LAST_NAMES, STREETS, TOWNS
from schemas.shop_tables import PRODUCTS, USER, Table, quoted

BATCH_ROWS = 5000
# After so many names that exist already, a product gets a name with a number.
MAX_NAME_ATTEMPTS = 20

Row = dict[str, str]


def address(random: Random) -> str:
    """Return a postal address on one line."""
    code, town = random.choice(TOWNS)
    return f"{random.randint(1, 180)} {random.choice(STREETS)}, {code} {town}"


def user(random: Random) -> Row:
    """Return a user's name and address."""
    name = f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}"
    return {"name": name, "address": address(random)}


def product(random: Random) -> Row:
    """Return a product's category and name."""
    category = random.choice(tuple(CATEGORIES))
    things, kinds = CATEGORIES[category]
    name = f"{random.choice(kinds)} {random.choice(things)}"
    return {"category": category, "name": name}


def users(seed: int, count: int) -> list[Row]:
    """Return the first users."""
    random = Random(f"users {seed}")
    return [user(random) for _ in range(count)]


def products(seed: int, count: int) -> list[Row]:
    """Return the first products, each with a different name."""
    random = Random(f"products {seed}")
    names = set[str]()
    return [_product_with_new_name(random, names) for _ in range(count)]


def load_seed(settings: Settings, progress: Callable[[str], None]) -> None:
    """Fill the tables of users and products, each in one transaction.

    A table that has rows is left as it is. `progress` is called with what was inserted.
    Raises Unavailable if MySQL does not answer.
    """
    site = settings.site
    login = settings.login("mysql.shop")
    with connect(settings.mysql, login, settings.mysql.database) as connection:
        if _fill(connection, USER, lambda: users(site.seed, site.users)):
            progress(f"{site.users} users")
        if _fill(connection, PRODUCTS, lambda: products(site.seed, site.products)):
            progress(f"{site.products} products")


def _product_with_new_name(random: Random, names: set[str]) -> Row:
    """Return a product whose name is not in `names`, and add its name to them."""
    for _ in range(MAX_NAME_ATTEMPTS):
        row = product(random)
        if row["name"] not in names:
            break
    else:
        row["name"] = f"{row['name']} No. {len(names) + 1}"
    names.add(row["name"])
    return row


def _fill(
    connection: Connection, table: Table, create_rows: Callable[[], list[Row]]
) -> bool:
    """Insert rows into an empty table, and return whether any were inserted."""
    with connection.transaction():
        if connection.query(f"SELECT 1 FROM {quoted(table.name)} LIMIT 1"):
            return False
        rows = create_rows()
        for start in range(0, len(rows), BATCH_ROWS):
            connection.insert(table.name, rows[start : start + BATCH_ROWS])
        return bool(rows)
