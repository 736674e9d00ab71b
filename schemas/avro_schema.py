"""Parsed Avro schemas: names, unions (lists) and dicts, as the registry gives them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.errors import ContractError

AvroType = Any
NamedTypes = Mapping[str, AvroType]

# Debezium's names for what a column is in MySQL, among the parameters of its type.
SOURCE = "__debezium.source.column"
SOURCE_NAME = f"{SOURCE}.name"


def named_types(avro: AvroType, namespace: str = "") -> dict[str, AvroType]:
    """Return every named type that a schema defines, by full and by short name."""
    types: dict[str, AvroType] = {}
    if isinstance(avro, list):
        for part in avro:
            types.update(named_types(part, namespace))
        return types
    if not isinstance(avro, dict):
        return types
    namespace = avro.get("namespace", namespace)
    if avro.get("type") in ("record", "enum", "fixed"):
        name = avro["name"]
        types[name] = avro
        types[f"{namespace}.{name}"] = avro
    field_types = [field["type"] for field in avro.get("fields", ())]
    for part in (avro.get("type"), avro.get("items"), avro.get("values"), *field_types):
        if isinstance(part, dict | list):
            types.update(named_types(part, namespace))
    return types


def with_source_names(avro: AvroType) -> AvroType:
    """Return a schema in which the fields of rows have the names of their columns in MySQL.

    Debezium adjusts the names to Avro's rules and keeps the column's name as a parameter of the
    field's type (its `datatype.propagate.source.type`). Avro's bytes have no names, so the schema
    reads the same values.
    """
    if isinstance(avro, list):
        return [with_source_names(part) for part in avro]
    if not isinstance(avro, dict):
        return avro
    schema = dict(avro)
    for part in ("type", "items", "values"):
        if part in schema:
            schema[part] = with_source_names(schema[part])
    if "fields" in schema:
        schema["fields"] = _with_source_names(schema["fields"])
    return schema


def _with_source_names(fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = [_source_name(field) for field in fields]
    pairs = list(zip(fields, names, strict=True))
    # A record that several columns are of is defined once: the others do not state their name.
    has_unicode_names = any(
        name is not None and field["name"] != field_names(name)[0] for field, name in pairs
    )
    named_fields = []
    for field, name in pairs:
        field_name = field["name"]
        if name is None:
            name = _unescape_name(field_name) if has_unicode_names else field_name
        field_type = with_source_names(field["type"])
        named_fields.append({**field, "name": name, "type": field_type})
    return named_fields


def _source_name(field: Mapping[str, Any]) -> str | None:
    """The column's name that a field's type states, None if it states none."""
    options = field["type"] if isinstance(field["type"], list) else [field["type"]]
    for option in options:
        if isinstance(option, dict):
            name = option.get("connect.parameters", {}).get(SOURCE_NAME)
            if name is not None:
                return str(name)
    return None


def _unescape_name(field_name: str) -> str:
    return re.sub(
        r"_u(00[0-9a-f]{2}|[1-9a-f][0-9a-f]{3}|[0-9a-f]{3})",
        lambda match: chr(int(match[1], 16)),
        field_name,
    )


def columns_of_fields(fields: Sequence[str], columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of MySQL that fields in Avro are, for schemas that do not say it.

    A field that is none of them keeps its name.
    """
    names: dict[str, str] = {}
    for column in columns:
        for field_name in field_names(column):
            names.setdefault(field_name, column)
    return tuple(names.get(field_name, field_name) for field_name in fields)


def field_names(column: str) -> tuple[str, str]:
    """Return the names that Debezium gives a column in Avro.

    The first is that of `field.name.adjustment.mode=avro`, the second that of `avro_unicode`, in
    which the underscore is escaped too.
    """
    plain_name = re.sub(r"[^A-Za-z0-9_]", "_", column)
    if plain_name[:1].isdigit():
        plain_name = f"_{plain_name}"
    unicode_name = re.sub(r"^[0-9]|[^A-Za-z0-9]", _escape_character, column)
    return plain_name, unicode_name


def _escape_character(match: re.Match[str]) -> str:
    digits = f"{ord(match[0]):x}"
    return f"_u00{digits}" if len(digits) <= 2 else f"_u{digits}"


def resolve(avro: AvroType, types: NamedTypes) -> AvroType:
    """Return a type as a dict or a union, with references to named types and nested
    `{"type": {...}}` followed.
    """
    if isinstance(avro, str):
        return types.get(avro, {"type": avro})
    if isinstance(avro, dict) and isinstance(avro.get("type"), dict):
        return resolve(avro["type"], types)
    return avro


def without_null(avro: AvroType, types: NamedTypes) -> dict[str, Any]:
    """Return the one type of a nullable union. Raises ContractError if there are several."""
    if not isinstance(avro, list):
        return dict(avro)
    options = [resolve(part, types) for part in avro if part != "null"]
    if len(options) != 1:
        raise not_replicated(f"a choice of {len(options)} types")
    return dict(options[0])


def not_replicated(avro_type: str) -> ContractError:
    """Return the error for a type that the warehouse does not support."""
    return ContractError(
        f"{avro_type}, which the warehouse does not replicate",
        "change the column's type, or drop it; see docs/types.md",
    )
