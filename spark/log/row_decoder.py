"""What the values of each topic should be, and their decoding: a record, a reason to set it aside, or a reason to stop the topic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.doubts import Doubts
from connectors.registry import Decoder, SchemaRegistry, split
from infra.errors import ContractError
from schemas import events
from schemas.envelope import binlog_number, is_change, key_columns, row_columns
from schemas.logical import Column, columns_of, doubtful
from schemas.statements import Position
from schemas.topics import source_table
from schemas.warehouse import Kind, Source

ZERO_DATE = "zero date", "does not tell from NULL or from a real date"
NO_TRUTH = "number other than 0 and 1", "shows as 1 since the column was declared BOOLEAN"
GOES_ON = "the table then goes on within five minutes, or at once with ./kappa compact --now"


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

    def raw(self, value: bytes) -> dict[str, Any]:
        """A value's record, also one whose columns cannot be carried."""
        return dict(self._decoder.decode(value).record)

    def position(self, value: bytes) -> Position:
        """Where in the binlog a change stands, also one whose columns cannot be carried. Raises ContractError if it is no change."""
        source = self.raw(value)["source"]
        return binlog_number(source.get("file")), source.get("pos") or 0

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


def refuse_hidden_values(source: Source, columns: Sequence[Column], key: Sequence[str], after: pa.StructArray, doubts: Doubts) -> None:
    """Raises ContractError, naming the column and the row, if MySQL holds what Debezium cannot show where some changes show its stand-in."""
    rows = after.drop_null()
    masks = {column.name: doubtful(column, rows.field(column.name)) for column in columns if column.type.stand_in is not None}
    in_doubt = {name: mask for name, mask in masks.items() if mask.true_count}
    if not in_doubt:
        return
    some = rows.filter(_any(list(in_doubt.values())))
    found = doubts.find(source_table(source.topic), list(in_doubt), key, _keys(some, key))
    if found:
        column, values = found
        row = ", ".join(f"{name} {value}" for name, value in zip(key, values, strict=True))
        kind = next(one.type for one in columns if one.name == column)
        what, way = (NO_TRUTH, "set it to 0 or 1") if kind.hive == "smallint" else (ZERO_DATE, "set it to NULL or to a date")
        raise ContractError(f"table {source.table}: column {column} holds a {what[0]} (row {row}), which the log {what[1]}", f"{way}; {GOES_ON}")


def _any(masks: list[pa.BooleanArray]) -> pa.BooleanArray:
    found = masks[0]
    for mask in masks[1:]:
        found = pc.or_(found, mask)
    return found


def _keys(rows: pa.StructArray, key: Sequence[str]) -> list[tuple[Any, ...]] | None:
    """The distinct keys of some rows; None if a key's type is not the same in MySQL and here, so that they cannot be asked for."""
    columns = [rows.field(name) for name in key]
    kinds = (pa.types.is_integer, pa.types.is_string, pa.types.is_decimal, pa.types.is_binary)
    if not all(any(is_kind(column.type) for is_kind in kinds) for column in columns):
        return None
    return list(dict.fromkeys(zip(*(column.to_pylist() for column in columns), strict=True)))


class Unreadable(Exception):
    """A record to be set aside, with the reason."""
