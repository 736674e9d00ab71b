"""Tables like the shop's orders, in the captured database, for a measurement of capture.

Their names begin with `bench_`, so that they are nobody else's. They have no foreign keys.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from connectors.mysql import client as mysql
from connectors.mysql.client import Connection
from connectors.runtime.settings import Settings
from infra.terminal.progress_line import Report
from schemas.errors import KappaError
from schemas.shop_tables import ORDERS, create_table, quoted

PREFIX = "bench_"
FILL_ROWS = 50_000
FILL_SECONDS = 600
FIRST_ID = 1
TABLES_WITH_PREFIX = (
    "SELECT table_name AS name FROM information_schema.tables "
    "WHERE table_schema = %s AND LEFT(table_name, %s) = %s"
)


@contextmanager
def order_tables(
    settings: Settings, prefix: str, names: Sequence[str]
) -> Iterator[Connection]:
    """Create empty tables for the block; yield a connection that may also write beside the log.

    All tables of the prefix are dropped before and after, those of a killed run among them. Raises
    KappaError if the capture rules leave them out.
    """
    assert prefix.startswith(PREFIX)
    for name in names:
        if not settings.mysql.capture_rules.captures(name):
            raise KappaError(
                f"the table {name} of the measurement would not be captured",
                "see mysql.include_tables and mysql.exclude_tables in docs/settings.md",
            )
    drop_tables(settings, prefix)
    try:
        with _connect(settings) as connection:
            for name in names:
                connection.execute(
                    create_table(replace(ORDERS, name=name, foreign_keys=()))
                )
            yield connection
    finally:
        # Over another connection: Ctrl-C may have broken off a statement of that one.
        drop_tables(settings, prefix)


def drop_tables(settings: Settings, prefix: str) -> None:
    """Drop the tables of a prefix, from where capture takes them out of Hive."""
    database = settings.mysql.database
    with _connect(settings) as connection:
        rows = connection.query(TABLES_WITH_PREFIX, (database, len(prefix), prefix))
        for row in rows:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(str(row['name']))}")


def fill(
    connection: Connection,
    names: Sequence[str],
    first_id: int,
    last_id: int,
    report: Report,
) -> None:
    """Insert the orders from `first_id` to `last_id` into each table."""
    total = len(names) * (last_id - first_id + 1)
    count = 0
    connection.execute(f"SET SESSION cte_max_recursion_depth = {FILL_ROWS + 1}")
    for name in names:
        for first, last in id_ranges(first_id, last_id):
            connection.execute(fill_statement(name, first, last))
            count += last - first + 1
            report("filling MySQL", count / total, f"{count:,} of {total:,} rows")


@contextmanager
def without_log(connection: Connection) -> Iterator[None]:
    """Keep what a session writes in the block out of the binary log."""
    connection.execute("SET SESSION sql_log_bin = 0")
    yield
    # A connection that fails in the block is closed, and the setting with it.
    connection.execute("SET SESSION sql_log_bin = 1")


def id_ranges(first_id: int, last_id: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of at most FILL_ROWS ids, both ends included."""
    for first in range(first_id, last_id + 1, FILL_ROWS):
        yield first, min(first + FILL_ROWS - 1, last_id)


def fill_statement(table: str, first: int, last: int) -> str:
    """Return the statement that inserts orders with these ids, spread over 300 days."""
    # MOD, since the driver takes a percent sign for a parameter.
    return (
        f"INSERT INTO {quoted(table)} (order_id, user_id, product_id, orderedAt, status) "
        f"WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL "
        f"SELECT n + 1 FROM numbers WHERE n < {last}) "
        "SELECT n, 1 + MOD(n * 7919, 100000), 1 + MOD(n * 104729, 500), "
        "TIMESTAMP'2026-01-01 00:00:00' + INTERVAL MOD(n * 97, 25920000) SECOND, "
        "IF(MOD(n, 2), '0', '1') FROM numbers"
    )


def row_count(connection: Connection, table: str) -> int:
    """Return how many rows MySQL has."""
    (row,) = connection.query(f"SELECT COUNT(*) AS count FROM {quoted(table)}")
    return int(row["count"])


def _connect(settings: Settings) -> Connection:
    login = settings.login("mysql.admin")
    return mysql.connect(
        settings.mysql, login, settings.mysql.database, answer_seconds=FILL_SECONDS
    )
