"""The shop's first users and products: made up, plausible, and the same for the same seed."""

from collections.abc import Callable
from random import Random

from connectors.mysql import Connection, connect
from infra.settings import Settings
from producers.words import CATEGORIES, FIRST_NAMES, LAST_NAMES, STREETS, TOWNS
from schemas.tables import PRODUCTS, USER, Table, quoted

BATCH = 5000
# How many of a product's first names may be taken already before it gets a number.
TRIES = 20

Row = dict[str, str]


def address(random: Random) -> str:
    """A postal address on one line."""
    code, town = random.choice(TOWNS)
    return f"{random.randint(1, 180)} {random.choice(STREETS)}, {code} {town}"


def user(random: Random) -> Row:
    """A user's name and address."""
    return {"name": f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}", "address": address(random)}


def product(random: Random) -> Row:
    """A product's category and name."""
    category = random.choice(tuple(CATEGORIES))
    things, kinds = CATEGORIES[category]
    return {"category": category, "name": f"{random.choice(kinds)} {random.choice(things)}"}


def users(seed: int, count: int) -> list[Row]:
    """The first users."""
    random = Random(f"users {seed}")
    return [user(random) for _ in range(count)]


def products(seed: int, count: int) -> list[Row]:
    """The first products, no two of one name."""
    random, taken = Random(f"products {seed}"), set[str]()
    return [_named_apart(random, taken) for _ in range(count)]


def load_seed(settings: Settings, progress: Callable[[str], None]) -> None:
    """Fill the tables of users and products, each in one transaction and only if it is empty; `progress` hears what was done.

    Raises Unavailable if MySQL does not answer.
    """
    site = settings.site
    with connect(settings.mysql, settings.login("mysql.shop"), settings.mysql.database) as connection:
        if _fill(connection, USER, lambda: users(site.seed, site.users)):
            progress(f"{site.users} users")
        if _fill(connection, PRODUCTS, lambda: products(site.seed, site.products)):
            progress(f"{site.products} products")


def _named_apart(random: Random, taken: set[str]) -> Row:
    """A product whose name is new; when names run short, of a numbered series."""
    for _ in range(TRIES):
        row = product(random)
        if row["name"] not in taken:
            break
    else:
        row["name"] = f"{row['name']} No. {len(taken) + 1}"
    taken.add(row["name"])
    return row


def _fill(connection: Connection, table: Table, rows: Callable[[], list[Row]]) -> bool:
    with connection.transaction():
        if connection.query(f"SELECT 1 FROM {quoted(table.name)} LIMIT 1"):
            return False
        made = rows()
        for start in range(0, len(made), BATCH):
            connection.insert(table.name, made[start : start + BATCH])
        return bool(made)
