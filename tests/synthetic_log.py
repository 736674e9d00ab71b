"""A change log as Debezium writes it, written by a test to the stack's Kafka and registry.

It shows what no real Debezium does on demand. It has topics and a warehouse of its own. `compact`
builds one version in this process, without Spark and without Hive.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka import client as kafka
from connectors.kafka.admin import delete_topics, ensure_topics
from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.runtime.settings import Settings
from schemas import topics
from schemas.manifest import Manifest
from schemas.topics import CLICK_TOPICS, KEEP_EVERYTHING, Topic
from spark.compactor.compaction import CompactionResult, Compactor
from spark.session import TaskRunner
from spark.storage.parquet import read_table

UUID = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"
TEXT = ["null", "string"]
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "v", "type": TEXT, "default": None},
    ],
}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}]}
SOURCE = [
    ("file", "string"),
    ("pos", "long"),
    ("row", "int"),
    ("gtid", TEXT),
    ("snapshot", TEXT),
    ("table", TEXT),
]
ORDER_IN_TRANSACTION = [
    ("id", "string"),
    ("total_order", "long"),
    ("data_collection_order", "long"),
]
COLLECTION = [("data_collection", "string"), ("event_count", "long")]

Row = tuple[int, str]
Event = tuple[
    str, str, Row | None, Row | None
]  # a table, an operation, the row before and after


def record(name: str, fields: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the Avro schema of a record."""
    typed_fields = [{"name": field, "type": kind} for field, kind in fields]
    return {"type": "record", "name": name, "fields": typed_fields}


ENVELOPE = record(
    "Envelope",
    [
        ("before", ["null", ROW]),
        ("after", ["null", "Value"]),
        ("source", record("Source", SOURCE)),
        ("op", "string"),
        ("transaction", ["null", record("Block", ORDER_IN_TRANSACTION)]),
    ],
)
COLLECTIONS = {"type": "array", "items": record("Count", COLLECTION)}
TRANSACTION = record(
    "Transaction",
    [
        ("status", "string"),
        ("id", "string"),
        ("event_count", ["null", "long"]),
        ("data_collections", ["null", COLLECTIONS]),
    ],
)
SCHEMAS: dict[str, dict[str, Any]] = {"key": KEY, "value": ENVELOPE, "end": TRANSACTION}


def insert(table: str, key: int, value: str) -> Event:
    return table, "c", None, (key, value)


def update(table: str, key: int, value: str) -> Event:
    return table, "u", (key, "?"), (key, value)


def delete(table: str, key: int) -> Event:
    return table, "d", (key, "?"), None


class Inline:
    """A session that runs tasks one after the other, in this process."""

    parallelism = 2

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
        return [work(task) for task in tasks]


def inline_session() -> TaskRunner:
    """Return a session that runs its tasks in this process, without Spark."""
    return Inline()


