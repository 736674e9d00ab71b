"""Tables with the columns of another schema, and struct columns as tables. Pure."""

from collections.abc import Sequence

import pyarrow as pa

from schemas.errors import ContractError
from schemas.mysql_values import without_zeros


def project(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns of a schema, by name.

    Missing columns are null, further ones are left out (TRAPS 28). Raises ContractError for a
    column whose values do not fit the schema's type.
    """
    columns = [_column(table, field) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(table: pa.Table, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if field.name not in table.column_names:
        return pa.nulls(table.num_rows, field.type)
    column = table.column(field.name)
    if column.type == field.type:
        return column
    try:
        if pa.types.is_timestamp(field.type) and pa.types.is_string(column.type):
            # A DATETIME's text, which is UTC.
            column = column.cast(pa.timestamp("us"))
        if pa.types.is_string(field.type) and pa.types.is_decimal(column.type):
            # A DECIMAL that has more digits than Hive now.
            return without_zeros(column.cast(pa.string()))
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise ContractError(
            f"column {field.name} changed from {column.type} to {field.type}, and older values "
            f"do not fit: {error}",
            "give the column a type that holds the older values",
        ) from error


def struct_fields(column: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return a struct column as a table; a null struct has null fields."""
    struct = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.Table.from_arrays(struct.flatten(), schema=pa.schema(list(struct.type)))


def concatenate(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Return the rows of tables with one schema; an empty table if there are none."""
    return pa.concat_tables(tables) if tables else schema.empty_table()
