"""The load of the replay benchmark: changes of orders as Debezium writes them, and their archive.

The changes are in a separate topic.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from connectors.hadoop.hdfs import Hdfs
from connectors.kafka import client as kafka
from connectors.kafka.admin import delete_topics, ensure_topics
from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.runtime.settings import Settings
from infra.bench.harness import click_load
from infra.terminal.progress_line import Report
from schemas.envelope import CREATE, DELETE, UPDATE
from schemas.gtid import GtidSet
from schemas.manifest import EMPTY_MANIFEST, LakeDay, LakeTable, Manifest
from schemas.topics import KEEP_EVERYTHING, Topic, change_topic
from schemas.warehouse_layout import Kind, Source, lake_staging
from spark.archive.archive_task import ArchiveTask, Connections, archive_ranges
from spark.log.range_reader import OffsetRange

DATABASE = "kappa_bench_replay"
ROOT = "/kappa_bench_replay"
TABLE = "orders"
ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
DAYS = 10
TRANSACTION_CHANGES = 50
# Shares of the changes; the others complete an order.
INSERT_SHARE = 0.6
DELETE_SHARE = 0.05
REPORT_EVERY = 5_000
FLUSH_SECONDS = 60.0

TEXT = ["null", "string"]
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        *({"name": name, "type": "long"} for name in ("order_id", "user_id", "product_id")),
        {
            "name": "orderedAt",
            "type": {"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"},
        },
        {"name": "status", "type": "string"},
    ],
}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "order_id", "type": "long"}]}


def _record(name: str, fields: list[tuple[str, Any]]) -> dict[str, Any]:
    avro_fields = [{"name": field, "type": avro_type} for field, avro_type in fields]
    return {"type": "record", "name": name, "fields": avro_fields}


SOURCE_BLOCK = _record(
    "Source",
    [
        ("file", "string"),
        ("pos", "long"),
        ("row", "int"),
        ("gtid", TEXT),
        ("snapshot", TEXT),
        ("ts_ms", "long"),
    ],
)
PLACE = _record(
    "Block", [("id", "string"), ("total_order", "long"), ("data_collection_order", "long")]
)
ENVELOPE = _record(
    "Envelope",
    [
        ("before", ["null", ROW]),
        ("after", ["null", "Value"]),
        ("source", SOURCE_BLOCK),
        ("op", "string"),
        ("transaction", ["null", PLACE]),
    ],
)


@dataclass(frozen=True, kw_only=True)
class Load:
    """The changes in the log and in the archive, as a cut; `rows` is how many rows they leave."""

    settings: Settings
    source: Source
    cut: Manifest
    changes: int
    rows: int


def bench_settings(settings: Settings) -> Settings:
    """Return the settings with the benchmark's database and root."""
    return replace(
        settings,
        mysql=replace(settings.mysql, database=DATABASE),
        hdfs=replace(settings.hdfs, root=ROOT),
    )


