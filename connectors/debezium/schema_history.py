"""Debezium's own memory of the tables' columns: the topic of its schema history.

It decodes rows by it. It is made of statements, which Debezium parses as they come, and of what it
understood of each. A record written by Kappa is a statement too, which Debezium parses when it
starts. Source of the form: Debezium's io.debezium.relational.history.HistoryRecord and
JsonTableChangeSerializer.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.debezium.connector_config import SCHEMA_HISTORY
from connectors.kafka import client as kafka
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.runtime.settings import Kafka
from schemas.errors import Unavailable
from schemas.topics import CHANGE_PREFIX

PARTITION = (SCHEMA_HISTORY, 0)
SEND_SECONDS = 10.0
# The key of Kappa's part in the records that it writes.
OWN_KEY = "kappa"
NAME = re.compile(r'"((?:[^"]|"")*)"')
# The parts of an offset that say where in the binary log a statement stands.
POSITION_KEYS = ("ts_sec", "file", "pos", "gtids", "server_id")

# The tables of one database by name: each as Debezium describes it.
Tables = dict[str, Mapping[str, Any]]


@dataclass(frozen=True)
class HistoryStatement:
    """A statement to add to the history, its default database, and the table that it makes.

    `description` is what Debezium knows of the table then.
    """

    database: str
    ddl: str
    table: str = ""
    description: Mapping[str, Any] = field(default_factory=dict)


class SchemaHistory:
    """The history's tables of one database, as of its last record."""

    def __init__(self, settings: Kafka, database: str) -> None:
        self._kafka = settings
        self._database = database
        self._end = 0
        self._tables: Tables = {}

    def tables(self) -> Tables:
        """Return the tables after reading new records. Raises Unavailable."""
        watermarks = kafka.offsets(self._kafka, [SCHEMA_HISTORY]).get(PARTITION)
        if watermarks is None:
            return {}
        ranges = {PARTITION: range(max(self._end, watermarks.low), watermarks.stable)}
        with RangeConsumer(
            self._kafka, "kappa-schema-history", ranges, subject="the schema history"
        ) as log:
            for batch in log.batches():
                for message in batch.get(PARTITION, ()):
                    apply_record(
                        self._tables, json.loads(message.value() or b"{}"), self._database
                    )
        self._end = watermarks.stable
        return dict(self._tables)

    def append(
        self, statements: Sequence[HistoryStatement], offset: Mapping[str, Any]
    ) -> None:
        """Add statements at a connector's offset. Only while the connector is stopped.

        Raises Unavailable.
        """
        producer = kafka.producer(self._kafka, "kappa-schema-history")
        with kafka.errors(f"writing to {SCHEMA_HISTORY}"):
            for statement in statements:
                record = history_record(statement, offset)
                producer.produce(SCHEMA_HISTORY, value=json.dumps(record), partition=0)
        if producer.flush(SEND_SECONDS):
            raise Unavailable(
                "Kafka did not acknowledge the schema history", kafka.SEE_KAFKA
            )


def history_record(
    statement: HistoryStatement, offset: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the record of a statement. Without a description Debezium parses its text."""
    return {
        "source": {"server": CHANGE_PREFIX},
        "position": {key: offset[key] for key in POSITION_KEYS if key in offset},
        "ts_ms": round(time.time() * 1000),
        "databaseName": statement.database,
        "ddl": statement.ddl,
        "tableChanges": [],
        # Debezium does not read this.
        OWN_KEY: {"table": statement.table, "description": statement.description},
    }


def apply_record(tables: Tables, record: Mapping[str, Any], database: str) -> None:
    """Note what a record says about the tables of a database."""
    own = record.get(OWN_KEY) or {}
    if own.get("table") and record.get("databaseName") == database:
        tables[own["table"]] = own["description"]
    for change in record.get("tableChanges") or ():
        for key in ("previousId", "id"):
            names = [
                name.replace('""', '"') for name in NAME.findall(change.get(key) or "")
            ]
            if len(names) < 2 or names[-2] != database:
                continue
            tables.pop(names[-1], None)
            if key == "id" and change.get("table"):
                tables[names[-1]] = change["table"]
