"""The live counts as readers see them in Cassandra: one table per question, rendered as CQL.

A row counts the events of one subject in one Kafka partition and one event-time window; the answer
to a question is the sum (or the union) over its rows. `last_offset` is the last event that the row
includes. With the generation it is the row's write time: a worker that has read less of the log
never overwrites one that has read more.
"""

from dataclasses import dataclass

from schemas import events, topics

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
# An order within this time after its user viewed the product counts as converted by the view.
CONVERSION_MS = 30 * MINUTE_MS
# The number of products in a row of `top_products`.
TOP = 20
# HyperLogLog with 2^11 registers: the standard error of a number of viewers is 1.04 / sqrt(2^11) =
# 2.3 %.
SKETCH_BITS = 11


@dataclass(frozen=True)
class Column:
    """A column and its meaning."""

    name: str
    type: str
    doc: str


@dataclass(frozen=True, kw_only=True)
class View:
    """A table: `partition_key` and `clustering` identify a row, `values` are its content.
    `newest_first` orders the first clustering column.
    """

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
        """All columns, in the order of `create_table` and of the arguments of `upsert`."""
        return (*self.key, *self.values)


KAFKA_PARTITION = Column(
    "kafka_partition", "int", "the partition whose events this row counts"
)
LAST_OFFSET = Column(
    "last_offset", "bigint", "offset of the last event that the row includes"
)
VIEW_COUNT = Column("view_count", "bigint", "views")
PRODUCT = Column(events.SUBJECT_ID[topics.PRODUCT_VIEW], "bigint", "the product")
ORDER = Column(events.SUBJECT_ID[topics.ORDER_VIEW], "bigint", "the order")


def _start(name: str, of: str) -> Column:
    return Column(name, "timestamp", f"start of the event-time {of}, UTC")


CREATED_AT = _start("created_at", "window")


@dataclass(frozen=True, kw_only=True)
class CountView(View):
    """A table of counts of a topic's events. `window_ms` is the length of its windows: 0 for the
    generation's own, None for no windows.
    """

    window_ms: int | None = 0


def _counts(
    name: str,
    question: str,
    subject: Column,
    time: Column | None,
    window_ms: int | None,
    example: str,
) -> CountView:
    clustering = (time, KAFKA_PARTITION) if time else (KAFKA_PARTITION,)
    topic = topics.PRODUCT_VIEW if subject is PRODUCT else topics.ORDER_VIEW
    return CountView(
        name=name,
        question=question,
        topic=topic,
        partition_key=subject,
        clustering=clustering,
        values=(VIEW_COUNT, LAST_OFFSET),
        example=example,
        newest_first=time is not None,
        window_ms=window_ms,
    )


