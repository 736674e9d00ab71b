"""The live counts as readers find them in Cassandra: one table per question, rendered as CQL.

A row counts what one Kafka partition holds of one subject in one event-time window; the answer to a question is the sum (or the
union) over its rows. `last_offset` is the last event that the row includes, and with the generation it is the row's write time:
whoever has seen less of the log can never overwrite whoever has seen more.
"""

from dataclasses import dataclass

from schemas import events, topics

OFFSET_BITS = 48
SECOND_MS, MINUTE_MS, HOUR_MS = 1_000, 60_000, 3_600_000
# A product bought within this time after its buyer looked at it was bought because of the look.
CONVERSION_MS = 30 * MINUTE_MS
# The products that a window's row of `top_products` names.
TOP = 20
# HyperLogLog with 2^11 registers: the standard error of a number of viewers is 1.04 / sqrt(2^11) = 2.3 %.
SKETCH_BITS = 11


@dataclass(frozen=True)
class Column:
    """A column and what it means."""

    name: str
    type: str
    doc: str


@dataclass(frozen=True)
class View:
    """A table: `partition_key` and `clustering` find a row, `values` are its answer. `newest_first` orders the first clustering column."""

    name: str
    question: str
    topic: str
    partition_key: Column
    clustering: tuple[Column, ...]
    values: tuple[Column, ...]
    example: str
    newest_first: bool = True

    @property
    def key(self) -> tuple[Column, ...]:
        """The primary key, in its order."""
        return (self.partition_key, *self.clustering)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in the order of the table's declaration and of `upsert`'s arguments."""
        return (*self.key, *self.values)


KAFKA_PARTITION = Column("kafka_partition", "int", "the partition whose events this row counts")
LAST_OFFSET = Column("last_offset", "bigint", "offset of the last event that the row includes")
VIEW_COUNT = Column("view_count", "bigint", "views")
PRODUCT = Column(events.SUBJECT_ID[topics.PRODUCT_VIEW], "bigint", "the product")
ORDER = Column(events.SUBJECT_ID[topics.ORDER_VIEW], "bigint", "the order")


def _start(name: str, of: str) -> Column:
    return Column(name, "timestamp", f"start of the event-time {of}, UTC")


CREATED_AT = _start("created_at", "window")


@dataclass(frozen=True)
class CountView(View):
    """A table of counts of a topic's events. `window_ms` is the length of its windows: 0 for the generation's own, None for no windows."""

    window_ms: int | None = 0


def _counts(name: str, question: str, subject: Column, time: Column | None, window_ms: int | None, example: str) -> CountView:
    clustering = (time, KAFKA_PARTITION) if time else (KAFKA_PARTITION,)
    topic = topics.PRODUCT_VIEW if subject is PRODUCT else topics.ORDER_VIEW
    return CountView(name, question, topic, subject, clustering, (VIEW_COUNT, LAST_OFFSET), example, bool(time), window_ms)


PRODUCT_VIEWS = _counts(
    "product_view", "How often was a product looked at, window by window (ten seconds)?", PRODUCT, CREATED_AT, 0,
    "SELECT created_at, sum(view_count) AS views FROM product_view WHERE product_id = 7 GROUP BY created_at LIMIT 6",
)  # fmt: skip
PRODUCT_VIEWS_BY_MINUTE = _counts(
    "product_view_by_minute", "How often was a product looked at, minute by minute?", PRODUCT, _start("minute", "minute"), MINUTE_MS,
    "SELECT minute, sum(view_count) AS views FROM product_view_by_minute WHERE product_id = 7 GROUP BY minute LIMIT 10",
)  # fmt: skip
PRODUCT_VIEWS_BY_HOUR = _counts(
    "product_view_by_hour", "How often was a product looked at, hour by hour?", PRODUCT, _start("hour", "hour"), HOUR_MS,
    "SELECT hour, sum(view_count) AS views FROM product_view_by_hour WHERE product_id = 7 GROUP BY hour LIMIT 24",
)  # fmt: skip
PRODUCT_VIEWS_TOTAL = _counts(
    "product_view_total", "How often was a product looked at altogether?", PRODUCT, None, None,
    "SELECT sum(view_count) AS views FROM product_view_total WHERE product_id = 7",
)  # fmt: skip
ORDER_VIEWS = _counts(
    "order_view", "How often was the status of an order checked, window by window (ten seconds)?", ORDER, CREATED_AT, 0,
    "SELECT sum(view_count) AS checks FROM order_view WHERE order_id = 42 AND created_at >= '2026-01-01 00:00:00+0000'",
)  # fmt: skip
TOP_PRODUCTS = View(
    "top_products", f"Which {TOP} products were looked at most in a window, and how often?", topics.PRODUCT_VIEW,
    CREATED_AT, (KAFKA_PARTITION,),
    (Column("products", "frozen<list<frozen<tuple<bigint, bigint>>>>", "product and views, the most viewed first"), LAST_OFFSET),
    "SELECT products FROM top_products WHERE created_at = '2026-01-01 12:00:10+0000'", newest_first=False,
)  # fmt: skip
VIEWERS = View(
    "product_viewers_by_hour", "How many different people looked at a product, hour by hour (within 2.3 %)?", topics.PRODUCT_VIEW,
    PRODUCT, (_start("hour", "hour"), KAFKA_PARTITION),
    (Column("viewers", "bigint", "how many, estimated from the sketch"), Column("sketch", "blob", "HyperLogLog registers"), LAST_OFFSET),
    "SELECT hour, viewers FROM product_viewers_by_hour WHERE product_id = 7 LIMIT 24",
)  # fmt: skip
CONVERSION = View(
    "conversion_by_minute",
    "Of the orders of a product placed in a minute, how many had been preceded, within 30 minutes, by a look of the same user?",
    "orders", PRODUCT, (_start("minute", "minute of the order"), ORDER),
    (
        Column("converted", "int", "1 if the user had looked at the product within the 30 minutes before the order, else 0"),
        Column("user_id", "bigint", "who ordered"),
        Column("ordered_at", "timestamp", "when, UTC"),
    ),
    "SELECT minute, count(*) AS orders, sum(converted) AS converted FROM conversion_by_minute WHERE product_id = 7 GROUP BY minute LIMIT 10",
)  # fmt: skip

COUNTS = (PRODUCT_VIEWS, PRODUCT_VIEWS_BY_MINUTE, PRODUCT_VIEWS_BY_HOUR, PRODUCT_VIEWS_TOTAL, ORDER_VIEWS)
VIEWS: tuple[View, ...] = (*COUNTS, TOP_PRODUCTS, VIEWERS, CONVERSION)


def write_time(generation: int, version: int) -> int:
    """Cassandra's timestamp of a row's write: a later generation wins over an earlier one, then the higher version over the lower.

    The version of a count is its last offset; of an order's conversion, whether it is converted.
    """
    return (generation << OFFSET_BITS) + version + 1


def keyspace_of(base: str, generation: int) -> str:
    """The keyspace of a generation: the first has the base's own name."""
    return base if generation == 1 else f"{base}_g{generation}"


