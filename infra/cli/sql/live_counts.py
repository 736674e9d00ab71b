"""The live counts in Cassandra as tables of DuckDB: read for a statement, as Arrow.

All uses of a table in one statement see the same rows. The counts are those of the moment, also
beside an older version of the warehouse.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from connectors.runtime.settings import Settings
from infra.cli.sql.column_types import quoted_name
from schemas.count_tables import VIEWS, View

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from connectors.cassandra.client import Row, Session

SCHEMA = "live"
PAGE_ROWS = 5000
# To import Arrow takes longer than to hand over so few rows as they are.
FEW_ROWS = 2000
VIEWS_BY_NAME = {view.name: view for view in VIEWS}

# DuckDB's types of CQL's. A product and its views are a tuple in Cassandra, whose fields have no
# names.
TOP_LIST = "frozen<list<frozen<tuple<bigint, bigint>>>>"
TYPES = {
    "bigint": "BIGINT",
    "int": "INTEGER",
    "timestamp": "TIMESTAMP",
    "blob": "BLOB",
    TOP_LIST: "STRUCT(product_id BIGINT, view_count BIGINT)[]",
}

# Called with the number of rows read so far.
OnRows = Callable[[int], None]


def columns_of(view: View) -> list[tuple[str, str]]:
    """Return the names and DuckDB types of a table's columns."""
    return [(column.name, TYPES[column.type]) for column in view.columns]


def create_table(view: View) -> str:
    """Return the statement that creates a table without rows, in place of an earlier one."""
    columns = ", ".join(f"{quoted_name(name)} {kind}" for name, kind in columns_of(view))
    return f"CREATE OR REPLACE TABLE {SCHEMA}.{quoted_name(view.name)} ({columns})"


class LiveCounts:
    """Reads the active generation of the counts. Connects with its first read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._resources = ExitStack()
        self._session: Session | None = None

    def read_rows(
        self,
        connection: "duckdb.DuckDBPyConnection",
        view: View,
        keys: Sequence[int] | None,
        on_rows: OnRows,
    ) -> None:
        """Create a table with the rows of some keys, or with all rows (`keys` is None).

        Raises Unavailable, Refused.
        """
        connection.execute(create_table(view))
        count = 0
        for rows in self._pages(view, keys):
            count += len(rows)
            on_rows(count)
            if rows:
                _insert_rows(connection, view, rows)

    def close(self) -> None:
        """End the connection to Cassandra, if there is one."""
        self._session = None
        self._resources.close()

    def _pages(self, view: View, keys: Sequence[int] | None) -> "Iterable[list[Row]]":
        from connectors.cassandra import generations

        session = self._connect()
        # Each time, since another generation may be active since the last statement.
        base = self._settings.cassandra.keyspace
        keyspace = generations.active(session, base).keyspace
        names = ", ".join(column.name for column in view.columns)
        select = f"SELECT {names} FROM {keyspace}.{view.name}"
        if keys is None:
            return session.pages(select, PAGE_ROWS)
        return _pages_of_keys(session, f"{select} WHERE {view.partition_key.name}", keys)

    def _connect(self) -> "Session":
        from connectors.cassandra import client

        if self._session is None:
            login = self._settings.login("cassandra.reader")
            connection = client.connect(self._settings.cassandra, login)
            self._session = self._resources.enter_context(connection)
        return self._session


def _pages_of_keys(
    session: "Session", condition: str, keys: Sequence[int]
) -> "Iterator[list[Row]]":
    for key in keys:
        yield from session.pages(f"{condition} = {key}", PAGE_ROWS)


def _insert_rows(
    connection: "duckdb.DuckDBPyConnection", view: View, rows: "Sequence[Row]"
) -> None:
    if len(rows) <= FEW_ROWS:
        values = ", ".join(f"unnest(CAST(? AS {kind}[]))" for _, kind in columns_of(view))
        connection.execute(
            f"INSERT INTO {SCHEMA}.{quoted_name(view.name)} SELECT {values}",
            columns_of_rows(view, rows),
        )
        return
    with _registered(connection, arrow_rows(view, rows)) as name:
        connection.execute(
            f"INSERT INTO {SCHEMA}.{quoted_name(view.name)} SELECT * FROM {name}"
        )


@contextmanager
def _registered(connection: "duckdb.DuckDBPyConnection", rows: "pa.Table") -> Iterator[str]:
    connection.register("page", rows)
    try:
        yield "page"
    finally:
        connection.unregister("page")


def arrow_rows(view: View, rows: "Sequence[Row]") -> "pa.Table":
    """Return rows of Cassandra as Arrow, with the columns of the view in its order."""
    import pyarrow as pa

    pair = pa.struct([("product_id", pa.int64()), ("view_count", pa.int64())])
    arrow_types = {
        "bigint": pa.int64(),
        "int": pa.int32(),
        "timestamp": pa.timestamp("us"),
        "blob": pa.binary(),
        TOP_LIST: pa.list_(pair),
    }
    arrays = []
    for column, values in zip(view.columns, columns_of_rows(view, rows), strict=True):
        arrays.append(pa.array(values, arrow_types[column.type]))
    return pa.table(arrays, names=[column.name for column in view.columns])


def columns_of_rows(view: View, rows: "Sequence[Row]") -> list[list[Any]]:
    """Return the values of each column, in the view's order."""
    columns = []
    for column, values in zip(view.columns, zip(*rows, strict=True), strict=True):
        is_top_list = column.type == TOP_LIST
        columns.append(list(map(_pairs, values)) if is_top_list else list(values))
    return columns


def _pairs(products: Sequence[tuple[int, int]] | None) -> list[dict[str, int]] | None:
    if products is None:
        return None
    return [{"product_id": product, "view_count": views} for product, views in products]
