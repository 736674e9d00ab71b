"""The warehouse's shape: which topic feeds which Hive table, how tables are partitioned, and where files lie."""

import re
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from infra.errors import ContractError
from schemas import topics

NO_DATE = "__HIVE_DEFAULT_PARTITION__"  # Hive's own name for the partition of rows without a partition value
WHOLE = ""  # the one hive partition of a table that is not partitioned


class Kind(Enum):
    """What the records of a topic are to the warehouse."""

    CHANGES = "changes"  # rows with a key: the latest counts
    FACTS = "facts"  # rows that are only ever added
    TRANSACTIONS = "transactions"  # archived, no warehouse table


@dataclass(frozen=True)
class Source:
    """A topic and the Hive table (in the lake, and for rows and facts in the warehouse) that it feeds."""

    topic: str
    table: str
    kind: Kind


@dataclass(frozen=True)
class Partitioning:
    """A table cut by the UTC date of one of its columns."""

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


def source_of(topic: str, database: str) -> Source | None:
    """What a topic feeds, or None if it is nothing to the warehouse.

    Raises ContractError for a MySQL table whose name Hive cannot have, or that another topic has already.
    """
    if topic in topics.CLICK_TOPICS:
        return Source(topic, topic, Kind.FACTS)
    if topic == topics.TRANSACTIONS:
        return Source(topic, TRANSACTION_TABLE, Kind.TRANSACTIONS)
    table = topics.table_of(topic, database)
    if table is None:
        return None
    name = table.lower()
    if name in (*topics.CLICK_TOPICS, TRANSACTION_TABLE) or not re.fullmatch(r"\w+", name, re.ASCII):
        raise ContractError(f"table {table} cannot be a Hive table of that name", "rename the table in MySQL")
    return Source(topic, name, Kind.CHANGES)


def partitioning(table: str, columns: pa.Schema) -> Partitioning | None:
    """How a table is cut, or None for whole tables (also when its columns do not hold the instant it would be cut by)."""
    cut = PARTITIONING.get(table)
    if cut is None or cut.column not in columns.names:
        return None
    return cut if pa.types.is_timestamp(columns.field(cut.column).type) else None


def utc_dates(instants: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The hive partition ('YYYY-MM-DD' of UTC) of each instant."""
    days = instants.cast(pa.int64()).cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    return days.cast(pa.string()).fill_null(NO_DATE)


def lake_folder(root: str, topic: str) -> str:
    """The folder of a topic's archive."""
    return f"{root}/data_lake/{topic}"


def lake_staging(root: str) -> str:
    """Where archive files wait until the version that holds them is committed."""
    return f"{root}/data_lake/_staging"


def lake_location(root: str, topic: str, log_date: str, version: int, token: str) -> str:
    """The folder of one day of a topic's archive; a roll-up makes a new one."""
    return f"{lake_folder(root, topic)}/{LAKE_PARTITION}={log_date}/v={version}-{token}"


def table_folder(root: str, table: str) -> str:
    """The folder of a warehouse table."""
    return f"{root}/data_warehouse/{table}"


def partition_location(root: str, table: str, hive_column: str | None, hive_partition: str, version: int, token: str) -> str:
    """The folder of one hive partition in one version.

    The writer's token after the version keeps what a killed run left behind out of the run that repeats it.
    """
    inner = f"/{hive_column}={hive_partition}" if hive_column else ""
    return f"{table_folder(root, table)}{inner}/v={version}-{token}"


def pinned_database(database: str, version: int) -> str:
    """The Hive database that shows one version of the warehouse for good."""
    return f"{database}_v{version}"


def past_database(database: str, name: str) -> str:
    """The Hive database that shows a past state."""
    return f"{database}_at_{re.sub('[^a-z0-9_]', '_', name.lower())}"


def past_folder(root: str, database: str) -> str:
    """The folder of a past state's files."""
    return f"{root}/_past/{database}"


def versions_folder(root: str) -> str:
    """The folder of the manifests."""
    return f"{root}/_versions"