def create_table(view: View, keyspace: str) -> str:
    """The statement that makes a view's table, if it does not exist."""
    columns = ", ".join(f"{column.name} {column.type}" for column in view.columns)
    rest = ", ".join(column.name for column in view.clustering)
    order = f"CLUSTERING ORDER BY ({view.clustering[0].name} DESC{_ascending(view)}) AND " if view.newest_first else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {keyspace}.{view.name} ({columns}, PRIMARY KEY (({view.partition_key.name}), {rest})) "
        f"WITH {order}comment = '{_quoted(view.question)}'"
    )


def upsert(view: View, keyspace: str) -> str:
    """The prepared statement that writes a row; its arguments are the view's columns and `write_time`."""
    names = ", ".join(column.name for column in view.columns)
    marks = ", ".join("?" for _ in view.columns)
    return f"INSERT INTO {keyspace}.{view.name} ({names}) VALUES ({marks}) USING TIMESTAMP ?"


def select_rows(view: View, keyspace: str) -> str:
    """The prepared statement that reads partition key and values of rows; its arguments are a list of partition keys, and the clustering."""
    first = view.partition_key.name
    names = ", ".join(column.name for column in (view.partition_key, *view.values))
    rest = "".join(f" AND {column.name} = ?" for column in view.clustering)
    return f"SELECT {names} FROM {keyspace}.{view.name} WHERE {first} IN ?{rest}"


def _ascending(view: View) -> str:
    return "".join(f", {column.name} ASC" for column in view.clustering[1:])


def _quoted(text: str) -> str:
    return text.replace("'", "''")