@dataclass
class SyntheticLog:
    """A log and its warehouse. `ends` is the topic of the transactions' BEGIN and END events."""

    settings: Settings
    ends: str
    tables: Sequence[str] = ("t", "u")
    position: int = 4
    versions: ManifestStore = field(init=False)

    def __post_init__(self) -> None:
        names = [self.ends, *map(self.topic, self.tables)]
        ensure_topics(
            self.settings.kafka, [Topic(name, 1, KEEP_EVERYTHING) for name in names]
        )
        registry = SchemaRegistry(self.settings.registry.url)
        database = self.settings.mysql.database
        self.encoders = {
            name: Encoder(registry, f"{database}-{name}", schema)
            for name, schema in SCHEMAS.items()
        }
        self.producer = kafka.producer(self.settings.kafka, "synthetic")
        self.hdfs = Hdfs(self.settings.hdfs)
        self.versions = ManifestStore(self.hdfs, self.settings.hdfs.root)
        self.compactor = self.another_compactor()

    def topic(self, table: str) -> str:
        return topics.change_topic(self.settings.mysql.database, table)

    def commit(self, number: int, *events: Event, lost: Sequence[int] = ()) -> None:
        """Write a whole transaction, except the events whose numbers (from 1) are lost."""
        self.begin(number)
        self.write(number, *events, lost=lost)
        self.end(number, *events)

    def begin(self, number: int) -> None:
        """Write the BEGIN event of a transaction."""
        begin = {
            "status": "BEGIN",
            "id": f"{UUID}:{number}",
            "event_count": None,
            "data_collections": None,
        }
        self._send(self.ends, None, "end", begin)

    def end(self, number: int, *events: Event) -> None:
        """Write the END event of a transaction, with the number of changes per table."""
        counts = Counter(event[0] for event in events)
        database = self.settings.mysql.database
        collections = [
            {"data_collection": f"{database}.{table}", "event_count": count}
            for table, count in counts.items()
        ]
        end = {
            "status": "END",
            "id": f"{UUID}:{number}",
            "event_count": len(events),
            "data_collections": collections,
        }
        self._send(self.ends, None, "end", end)

    def write(
        self, number: int, *events: Event, lost: Sequence[int] = (), producer: Any = None
    ) -> None:
        """Write the changes of a transaction, without its BEGIN and END."""
        gtid = f"{UUID}:{number}"
        table_orders = Counter[str]()
        for order, event in enumerate(events, 1):
            table = event[0]
            table_orders[table] += 1
            block = {
                "id": gtid,
                "total_order": order,
                "data_collection_order": table_orders[table],
            }
            if order not in lost:
                self._change(event, block=block, gtid=gtid, producer=producer)

    def truncate(self, number: int, table: str) -> None:
        """Write a TRUNCATE of a table."""
        self._change((table, "t", None, None), gtid=f"{UUID}:{number}")

    def snapshot(
        self,
        rows: Mapping[str, Sequence[Row]],
        at: int,
        last: bool = True,
        marked: str = "true",
    ) -> None:
        """Write the rows of a snapshot taken at a position of the binary log.

        Each is marked as of a snapshot; the last one as the last, if `last`.
        """
        events: list[Event] = []
        for table, table_rows in rows.items():
            events += [(table, "r", None, row) for row in table_rows]
        for number, event in enumerate(events, 1):
            is_last = last and number == len(events)
            self._change(event, snapshot="last" if is_last else marked, position=at)

    def _change(
        self,
        event: Event,
        *,
        block: dict[str, Any] | None = None,
        gtid: str | None = None,
        snapshot: str = "false",
        producer: Any = None,
        position: int | None = None,
    ) -> None:
        """Write a change, and the tombstone that follows a delete."""
        table, op, before, after = event
        self.position += 10
        source = {
            "file": "binlog.000001",
            "pos": position or self.position,
            "row": 0,
            "gtid": gtid,
            "snapshot": snapshot,
        }
        value = {
            "before": _row(before),
            "after": _row(after),
            "source": source,
            "op": op,
            "transaction": block,
        }
        row = after or before
        key = row and {"id": row[0]}
        self._send(self.topic(table), key, "value", value, producer)
        if op == "d":
            self._send(self.topic(table), key, None, None, producer)

    def _send(
        self, topic: str, key: Any, encoder: str | None, value: Any, producer: Any = None
    ) -> None:
        encoded_value = self.encoders[encoder].encode(value) if encoder else None
        encoded_key = self.encoders["key"].encode(key) if key else None
        sender = producer or self.producer
        sender.produce(topic, encoded_value, encoded_key, 0)

    def compact(self, refused: Mapping[str, str] | None = None) -> CompactionResult:
        """Run one round of the compactor over the whole log, without the refused topics.

        `refused` gives the reason per topic. Raises what stops the compactor.
        """
        self.producer.flush(10)
        foreign_topics = dict.fromkeys(CLICK_TOPICS, "not of this log")
        newest = self.versions.newest()
        return self.compactor.compact(newest, {**foreign_topics, **(refused or {})})

    def another_compactor(self) -> Compactor:
        name = uuid4().hex[:8]
        return Compactor(self.settings, inline_session(), self.versions, name)

    def rows(self, table: str, manifest: Manifest | None = None) -> list[Row]:
        """Return a table's rows in a version, by default the newest, sorted."""
        stored_table = (manifest or self.versions.newest()).tables.get(table)
        if stored_table is None:
            return []
        rows: list[Row] = []
        for part in stored_table.partitions.values():
            for entry in self.hdfs.list(part.location):
                path = f"{part.location}/{entry.name}"
                stored_rows = read_table(self.hdfs.read_bytes(path), path).to_pylist()
                rows += [(row["id"], row["v"]) for row in stored_rows]
        return sorted(rows)


def synthetic_log(settings: Settings, patch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    """Yield a log of its own, and remove it afterwards."""
    name = f"made_{uuid4().hex[:8]}"
    patch.setattr(topics, "TRANSACTIONS", f"{name}.transaction")
    own_settings = replace(
        settings,
        mysql=replace(settings.mysql, database=name),
        hdfs=replace(settings.hdfs, root=f"/{name}"),
    )
    log = SyntheticLog(own_settings, topics.TRANSACTIONS)
    yield log
    all_topics = kafka.list_topics(settings.kafka)
    delete_topics(settings.kafka, [topic for topic in all_topics if name in topic])
    log.hdfs.delete(own_settings.hdfs.root)


def _row(row: Row | None) -> dict[str, Any] | None:
    return row and {"id": row[0], "v": row[1]}
