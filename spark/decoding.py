"""What the values of each topic should be, and their decoding: a record, a reason to set it aside, or a reason to stop the topic."""

from dataclasses import dataclass
from typing import Any

from connectors.registry import Decoder, SchemaRegistry, split
from infra.errors import ContractError
from schemas import events
from schemas.envelope import is_change, key_columns, row_columns
from schemas.logical import Column, columns_of
from schemas.warehouse import Kind, Source


@dataclass(frozen=True)
class Contract:
    """What the values of one schema hold: the row's columns, and whether it is the kind of record that its topic should have."""

    columns: tuple[Column, ...]
    wrong: str | None = None


class RowDecoder:
    """Decodes values and knows the columns behind each schema id."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self.registry = registry
        self._decoder = Decoder(registry)
        self._contracts: dict[tuple[Source, int], Contract] = {}

    def decode(self, source: Source, value: bytes) -> tuple[int, dict[str, Any]]:
        """A value's schema id and record. Raises Unreadable for one that is to be set aside, ContractError if the topic must stop."""
        try:
            schema_id, _ = split(value)
        except ContractError as error:
            raise Unreadable(str(error)) from error
        contract = self.contract(source, schema_id)
        if contract.wrong:
            raise Unreadable(contract.wrong)
        try:
            return schema_id, self._decoder.decode(value).record
        except ContractError as error:
            raise Unreadable(str(error)) from error

    def contract(self, source: Source, schema_id: int) -> Contract:
        """What a schema id means in a topic. Raises ContractError for a change topic's schema that is unknown or not to be carried."""
        known = self._contracts.get((source, schema_id))
        if known is None:
            known = self._contracts[source, schema_id] = self._contract(source, schema_id)
        return known

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        """The key columns behind a key schema."""
        return key_columns(self.registry.schema(schema_id), f"table {source.table}")

    def _contract(self, source: Source, schema_id: int) -> Contract:
        if source.kind is Kind.FACTS:
            return self._fact_contract(source, schema_id)
        # A change whose schema is lost says something that nobody can read: going on would be wrong in silence.
        schema = self.registry.schema(schema_id)
        if source.kind is Kind.TRANSACTIONS:
            return Contract(columns_of(schema, source.topic))
        if not is_change(schema):
            return Contract((), f"schema {schema_id} is no change envelope")
        return Contract(row_columns(schema, f"table {source.table}"))

    def _fact_contract(self, source: Source, schema_id: int) -> Contract:
        columns = columns_of(events.CONTRACTS[source.topic], source.topic)
        try:
            found = self.registry.schema(schema_id)
        except ContractError as error:
            return Contract(columns, str(error))
        missing = {column.name for column in columns} - {name["name"] for name in found.get("fields", ())}
        return Contract(columns, f"schema {schema_id} lacks {', '.join(sorted(missing))}" if missing else None)


class Unreadable(Exception):
    """A record to be set aside, with the reason."""