def make_load(settings: Settings, count: int, report: Report) -> Load:
    """Write so many changes into the log, and archive them as the compactor does.

    Raises Unavailable, Refused.
    """
    own_settings = bench_settings(settings)
    source = Source(change_topic(DATABASE, TABLE), TABLE, Kind.CHANGES)
    ensure_topics(own_settings.kafka, [Topic(source.topic, 1, KEEP_EVERYTHING)])
    rows = _write_changes(own_settings, source.topic, count, report)
    report("archiving", None, f"{count:,} changes")
    days = _archive(own_settings, source, count)
    transaction_count = -(-count // TRANSACTION_CHANGES)
    transactions = GtidSet({ORIGIN: ((1, transaction_count),)})
    cut = replace(
        EMPTY_MANIFEST,
        version=0,
        offsets={source.topic: {0: count}},
        archives={TABLE: LakeTable(source.topic, (), days)},
        transactions=str(transactions),
    )
    return Load(settings=own_settings, source=source, cut=cut, changes=count, rows=rows)


def _archive(settings: Settings, source: Source, count: int) -> dict[str, LakeDay]:
    """Archive the topic; return the first day, since all files are in one folder."""
    staging = f"{lake_staging(ROOT)}/load"
    login = settings.login("mysql.reader")
    connections = Connections(
        kafka=settings.kafka,
        registry=settings.registry,
        hdfs=settings.hdfs,
        mysql=settings.mysql,
        mysql_reader=login,
        warehouse=settings.warehouse,
    )
    task = ArchiveTask(
        ranges=(OffsetRange(source, 0, 0, count),),
        allowed={},
        version=0,
        staging=staging,
        connections=connections,
    )
    (ranges,) = archive_ranges(task)
    first_day = min(file.day for file in ranges.files)
    return {first_day: LakeDay(staging, len(ranges.files))}


def remove_load(settings: Settings) -> None:
    """Remove what a measurement made, this one or an earlier one. Raises Unavailable, Refused."""
    topics = [name for name in kafka.list_topics(settings.kafka) if DATABASE in name]
    delete_topics(settings.kafka, topics)
    Hdfs(settings.hdfs).delete(ROOT)


def changes(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield changes of orders of ten days: orders are placed, completed and deleted.

    Transactions have 50 changes. The same arguments give the same changes.
    """
    shop = _Shop(Random(seed))
    for index in range(count):
        yield {**shop.next_change(), **_position(index)}


class _Shop:
    """Orders that exist, and random changes of them."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self._orders: list[dict[str, Any]] = []
        self._last_id = 0

    def next_change(self) -> dict[str, Any]:
        """Return the rows before and after a change, and its operation."""
        chance = self._draw.random()
        if chance < INSERT_SHARE or not self._orders:
            return self._insert()
        index = self._draw.randrange(len(self._orders))
        if chance < INSERT_SHARE + DELETE_SHARE:
            return self._delete(index)
        return self._complete(index)

    def _insert(self) -> dict[str, Any]:
        self._last_id += 1
        order = _order(self._draw, self._last_id)
        self._orders.append(order)
        return {"before": None, "after": order, "op": CREATE}

    def _delete(self, index: int) -> dict[str, Any]:
        order = self._orders[index]
        self._orders[index] = self._orders[-1]
        self._orders.pop()
        return {"before": order, "after": None, "op": DELETE}

    def _complete(self, index: int) -> dict[str, Any]:
        order = self._orders[index]
        completed_order = {**order, "status": "1"}
        self._orders[index] = completed_order
        return {"before": order, "after": completed_order, "op": UPDATE}


def _order(draw: Random, number: int) -> dict[str, Any]:
    minute = draw.randrange(24 * 60)
    day = 1 + number % DAYS
    return {
        "order_id": number,
        "user_id": draw.randrange(100_000),
        "product_id": draw.randrange(500),
        "orderedAt": f"2026-11-{day:02d}T{minute // 60:02d}:{minute % 60:02d}:00Z",
        "status": "0",
    }


def _position(index: int) -> dict[str, Any]:
    """Return the source and the transaction of a change, as Debezium writes them."""
    transaction, index_in_transaction = divmod(index, TRANSACTION_CHANGES)
    gtid = f"{ORIGIN}:{transaction + 1}"
    order = index_in_transaction + 1
    source = {
        "file": "binlog.000002",
        "pos": 4 + index,
        "row": 0,
        "gtid": gtid,
        "snapshot": "false",
        "ts_ms": 0,
    }
    block = {"id": gtid, "total_order": order, "data_collection_order": order}
    return {"source": source, "transaction": block}


def _write_changes(settings: Settings, topic: str, count: int, report: Report) -> int:
    """Write changes into a topic; return how many rows they leave."""
    registry = SchemaRegistry(settings.registry.url)
    value_encoder = Encoder(registry, f"{topic}-value", ENVELOPE)
    key_encoder = Encoder(registry, f"{topic}-key", KEY)
    log = kafka.producer(settings.kafka, "bench")
    rows = 0
    for number, change in enumerate(changes(count)):
        row = change["after"] or change["before"]
        rows += {CREATE: 1, DELETE: -1}.get(change["op"], 0)
        key = key_encoder.encode({"order_id": row["order_id"]})
        click_load.send(log, topic, value_encoder.encode(change), key)
        if number % REPORT_EVERY == 0:
            log.poll(0)
            report("making the load", number / count, f"{number:,} of {count:,} changes")
    with kafka.errors(f"writing {topic}"):
        log.flush(FLUSH_SECONDS)
    return rows
