"""Records as Debezium writes them, without Kafka: a registry in memory, and encoded messages of one
table `t` with the columns `id` and `v`.
"""

from dataclasses import dataclass, field
from typing import Any

from connectors.kafka.schema_registry import Encoder
from schemas.errors import ContractError
from schemas.warehouse_layout import Kind, Source
from tests.synthetic_log import ENVELOPE, KEY, TRANSACTION
from tests.unit.connectors.kafka.readers.assigned_consumer import LogMessage

UUID = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"
TABLE = Source("cdc.eCommerce.t", "t", Kind.CHANGES)
NOON_MS = 1_774_872_000_000  # 2026-03-30T12:00:00Z
DAY_MS = 24 * 3600 * 1000


@dataclass
class MemoryRegistry:
    """A schema registry: ids from 1 on."""

    schemas: dict[int, dict[str, Any]] = field(default_factory=dict)

    def register(self, _subject: str, schema: dict[str, Any]) -> int:
        schema_id = len(self.schemas) + 1
        self.schemas[schema_id] = schema
        return schema_id

    def schema(self, schema_id: int) -> dict[str, Any]:
        if schema_id not in self.schemas:
            raise ContractError(f"the registry knows no schema id {schema_id}")
        return self.schemas[schema_id]


class DebeziumLog:
    """Encodes the records of the table and of the topic of transactions."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.values = self.encoder(ENVELOPE)
        self.keys = self.encoder(KEY)
        self.ends = self.encoder(TRANSACTION)

    def encoder(self, schema: dict[str, Any]) -> Encoder:
        return Encoder(self.registry, "subject", schema)

    def change(
        self,
        offset: int,
        op: str,
        key: int,
        *,
        transaction: int | None = 1,
        value: str = "x",
        snapshot: str = "false",
        day: int = 0,
        partition: int = 0,
        position: int | None = None,
        order: int = 1,
        table: str | None = None,
        old_image: bool = True,
    ) -> LogMessage:
        """A change of the row `key`; number n of the log is at binlog position 10 n."""
        row = {"id": key, "v": value}
        gtid = None if transaction is None else f"{UUID}:{transaction}"
        block = {"id": gtid, "total_order": order, "data_collection_order": order}
        record = {
            "before": row if op in "ud" and old_image else None,
            "after": row if op in "cur" else None,
            "source": {
                "file": "binlog.000001",
                "pos": 10 * offset if position is None else position,
                "row": 0,
                "gtid": gtid,
                "snapshot": snapshot,
                "table": table,
            },
            "op": op,
            "transaction": None if gtid is None or op == "t" else block,
        }
        return self.message(
            offset,
            self.values.encode(record),
            key=None if op == "t" else self.keys.encode({"id": key}),
            day=day,
            partition=partition,
        )

    def message(
        self,
        offset: int,
        value: bytes | None,
        key: bytes | None = None,
        day: int = 0,
        partition: int = 0,
    ) -> LogMessage:
        """A record with any bytes, logged so many days after 2026-03-30."""
        return LogMessage(
            TABLE.topic,
            partition,
            offset,
            value=value,
            key=key,
            logged_ms=NOON_MS + day * DAY_MS,
        )
