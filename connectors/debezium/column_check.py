"""Whether Debezium's description of a table is MySQL's, and the statement that makes it so. Pure.

Debezium parses statements by its own grammar, and decodes rows by what it understood. MySQL
says in its dictionary what a statement has really made of a table: types under one name each,
character sets that no statement names, labels without trailing spaces.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from connectors.mysql.column_types import ColumnFacts
from connectors.mysql.table_description import MysqlTable
from schemas.ddl.data_types import data_type
from schemas.ddl.tokens import NotUnderstood
from schemas.shop_tables import quoted

LABEL = re.compile(r"'(?:[^']|'')*'")
SIZES = re.compile(r"\(([0-9]+)(?:,([0-9]+))?\)")
# Types whose size decides how their bytes are read.
SIZED_TYPES = ("decimal", "bit", "binary")
LABELLED_TYPES = ("enum", "set")
TIME_TYPES = ("time", "datetime", "timestamp")
# Names of types whose values Debezium logs otherwise than those of the type that MySQL makes of
# them: as truths, or with a name that decides how they are read (schemas/logical_types.py).
OTHER_VALUES = ("BOOL", "BOOLEAN", "FLOAT4", "FLOAT8")
# The name that MySQL's statements also have for a character set.
SAME_CHARSETS = {"utf8": "utf8mb3"}


def is_same(
    model: Mapping[str, Any], table: MysqlTable, hashed_columns: Collection[str] = ()
) -> bool:
    """Return whether Debezium's description of a table reads its rows as MySQL means them, and
    tells them apart.

    Of `hashed_columns` the length counts too: Debezium cuts the hash to it.
    """
    columns = model["columns"]
    if len(columns) != len(table.columns):
        return False
    default_charset = str(model.get("defaultCharsetName") or "").lower()
    for column, read_column in zip(columns, table.columns, strict=True):
        facts = read_column.facts
        if not _is_same_column(column, facts, default_charset):
            return False
        if facts.name in hashed_columns and not _has_same_length(column, facts):
            return False
    return _identifies_rows(model.get("primaryKeyColumnNames") or (), table)


def _identifies_rows(key: Collection[str], table: MysqlTable) -> bool:
    """Return whether Debezium's key does not make one row of several of MySQL's.

    Debezium takes a unique index for the key of a table without one, and does not notice that an
    index is dropped. A key with NULLs counts as none where records are merged.
    """
    names = {name.lower() for name in key}
    nullable_names = set()
    for read_column in table.columns:
        if read_column.facts.nullable:
            nullable_names.add(read_column.facts.name.lower())
    if not names or names & nullable_names:
        return True
    return bool(table.key) and names >= {name.lower() for name in table.key}


def _is_same_column(
    column: Mapping[str, Any], facts: ColumnFacts, default_charset: str
) -> bool:
    if column["name"].lower() != facts.name.lower():
        return False
    type_name = str(column["typeName"]).upper()
    if _base(type_name) != _base(facts.type.upper()):
        return False
    if ("UNSIGNED" in type_name.split()) != facts.is_unsigned:
        return False
    if facts.type in LABELLED_TYPES:
        return list(column.get("enumValues") or ()) == LABEL.findall(facts.full_type)
    if facts.type in SIZED_TYPES and not _has_same_size(column, facts):
        return False
    if facts.type == "float" and column.get("scale") != facts.scale:
        return False  # values of the log are rounded to it
    if facts.type in TIME_TYPES and (column.get("length") or 0) < facts.fraction:
        return False  # with more digits it reads the same values
    charset = str(column.get("charsetName") or default_charset).lower()
    return not facts.charset or _charset(charset) == _charset(facts.charset)


def _base(type_name: str) -> str:
    """Return the one name of a type, without its sign."""
    if type_name.split()[0] in OTHER_VALUES:
        return type_name
    try:
        return data_type(type_name).base
    except NotUnderstood:
        return type_name


def _charset(name: str) -> str:
    return SAME_CHARSETS.get(name, name)


def _has_same_size(column: Mapping[str, Any], facts: ColumnFacts) -> bool:
    sizes = SIZES.search(facts.full_type)
    if sizes is None:
        return True
    scale = int(sizes[2] or 0)
    return column.get("length") == int(sizes[1]) and (column.get("scale") or 0) == scale


def _has_same_length(column: Mapping[str, Any], facts: ColumnFacts) -> bool:
    sizes = SIZES.search(facts.full_type)
    length = column.get("length")
    if sizes is None:
        return length is None or length < 0
    return length == int(sizes[1])


def description(table: MysqlTable) -> dict[str, Any]:
    """Return what Debezium knows of a table after its statements, as far as is_same compares it."""
    columns = []
    for read_column in table.columns:
        facts = read_column.facts
        sizes = SIZES.search(facts.full_type)
        column: dict[str, Any] = {
            "name": facts.name,
            "typeName": f"{facts.type} unsigned" if facts.is_unsigned else facts.type,
            "charsetName": facts.charset or None,
            "length": int(sizes[1]) if sizes else None,
            "scale": int(sizes[2] or 0) if sizes else facts.scale,
            "enumValues": [],
        }
        if facts.type in LABELLED_TYPES:
            column["enumValues"] = LABEL.findall(facts.full_type)
        columns.append(column)
    return {
        "defaultCharsetName": None,
        "columns": columns,
        "primaryKeyColumnNames": list(table.key),
    }


def statements(table: MysqlTable) -> tuple[str, str]:
    """Return the statements by which Debezium learns a table as MySQL describes it.

    They have the columns and the key, and nothing else that its grammar could misread.
    """
    name = quoted(table.name)
    parts = [_definition(read_column.facts) for read_column in table.columns]
    if table.key:
        columns = ", ".join(quoted(column) for column in table.key)
        parts.append(f"PRIMARY KEY ({columns})")
    return (f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} ({', '.join(parts)})")


def _definition(facts: ColumnFacts) -> str:
    charset = f" CHARACTER SET {facts.charset}" if facts.charset else ""
    nullable = "NULL" if facts.nullable else "NOT NULL"
    return f"{quoted(facts.name)} {facts.full_type}{charset} {nullable}"
