"""The load of the measurement of replays: changes of orders as Debezium writes them, in a topic of their own, and their archive."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from connectors import kafka
from connectors.hdfs import Hdfs
from connectors.registry import Encoder, SchemaRegistry
from infra.progress import Report
from infra.settings import Settings
from schemas.gtid import GtidSet
from schemas.topics import KEEP_EVERYTHING, Topic, change_topic
from schemas.warehouse import Kind, Source, lake_staging
from spark.archive import ArchiveTask, Doors, archive
from spark.log_reader import Reading
from spark.manifest import NOTHING, Archive, LakeDay, Manifest

DATABASE = "kappa_bench_replay"
ROOT = "/kappa_bench_replay"
TABLE = "orders"
ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
DAYS, TRANSACTION_CHANGES = 10, 50
NEW, GONE = 0.6, 0.05  # of the changes; the others complete an order
TELL_EVERY = 5_000
FLUSH_SECONDS = 60.0

TEXT = ["null", "string"]
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        *({"name": name, "type": "long"} for name in ("order_id", "user_id", "product_id")),
        {"name": "orderedAt", "type": {"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"}},
        {"name": "status", "type": "string"},
    ],
}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "order_id", "type": "long"}]}


def _record(name: str, fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind} for field, kind in fields]}


SOURCE_BLOCK = _record("Source", [("file", "string"), ("pos", "long"), ("row", "int"), ("gtid", TEXT), ("snapshot", TEXT), ("ts_ms", "long")])
PLACE = _record("Block", [("id", "string"), ("total_order", "long"), ("data_collection_order", "long")])
ENVELOPE = _record(
    "Envelope",
    [("before", ["null", ROW]), ("after", ["null", "Value"]), ("source", SOURCE_BLOCK), ("op", "string"), ("transaction", ["null", PLACE])],
)


@dataclass(frozen=True)
class Load:
    """The changes in the log and in the archive, as a cut says it; `rows` are what they leave."""

    settings: Settings
    source: Source
    cut: Manifest
    changes: int
    rows: int


def bed(settings: Settings) -> Settings:
    """The settings with a database and a root of the measurement's own."""
    return replace(settings, mysql=replace(settings.mysql, database=DATABASE), hdfs=replace(settings.hdfs, root=ROOT))


def make(settings: Settings, count: int, report: Report) -> Load:
    """Write so many changes into the log, and archive them as the compactor does. Raises Unavailable, Refused."""
    own = bed(settings)
    source = Source(change_topic(DATABASE, TABLE), TABLE, Kind.CHANGES)
    kafka.ensure_topics(own.kafka, [Topic(source.topic, 1, KEEP_EVERYTHING)])
    rows = _write(own, source.topic, count, report)
    report("archiving", None, f"{count:,} changes")
    staging = f"{lake_staging(ROOT)}/load"
    doors = Doors(own.kafka, own.registry, own.hdfs, own.mysql, own.login("mysql.reader"))
    (done,) = archive(ArchiveTask((Reading(source, 0, 0, count),), {}, 0, staging, doors))
    days = {day: LakeDay(staging, len(done.files)) for day in sorted({file.day for file in done.files})[:1]}  # all files lie in one folder
    transactions = GtidSet({ORIGIN: ((1, -(-count // TRANSACTION_CHANGES)),)})
    cut = replace(
        NOTHING, version=0, offsets={source.topic: {0: count}}, archives={TABLE: Archive(source.topic, (), days)}, transactions=str(transactions)
    )
    return Load(own, source, cut, count, rows)


def remove(settings: Settings) -> None:
    """Remove what a measurement made, of an earlier one too."""
    from connectors.kafka_admin import delete_topics

    delete_topics(settings.kafka, [name for name in kafka.list_topics(settings.kafka) if DATABASE in name])
    Hdfs(settings.hdfs).delete(ROOT)


def changes(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """So many changes in transactions of 50, of orders of ten days; orders are made, completed and removed."""
    draw, standing, number = Random(seed), list[dict[str, Any]](), 0
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    for place in range(count):
        chance = draw.random()
        if chance < NEW or not standing:
            number += 1
            made = _order(draw, number)
            before, after, op = None, made, "c"
            standing.append(made)
        else:
            at = draw.randrange(len(standing))
            before = standing[at]
            gone = chance < NEW + GONE
            after, op = (None, "d") if gone else ({**before, "status": "1"}, "u")
            if after is None:
                standing[at] = standing[-1]
                standing.pop()
            else:
                standing[at] = after
        yield {"before": before, "after": after, "op": op, **_placed(place)}


def _order(draw: Random, number: int) -> dict[str, Any]:
    minute = draw.randrange(24 * 60)
    at = f"2026-11-{1 + number % DAYS:02d}T{minute // 60:02d}:{minute % 60:02d}:00Z"
    return {"order_id": number, "user_id": draw.randrange(100_000), "product_id": draw.randrange(500), "orderedAt": at, "status": "0"}


def _placed(place: int) -> dict[str, Any]:
    number, order = divmod(place, TRANSACTION_CHANGES)
    gtid = f"{ORIGIN}:{number + 1}"
    source = {"file": "binlog.000002", "pos": 4 + place, "row": 0, "gtid": gtid, "snapshot": "false", "ts_ms": 0}
    return {"source": source, "transaction": {"id": gtid, "total_order": order + 1, "data_collection_order": order + 1}}


def _write(settings: Settings, topic: str, count: int, report: Report) -> int:
    registry = SchemaRegistry(settings.registry.url)
    value, key = Encoder(registry, f"{topic}-value", ENVELOPE), Encoder(registry, f"{topic}-key", KEY)
    log, rows = kafka.producer(settings.kafka, "bench"), 0
    for number, change in enumerate(changes(count)):
        row = change["after"] or change["before"]
        rows += {"c": 1, "d": -1}.get(change["op"], 0)
        while True:
            try:
                log.produce(topic, value.encode(change), key.encode({"order_id": row["order_id"]}), 0)
                break
            except BufferError:
                log.poll(0.05)
        if number % TELL_EVERY == 0:
            log.poll(0)
            report("making the load", number / count, f"{number:,} of {count:,} changes")
    with kafka.errors(f"writing {topic}"):
        log.flush(FLUSH_SECONDS)
    return rows
