"""Decodes the values of each topic: a record, a reason to set it aside, or a reason to stop the
topic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.kafka.schema_registry import Decoder, SchemaRegistry, split
from schemas import events
from schemas.ddl.statements import Position
from schemas.envelope import (
    binlog_number,
    is_change,
    is_of_table,
    key_columns,
    row_columns,
)
from schemas.errors import ContractError
from schemas.logical_types import Column, columns_of
from schemas.topics import source_table
from schemas.warehouse_layout import Kind, Source


class Unreadable(Exception):
    """A record to set aside, with the reason."""


@dataclass(frozen=True)
class Contract:
    """The columns of the row in values of one schema.

    The schema does not fit its topic if there is a `problem`.
    """

    columns: tuple[Column, ...]
    problem: str | None = None


class RowContracts(Protocol):
    """The columns and keys behind schema ids."""

    def contract(self, source: Source, schema_id: int) -> Contract:
        """Return the contract of a schema id in a topic. Raises ContractError, Unavailable."""

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        """Return the key columns of a key schema, as Avro calls them (see columns_of_fields).

        Raises ContractError, Unavailable.
        """


class RowDecoder:
    """Decodes values and knows the columns behind each schema id."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self.registry = registry
        self._decoder = Decoder(registry)
        self._contracts: dict[tuple[Source, int], Contract] = {}

    def decode(self, source: Source, value: bytes) -> tuple[int, dict[str, Any]]:
        """Return a value's schema id and record.

        Raises Unreadable for a record to set aside, ContractError if the topic must stop.
        """
        try:
            schema_id, _ = split(value)
        except ContractError as error:
            raise Unreadable(str(error)) from error
        contract = self.contract(source, schema_id)
        if contract.problem:
            raise Unreadable(contract.problem)
        try:
            return schema_id, self._decoder.decode(value).record
        except ContractError as error:
            raise Unreadable(str(error)) from error

    def raw(self, value: bytes) -> dict[str, Any]:
        """Return a value's record, even if its columns cannot be replicated.

        Raises ContractError.
        """
        return dict(self._decoder.decode(value).record)

    def is_of_table(self, source: Source, value: bytes) -> bool:
        """Return whether a value is no change of another table in the same Kafka topic.

        Raises ContractError if the value is no record.
        """
        return is_own_content(source, self.raw(value))

    def position(self, value: bytes) -> Position:
        """Return the position of a change in the binlog, even if its columns cannot be replicated.

        Raises ContractError if the value is no change.
        """
        source = self.raw(value)["source"]
        return binlog_number(source.get("file")), source.get("pos") or 0

    def contract(self, source: Source, schema_id: int) -> Contract:
        """Return the contract of a schema id in a topic.

        Raises ContractError for a change topic's schema that is unknown or cannot be replicated.
        """
        contract = self._contracts.get((source, schema_id))
        if contract is None:
            contract = self._read_contract(source, schema_id)
            self._contracts[source, schema_id] = contract
        return contract

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        """Return the key columns of a key schema, as Avro calls them.

        Raises ContractError, Unavailable.
        """
        return key_columns(self.registry.schema(schema_id), f"table {source.table}")

    def _read_contract(self, source: Source, schema_id: int) -> Contract:
        if source.kind is Kind.FACTS:
            return self._fact_contract(source, schema_id)
        # Nobody can read a change whose schema is lost: to continue would be wrong in silence.
        schema = self.registry.schema(schema_id)
        if source.kind is Kind.TRANSACTIONS:
            return Contract(columns_of(schema, source.topic))
        if not is_change(schema):
            return Contract((), f"schema {schema_id} is no change envelope")
        return Contract(row_columns(schema, f"table {source.table}"))

    def _fact_contract(self, source: Source, schema_id: int) -> Contract:
        columns = columns_of(events.CONTRACTS[source.topic], source.topic)
        try:
            schema = self.registry.schema(schema_id)
        except ContractError as error:
            return Contract(columns, str(error))
        names = {field["name"] for field in schema.get("fields", ())}
        missing_names = sorted({column.name for column in columns} - names)
        if missing_names:
            return Contract(columns, f"schema {schema_id} lacks {', '.join(missing_names)}")
        return Contract(columns)


def is_own_content(source: Source, content: Mapping[str, Any]) -> bool:
    """Return whether a record is no change of another table in the same Kafka topic."""
    if source.kind is not Kind.CHANGES or "source" not in content:
        return True
    return is_of_table(content, source_table(source.topic))
