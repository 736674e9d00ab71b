"""The layout of the warehouse: the Hive table of each topic, the partitioning of tables, and the
folders of files.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from schemas import topics
from schemas.hive.names import column_names, distinct_name, name_hash, readable_table_name

if TYPE_CHECKING:  # a quarter of a second, which commands that only read names need not pay
    import pyarrow as pa

# Hive's own name for the partition of rows without a partition value.
NO_DATE = "__HIVE_DEFAULT_PARTITION__"
# The one hive partition of a table that is not partitioned.
WHOLE = ""


class Kind(Enum):
    """The kinds of topics."""

    CHANGES = "changes"  # rows with a key: the latest counts
    FACTS = "facts"  # rows that are only ever added
    TRANSACTIONS = "transactions"  # archived, no warehouse table


@dataclass(frozen=True)
class Source:
    """A topic and the Hive table (in the lake, and for rows and facts in the warehouse) that it
    feeds.
    """

    topic: str
    table: str
    kind: Kind


@dataclass(frozen=True)
class Partitioning:
    """The partitioning of a table by the UTC date of a column."""

    column: str
    hive_column: str


PARTITIONING: dict[str, Partitioning] = {
    "orders": Partitioning("orderedAt", "order_date"),
    "completed_orders": Partitioning("completedAt", "completion_date"),
    topics.PRODUCT_VIEW: Partitioning("viewed_at", "view_date"),
    topics.ORDER_VIEW: Partitioning("viewed_at", "view_date"),
}

LAKE_PARTITION = "log_date"
TRANSACTION_TABLE = "transaction"


class TableNames:
    """The names in Hive of MySQL's tables, by topic. A topic keeps the name that it has.

    The first table to come gets the readable name, a later one that looks like it a hash too.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` are those that topics have."""
        self._names = dict(names)
        self._used_names = {*topics.CLICK_TOPICS, TRANSACTION_TABLE, *names.values()}

    def name(self, topic: str, wanted_name: str = "") -> str:
        """Return the name of a topic's table; a new one is `wanted_name` if that is free."""
        if topic not in self._names:
            self._names[topic] = self._new_name(topics.source_table(topic), wanted_name)
            self._used_names.add(self._names[topic])
        return self._names[topic]

    def _new_name(self, table: str, wanted_name: str) -> str:
        if wanted_name and wanted_name not in self._used_names:
            return wanted_name
        readable_name = readable_table_name(table)
        # Only the shop's own tables are partitioned, not one that is called alike.
        is_free = readable_name == table or readable_name not in PARTITIONING
        if is_free and readable_name not in self._used_names:
            return readable_name
        return distinct_name(readable_name, table)


def is_source(topic: str, database: str) -> bool:
    """Return whether the warehouse reads a topic."""
    has_fixed_name = topic in (*topics.CLICK_TOPICS, topics.TRANSACTIONS)
    return has_fixed_name or topics.table_of(topic, database) is not None


def source_of(topic: str, database: str, names: TableNames) -> Source | None:
    """Return the source that a topic is, None for a topic that the warehouse does not read."""
    if topic in topics.CLICK_TOPICS:
        return Source(topic, topic, Kind.FACTS)
    if topic == topics.TRANSACTIONS:
        return Source(topic, TRANSACTION_TABLE, Kind.TRANSACTIONS)
    if not is_source(topic, database):
        return None
    return Source(topic, names.name(topic), Kind.CHANGES)


def sources_among(
    all_topics: Iterable[str], database: str, names: TableNames
) -> list[Source]:
    """Return the sources among some topics.

    Of new tables that look alike, one whose name Hive can have is the first to get it.
    """
    ordered_topics = sorted(all_topics, key=_has_other_name)
    sources = [source_of(topic, database, names) for topic in ordered_topics]
    return [source for source in sources if source is not None]


def _has_other_name(topic: str) -> bool:
    name = topic.split(".", 2)[-1]
    return readable_table_name(name) != name


def partitioning(table: str, columns: "pa.Schema") -> Partitioning | None:
    """Return the partitioning of a table.

    None if it has none, if its column is no timestamp, or if one of the table's own columns has the
    name of Hive's partition column.
    """
    import pyarrow as pa

    declared_partitioning = PARTITIONING.get(table)
    if declared_partitioning is None or declared_partitioning.column not in columns.names:
        return None
    hive_names = {name.lower() for name in column_names(columns.names)}
    if declared_partitioning.hive_column in hive_names:
        return None
    column_type = columns.field(declared_partitioning.column).type
    return declared_partitioning if pa.types.is_timestamp(column_type) else None


def utc_dates(
    instants: "pa.Array | pa.ChunkedArray",
) -> "pa.Array | pa.ChunkedArray":
    """Return the hive partition ('YYYY-MM-DD' of UTC) of each instant."""
    import pyarrow as pa

    utc_timestamps = instants.cast(pa.int64()).cast(pa.timestamp("us"))
    dates = utc_timestamps.cast(pa.date32(), safe=False)
    return dates.cast(pa.string()).fill_null(NO_DATE)


def lake_folder(root: str, topic: str) -> str:
    """Return the folder of a topic's archive, with any characters in its name."""
    folder = topics.kafka_topic(topic)
    if folder != topic:
        folder = f"{folder}-{name_hash(topic)}"
    return f"{root}/data_lake/{folder}"


def lake_staging(root: str) -> str:
    """Return the folder of archive files whose version is not committed yet."""
    return f"{root}/data_lake/_staging"


def lake_location(root: str, topic: str, log_date: str, version: int, token: str) -> str:
    """Return the folder of one day of a topic's archive; a roll-up creates another."""
    return f"{lake_folder(root, topic)}/{LAKE_PARTITION}={log_date}/v={version}-{token}"


def table_folder(root: str, table: str) -> str:
    """Return the folder of a warehouse table."""
    return f"{root}/data_warehouse/{table}"


def partition_location(
    root: str,
    table: str,
    hive_column: str | None,
    hive_partition: str,
    version: int,
    token: str,
) -> str:
    """Return the folder of one hive partition in one version.

    The writer's token after the version keeps the files of a killed run apart from those of the run
    that repeats it.
    """
    inner = f"/{hive_column}={hive_partition}" if hive_column else ""
    return f"{table_folder(root, table)}{inner}/v={version}-{token}"


def bases_folder(root: str) -> str:
    """Return the folder of tables that were read from MySQL again."""
    return f"{root}/_bases"


def pinned_database(database: str, version: int) -> str:
    """Return the Hive database that always shows the same version of the warehouse."""
    return f"{database}_v{version}"


def past_database(database: str, name: str) -> str:
    """Return the Hive database of a past state."""
    return f"{database}_at_{re.sub('[^a-z0-9_]', '_', name.lower())}"


def past_folder(root: str, database: str) -> str:
    """Return the folder of a past state's files."""
    return f"{root}/_past/{database}"


def versions_folder(root: str) -> str:
    """Return the folder of the manifests."""
    return f"{root}/_versions"
