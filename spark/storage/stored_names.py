"""Columns of Parquet files: a file has their names in Hive, and says their names in MySQL. Pure.

Hive reads a column, and a field of a struct, by its name.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas.hive.names import column_names

# The key of the names among a file's metadata: the original names by the path of the stored ones.
METADATA_KEY = "kappa.columns"


@dataclass(frozen=True)
class StoredNames:
    """The original names of a file's columns, by stored path. The other columns have their own."""

    originals: Mapping[str, str]

    @classmethod
    def of_file(cls, metadata: Mapping[bytes, bytes] | None) -> "StoredNames":
        """Return what a file's metadata says."""
        text = (metadata or {}).get(METADATA_KEY.encode())
        return cls(json.loads(text) if text else {})

    def metadata(self) -> dict[str, str]:
        """Return what a file's metadata has to say."""
        return {METADATA_KEY: json.dumps(self.originals)} if self.originals else {}

    def original_path(self, stored_path: str) -> str:
        """Return the path of a column by original names."""
        stored_names = stored_path.split(".")
        names = []
        for number, name in enumerate(stored_names, 1):
            names.append(self.originals.get(".".join(stored_names[:number]), name))
        return ".".join(names)

    def original_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return a file's schema with the original names, without its metadata."""
        fields = [_with_original_names(field, "", self.originals) for field in schema]
        return pa.schema(fields)

    def stored_columns(self, paths: Sequence[str]) -> list[str]:
        """Return the stored paths of columns."""
        if not self.originals:
            return list(paths)
        stored_paths = {self.original_path(path): path for path in self.originals}
        return [stored_paths.get(path, path) for path in paths]

    def with_original_names(self, rows: pa.Table) -> pa.Table:
        """Return rows of the file with the original names."""
        return (
            with_schema(rows, self.original_schema(rows.schema)) if self.originals else rows
        )


def stored_schema(schema: pa.Schema) -> tuple[pa.Schema, StoredNames]:
    """Return the schema that a file has, and its names."""
    originals: dict[str, str] = {}
    fields = _stored_fields(list(schema), "", originals)
    return (
        (pa.schema(fields), StoredNames(originals))
        if originals
        else (
            schema,
            StoredNames(originals),
        )
    )


def with_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the names of a schema, whose types differ in names only."""
    columns = []
    for column, field in zip(rows.columns, schema, strict=True):
        if column.type == field.type:
            columns.append(column)
            continue
        chunks = [chunk.view(field.type) for chunk in column.chunks]
        columns.append(pa.chunked_array(chunks, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _stored_fields(
    fields: Sequence[pa.Field], prefix: str, originals: dict[str, str]
) -> list[pa.Field]:
    names = column_names([field.name for field in fields])
    stored_fields = []
    for field, name in zip(fields, names, strict=True):
        path = f"{prefix}{name}"
        if name != field.name:
            originals[path] = field.name
        field_type = field.type
        if pa.types.is_struct(field_type):
            field_type = pa.struct(_stored_fields(list(field_type), f"{path}.", originals))
        stored_fields.append(field.with_name(name).with_type(field_type))
    return stored_fields


def _with_original_names(
    field: pa.Field, prefix: str, originals: Mapping[str, str]
) -> pa.Field:
    path = f"{prefix}{field.name}"
    field_type = field.type
    if pa.types.is_struct(field_type):
        inner_fields = [
            _with_original_names(inner, f"{path}.", originals) for inner in field_type
        ]
        field_type = pa.struct(inner_fields)
    return field.with_name(originals.get(path, field.name)).with_type(field_type)