PRODUCT_VIEWS = _counts(
    "product_view",
    "How often was a product looked at, window by window (ten seconds)?",
    PRODUCT,
    CREATED_AT,
    0,
    "SELECT created_at, sum(view_count) AS views FROM product_view WHERE product_id = 7 GROUP BY "
    "created_at LIMIT 6",
)
PRODUCT_VIEWS_BY_MINUTE = _counts(
    "product_view_by_minute",
    "How often was a product looked at, minute by minute?",
    PRODUCT,
    _start("minute", "minute"),
    MINUTE_MS,
    "SELECT minute, sum(view_count) AS views FROM product_view_by_minute WHERE product_id = 7 "
    "GROUP BY minute LIMIT 10",
)
PRODUCT_VIEWS_BY_HOUR = _counts(
    "product_view_by_hour",
    "How often was a product looked at, hour by hour?",
    PRODUCT,
    _start("hour", "hour"),
    HOUR_MS,
    "SELECT hour, sum(view_count) AS views FROM product_view_by_hour WHERE product_id = 7 GROUP "
    "BY hour LIMIT 24",
)
PRODUCT_VIEWS_TOTAL = _counts(
    "product_view_total",
    "How often was a product looked at altogether?",
    PRODUCT,
    None,
    None,
    "SELECT sum(view_count) AS views FROM product_view_total WHERE product_id = 7",
)
ORDER_VIEWS = _counts(
    "order_view",
    "How often was the status of an order checked, window by window (ten seconds)?",
    ORDER,
    CREATED_AT,
    0,
    "SELECT sum(view_count) AS checks FROM order_view WHERE order_id = 42 AND created_at >= "
    "'2026-01-01 00:00:00+0000'",
)
TOP_PRODUCTS = View(
    name="top_products",
    question=f"Which {TOP} products were looked at most in a window, and how often?",
    topic=topics.PRODUCT_VIEW,
    partition_key=CREATED_AT,
    clustering=(KAFKA_PARTITION,),
    values=(
        Column(
            "products",
            "frozen<list<frozen<tuple<bigint, bigint>>>>",
            "product and views, the most viewed first",
        ),
        LAST_OFFSET,
    ),
    example="SELECT products FROM top_products WHERE created_at = '2026-01-01 12:00:10+0000'",
    newest_first=False,
)
VIEWERS = View(
    name="product_viewers_by_hour",
    question="How many different people looked at a product, hour by hour (within 2.3 %)?",
    topic=topics.PRODUCT_VIEW,
    partition_key=PRODUCT,
    clustering=(_start("hour", "hour"), KAFKA_PARTITION),
    values=(
        Column("viewers", "bigint", "how many, estimated from the sketch"),
        Column("sketch", "blob", "HyperLogLog registers"),
        LAST_OFFSET,
    ),
    example="SELECT hour, viewers FROM product_viewers_by_hour WHERE product_id = 7 LIMIT 24",
)
CONVERSION = View(
    name="conversion_by_minute",
    question="Of the orders of a product placed in a minute, how many had been preceded, within 30 "
    "minutes, by a look of the same user?",
    topic="orders",
    partition_key=PRODUCT,
    clustering=(_start("minute", "minute of the order"), ORDER),
    values=(
        Column(
            "converted",
            "int",
            "1 if the user had looked at the product within the 30 minutes before the order, "
            "else 0",
        ),
        Column("user_id", "bigint", "who ordered"),
        Column("ordered_at", "timestamp", "when, UTC"),
    ),
    example="SELECT minute, count(*) AS orders, sum(converted) AS converted FROM "
    "conversion_by_minute WHERE product_id = 7 GROUP BY minute LIMIT 10",
)

COUNTS = (
    PRODUCT_VIEWS,
    PRODUCT_VIEWS_BY_MINUTE,
    PRODUCT_VIEWS_BY_HOUR,
    PRODUCT_VIEWS_TOTAL,
    ORDER_VIEWS,
)
VIEWS: tuple[View, ...] = (*COUNTS, TOP_PRODUCTS, VIEWERS, CONVERSION)


def keyspace_of(base: str, generation: int) -> str:
    """Return the keyspace of a generation; the first one has the name of the base."""
    return base if generation == 1 else f"{base}_g{generation}"


def create_table(view: View, keyspace: str) -> str:
    """Return the statement that creates a view's table, if it does not exist."""
    columns = ", ".join(f"{column.name} {column.type}" for column in view.columns)
    clustering = ", ".join(column.name for column in view.clustering)
    primary_key = f"(({view.partition_key.name}), {clustering})"
    order = ""
    if view.newest_first:
        newest = view.clustering[0].name
        order = f"CLUSTERING ORDER BY ({newest} DESC{_ascending(view)}) AND "
    comment = view.question.replace("'", "''")
    return (
        f"CREATE TABLE IF NOT EXISTS {keyspace}.{view.name} "
        f"({columns}, PRIMARY KEY {primary_key}) WITH {order}comment = '{comment}'"
    )


def upsert(view: View, keyspace: str) -> str:
    """Return the statement that writes a row; its arguments are the view's columns and the time of
    the write (processors/runtime/write_timestamp.py).
    """
    names = ", ".join(column.name for column in view.columns)
    marks = ", ".join("?" for _ in view.columns)
    return (
        f"INSERT INTO {keyspace}.{view.name} ({names}) VALUES ({marks}) USING TIMESTAMP ?"
    )


def select_rows(view: View, keyspace: str) -> str:
    """Return the statement that reads the partition keys and values of rows.

    Its arguments are a list of partition keys and the clustering columns.
    """
    first = view.partition_key.name
    names = ", ".join(column.name for column in (view.partition_key, *view.values))
    rest = "".join(f" AND {column.name} = ?" for column in view.clustering)
    return f"SELECT {names} FROM {keyspace}.{view.name} WHERE {first} IN ?{rest}"


def _ascending(view: View) -> str:
    return "".join(f", {column.name} ASC" for column in view.clustering[1:])
