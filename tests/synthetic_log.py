"""A change log as Debezium writes it, made by hand on the stack's Kafka and registry: for what no real Debezium does on demand.

Its topics and its warehouse are its own. `compact` builds one version in this process, without Spark and without Hive.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest

from connectors import kafka
from connectors.hdfs import Hdfs
from connectors.kafka_admin import delete_topics
from connectors.registry import Encoder, SchemaRegistry
from infra.settings import Settings
from schemas import topics
from schemas.topics import CLICK_TOPICS, KEEP_EVERYTHING, Topic
from spark.compaction import Compactor, Outcome
from spark.manifest import Manifest, Versions
from spark.parquet import read_table

UUID = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"
TEXT = ["null", "string"]
ROW = {"type": "record", "name": "Value", "fields": [{"name": "id", "type": "long"}, {"name": "v", "type": TEXT, "default": None}]}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}]}
SOURCE = [("file", "string"), ("pos", "long"), ("row", "int"), ("gtid", TEXT), ("snapshot", TEXT)]
PLACE = [("id", "string"), ("total_order", "long"), ("data_collection_order", "long")]
COLLECTION = [("data_collection", "string"), ("event_count", "long")]

Row = tuple[int, str]
Event = tuple[str, str, Row | None, Row | None]  # a table, an operation, the row before and after


def record(name: str, fields: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind} for field, kind in fields]}


ENVELOPE = record("Envelope", [("before", ["null", ROW]), ("after", ["null", "Value"]), ("source", record("Source", SOURCE)), ("op", "string"),
                               ("transaction", ["null", record("Block", PLACE)])])  # fmt: skip
TRANSACTION = record("Transaction", [("status", "string"), ("id", "string"), ("event_count", ["null", "long"]),
                                     ("data_collections", ["null", {"type": "array", "items": record("Count", COLLECTION)}])])  # fmt: skip


def insert(table: str, key: int, value: str) -> Event:
    return table, "c", None, (key, value)


def update(table: str, key: int, value: str) -> Event:
    return table, "u", (key, "?"), (key, value)


def delete(table: str, key: int) -> Event:
    return table, "d", (key, "?"), None


class Inline:
    """A session that runs tasks one after the other, here."""

    parallelism = 2

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
        return [work(task) for task in tasks]


@dataclass
class SyntheticLog:
    settings: Settings
    ends: str
    tables: Sequence[str] = ("t", "u")
    position: int = 4
    versions: Versions = field(init=False)

    def __post_init__(self) -> None:
        made = [Topic(name, 1, KEEP_EVERYTHING) for name in (self.ends, *map(self.topic, self.tables))]
        kafka.ensure_topics(self.settings.kafka, made)
        registry = SchemaRegistry(self.settings.registry.url)
        names = {"key": KEY, "value": ENVELOPE, "end": TRANSACTION}
        self.encoders = {name: Encoder(registry, f"{self.settings.mysql.database}-{name}", schema) for name, schema in names.items()}
        self.producer = kafka.producer(self.settings.kafka, "synthetic")
        self.hdfs = Hdfs(self.settings.hdfs)
        self.versions = Versions(self.hdfs, self.settings.hdfs.root)
        self.compactor = self.another_compactor()

    def topic(self, table: str) -> str:
        return topics.change_topic(self.settings.mysql.database, table)

    def commit(self, number: int, *events: Event, lost: Sequence[int] = ()) -> None:
        """A whole transaction; some of its events (by number from 1) are not written."""
        self.begin(number)
        self.write(number, *events, lost=lost)
        self.end(number, *events)

    def begin(self, number: int) -> None:
        self._send(self.ends, None, "end", {"status": "BEGIN", "id": f"{UUID}:{number}", "event_count": None, "data_collections": None})

    def end(self, number: int, *events: Event) -> None:
        counts = {table: sum(event[0] == table for event in events) for table in dict.fromkeys(event[0] for event in events)}
        collections = [{"data_collection": f"{self.settings.mysql.database}.{table}", "event_count": count} for table, count in counts.items()]
        self._send(self.ends, None, "end", {"status": "END", "id": f"{UUID}:{number}", "event_count": len(events), "data_collections": collections})

    def write(self, number: int, *events: Event, lost: Sequence[int] = (), producer: Any = None) -> None:
        """The changes of a transaction."""
        orders: dict[str, int] = {}
        for order, (table, op, before, after) in enumerate(events, 1):
            orders[table] = orders.get(table, 0) + 1
            block = {"id": f"{UUID}:{number}", "total_order": order, "data_collection_order": orders[table]}
            if order not in lost:
                self._change(table, op, before, after, block, f"{UUID}:{number}", "false", producer)

    def truncate(self, number: int, table: str) -> None:
        self._change(table, "t", None, None, None, f"{UUID}:{number}", "false")

    def snapshot(self, rows: Mapping[str, Sequence[Row]], at: int, last: bool = True, marked: str = "true") -> None:
        """The rows of a snapshot taken at a place of the binary log; its last row says so."""
        every = [(table, row) for table, found in rows.items() for row in found]
        for number, (table, row) in enumerate(every, 1):
            self._change(table, "r", None, row, None, None, "last" if last and number == len(every) else marked, position=at)

    def _change(self, table: str, op: str, before: Row | None, after: Row | None, block: Any, gtid: str | None, snapshot: str,
                producer: Any = None, position: int | None = None) -> None:  # fmt: skip
        self.position += 10
        source = {"file": "binlog.000001", "pos": position or self.position, "row": 0, "gtid": gtid, "snapshot": snapshot}
        key = after or before
        value = {"before": _row(before), "after": _row(after), "source": source, "op": op, "transaction": block}
        self._send(self.topic(table), key and {"id": key[0]}, "value", value, producer)
        if op == "d":
            self._send(self.topic(table), key and {"id": key[0]}, None, None, producer)

    def _send(self, topic: str, key: Any, encoder: str | None, value: Any, producer: Any = None) -> None:
        sent = producer or self.producer
        sent.produce(topic, self.encoders[encoder].encode(value) if encoder else None, self.encoders["key"].encode(key) if key else None, 0)

    def compact(self, held: Mapping[str, str] | None = None) -> Outcome:
        """One round of the compactor, on all that was written."""
        self.producer.flush(10)
        return self.compactor.compact(self.versions.newest(), {**dict.fromkeys(CLICK_TOPICS, "not of this log"), **(held or {})})

    def another_compactor(self) -> Compactor:
        return Compactor(self.settings, Inline(), self.versions, uuid4().hex[:8])  # type: ignore[arg-type]

    def rows(self, table: str, manifest: Manifest | None = None) -> list[Row]:
        """A table's rows in a version, the newest if none is given."""
        found = (manifest or self.versions.newest()).tables.get(table)
        paths = [f"{part.location}/{entry.name}" for part in (found.partitions.values() if found else ()) for entry in self.hdfs.list(part.location)]
        read = (read_table(self.hdfs.read_bytes(path), path).to_pylist() for path in paths)
        return sorted((row["id"], row["v"]) for rows in read for row in rows)


def synthetic_log(settings: Settings, patch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    """A log of its own, which is removed afterwards."""
    name = f"made_{uuid4().hex[:8]}"
    patch.setattr(topics, "TRANSACTIONS", f"{name}.transaction")
    own = replace(settings, mysql=replace(settings.mysql, database=name), hdfs=replace(settings.hdfs, root=f"/{name}"))
    log = SyntheticLog(own, topics.TRANSACTIONS)
    yield log
    delete_topics(settings.kafka, [topic for topic in kafka.list_topics(settings.kafka) if name in topic])
    log.hdfs.delete(own.hdfs.root)


def _row(row: Row | None) -> dict[str, Any] | None:
    return row and {"id": row[0], "v": row[1]}
