"""The live counts as readers find them in Cassandra: one table per question, rendered as CQL.

A row counts the events of one subject, in one event-time window, that one Kafka partition holds; a window's answer is the sum
of its rows. `last_offset` is the last event that the count includes, and with the generation it is the row's write time:
whoever has seen less of the log can never overwrite whoever has seen more.
"""

from dataclasses import dataclass

from schemas import events, topics

# Counts rebuilt from the start of the log get the next number, and win over every write of the one before.
GENERATION = 1
OFFSET_BITS = 48


@dataclass(frozen=True)
class Column:
    """A column and what it means."""

    name: str
    type: str
    doc: str


@dataclass(frozen=True)
class View:
    """A table of counts. `subject` is its partition key: what is counted per window."""

    name: str
    question: str
    topic: str
    subject: Column
    example: str

    @property
    def clustering(self) -> tuple[Column, ...]:
        """The rest of the primary key, in its order: newest window first."""
        return (CREATED_AT, KAFKA_PARTITION)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in the order of the table's declaration and of `upsert`'s arguments."""
        return (self.subject, *self.clustering, VIEW_COUNT, LAST_OFFSET)


CREATED_AT = Column("created_at", "timestamp", "start of the event-time window, UTC")
KAFKA_PARTITION = Column("kafka_partition", "int", "the partition whose events this row counts")
VIEW_COUNT = Column("view_count", "bigint", "views in the window")
LAST_OFFSET = Column("last_offset", "bigint", "offset of the last event that the count includes")

PRODUCT_VIEWS = View(
    name="product_view",
    question="How often was a product looked at, window by window?",
    topic=topics.PRODUCT_VIEW,
    subject=Column(events.SUBJECT_ID[topics.PRODUCT_VIEW], "bigint", "the product"),
    example="SELECT created_at, sum(view_count) AS views FROM ecommerce.product_view WHERE product_id = 7 GROUP BY created_at LIMIT 6",
)
ORDER_VIEWS = View(
    name="order_view",
    question="How often was the status of an order checked, window by window?",
    topic=topics.ORDER_VIEW,
    subject=Column(events.SUBJECT_ID[topics.ORDER_VIEW], "bigint", "the order"),
    example="SELECT sum(view_count) AS checks FROM ecommerce.order_view WHERE order_id = 42 AND created_at >= '2026-01-01 00:00:00+0000'",
)
VIEWS = (PRODUCT_VIEWS, ORDER_VIEWS)


def write_time(generation: int, last_offset: int) -> int:
    """Cassandra's timestamp of a row's write: a later generation wins over an earlier one, then the larger offset over the smaller."""
    return (generation << OFFSET_BITS) + last_offset + 1


def create_table(view: View, keyspace: str) -> str:
    """The statement that makes a view's table, if it does not exist."""
    columns = ", ".join(f"{column.name} {column.type}" for column in view.columns)
    rest = ", ".join(column.name for column in view.clustering)
    return (
        f"CREATE TABLE IF NOT EXISTS {keyspace}.{view.name} ({columns}, PRIMARY KEY (({view.subject.name}), {rest})) "
        f"WITH CLUSTERING ORDER BY ({CREATED_AT.name} DESC, {KAFKA_PARTITION.name} ASC) AND comment = '{_quoted(view.question)}'"
    )


def upsert(view: View, keyspace: str) -> str:
    """The prepared statement that writes a row; its arguments are the view's columns and `write_time`."""
    names = ", ".join(column.name for column in view.columns)
    marks = ", ".join("?" for _ in view.columns)
    return f"INSERT INTO {keyspace}.{view.name} ({names}) VALUES ({marks}) USING TIMESTAMP ?"


def select_row(view: View, keyspace: str) -> str:
    """The prepared statement that reads a row's count and last offset; its arguments are the primary key."""
    key = " AND ".join(f"{column.name} = ?" for column in (view.subject, *view.clustering))
    return f"SELECT {VIEW_COUNT.name}, {LAST_OFFSET.name} FROM {keyspace}.{view.name} WHERE {key}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
