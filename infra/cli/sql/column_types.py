"""Hive's types as DuckDB's, and a table's columns as the schema by which DuckDB reads its files.

Columns, and the fields of structs, are found by name without regard to case, as in Hive. A file
that lacks one gives NULL.
"""

import re
from collections.abc import Sequence

from schemas.errors import ContractError
from schemas.manifest import HiveColumns

SIMPLE_TYPES = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
TOKEN = re.compile(r"decimal\(\d+,\d+\)|\w+|[<>:,]", re.ASCII)


def duckdb_type(hive: str) -> str:
    """Return the DuckDB type of a Hive type. Raises ContractError for one that no table has."""
    tokens = TOKEN.findall(hive)
    if "".join(tokens) != hive:
        raise ContractError(f"no table has the type {hive}")
    parser = _TypeParser(tokens, hive)
    duckdb = parser.parse_type()
    parser.expect_end()
    return duckdb


class _TypeParser:
    def __init__(self, tokens: Sequence[str], hive: str) -> None:
        self._tokens = [*tokens, ""]
        self._hive = hive
        self._position = 0

    def parse_type(self) -> str:
        word = self._next()
        if word in SIMPLE_TYPES:
            return SIMPLE_TYPES[word]
        if word.startswith("decimal("):
            return word.upper()
        if word == "array":
            self._expect("<")
            items = self.parse_type()
            self._expect(">")
            return f"{items}[]"
        if word == "struct":
            return self._parse_struct()
        raise self._error()

    def expect_end(self) -> None:
        self._expect("")

    def _parse_struct(self) -> str:
        self._expect("<")
        fields = []
        separator = ","
        while separator == ",":
            name = self._next()
            self._expect(":")
            fields.append(f"{quoted_name(name)} {self.parse_type()}")
            separator = self._next()
        if separator != ">":
            raise self._error()
        return f"STRUCT({', '.join(fields)})"

    def _next(self) -> str:
        token = self._tokens[self._position]
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise self._error()

    def _error(self) -> ContractError:
        return ContractError(f"no table has the type {self._hive}")


def select_files(
    path: str, columns: HiveColumns, partition_column: str | None, rows: int
) -> str:
    """Return the query of all rows of a table, whose files are behind `path`.

    `columns` have their names in Hive; the partition column comes last, as in Hive. `rows` is about
    how many there are: DuckDB orders joins by it, and would have to open files to know it.
    """
    entries = []
    for name, hive in columns:
        entries.append(
            f"{quoted_text(name)}: {{'name': {quoted_text(name)}, "
            f"'type': {quoted_text(duckdb_type(hive))}, 'default_value': NULL}}"
        )
    schema = f"schema = MAP {{{', '.join(entries)}}}"
    partitioning = "hive_partitioning = false"
    names = [quoted_name(name) for name, _ in columns]
    if partition_column is not None:
        hive_types = f"hive_types = {{{quoted_text(partition_column)}: VARCHAR}}"
        partitioning = f"hive_partitioning = true, {hive_types}"
        names.append(quoted_name(partition_column))
    return (
        f"SELECT {', '.join(names)} "
        f"FROM read_parquet({quoted_text(path)}, {schema}, {partitioning}, "
        f"explicit_cardinality = {max(rows, 1)})"
    )


def select_nothing(columns: HiveColumns, partition_column: str | None) -> str:
    """Return the query of a table without files."""
    names = [
        f"CAST(NULL AS {duckdb_type(hive)}) AS {quoted_name(name)}"
        for name, hive in columns
    ]
    if partition_column is not None:
        names.append(f"CAST(NULL AS VARCHAR) AS {quoted_name(partition_column)}")
    return f"SELECT {', '.join(names)} WHERE false"


def quoted_name(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
