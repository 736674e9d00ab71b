"""Kafka records as rows of the archive: position, raw bytes and typed columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from confluent_kafka import Message

from schemas.envelope import position_arrays
from schemas.hive import lake_tables
from schemas.logical_types import Column, struct_array
from schemas.warehouse_layout import Kind, Source

Record = dict[str, Any]


@dataclass
class ArchiveRows:
    """Records of one file, by column."""

    messages: list[Message] = field(default_factory=list)
    records: list[Record | None] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    schema_ids: list[int | None] = field(default_factory=list)

    def add_record(
        self,
        message: Message,
        schema_id: int | None,
        record: Record | None,
        error: str | None,
    ) -> None:
        """Append a message with its content, or with the reason why there is none."""
        self.schema_ids.append(schema_id if record is not None else None)
        self.messages.append(message)
        self.records.append(record)
        self.errors.append(error)


def archive_table(
    source: Source,
    columns: Sequence[Column] | None,
    rows: ArchiveRows,
    version: int | None,
) -> pa.Table:
    """Return records as a table of the archive.

    `version` is the warehouse version that merges them (None: not merged yet). Raises ContractError
    for a value that does not fit its column.
    """
    schema = lake_tables.arrow_schema(source.kind, columns)
    messages = rows.messages
    records = rows.records
    values: dict[str, list[Any]] = {
        "topic": [source.topic] * len(messages),
        "partition": [message.partition() for message in messages],
        "offset": [message.offset() for message in messages],
        "logged_at": [message.timestamp()[1] * 1000 for message in messages],
        "key": [message.key() for message in messages],
        "value": [message.value() for message in messages],
        "schema_id": rows.schema_ids,
        "error": rows.errors,
        "version": [version] * len(messages),
    }
    has_changes = source.kind is Kind.CHANGES
    arrays = {
        name: pa.array(column, schema.field(name).type) for name, column in values.items()
    }
    arrays |= position_arrays(records if has_changes else [None] * len(records))
    if columns is not None:
        for image in lake_tables.images(source.kind):
            structs = _images(records, image) if has_changes else records
            arrays[image] = struct_array(columns, structs)
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def day_of(message: Message) -> str:
    """Return the UTC day on which a record was logged, as 'YYYY-MM-DD'."""
    milliseconds = message.timestamp()[1]
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")


def _images(records: Sequence[Record | None], image: str) -> list[Mapping[str, Any] | None]:
    return [record and record.get(image) for record in records]
