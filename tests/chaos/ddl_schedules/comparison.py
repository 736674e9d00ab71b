"""The tables of a schedule in MySQL against Hive, by value."""

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.control.reread_request import RereadRequests
from connectors.hadoop import hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from schemas.errors import Refused
from schemas.hive.names import column_names
from schemas.manifest import Manifest
from schemas.shop_tables import quoted
from schemas.topics import change_topic
from tests.chaos.ddl_schedules.table_state import ColumnState, TableState
from tests.compare import TextRow, canonical_row, multiset_difference

SHOWN_ROWS = 5
DATES = ("date", "datetime", "timestamp")
LABELS = ("enum", "set")
SHAPES = (
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
    "geometrycollection",
)
# MySQL stores a shape as four bytes of its SRID, and then its binary form.
SRID_DIGITS = 8
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Warehouse:
    """The warehouse of a stack, as its readers and its status show it."""

    settings: Settings

    def newest(self) -> Manifest:
        """Return the newest version."""
        return ManifestStore(Hdfs(self.settings.hdfs), self.settings.hdfs.root).newest()

    def topic(self, table: str) -> str:
        """Return the topic of a table of MySQL."""
        return change_topic(self.settings.mysql.database, table)

    def name_in_hive(self, table: str) -> str | None:
        """Return the name of MySQL's table in Hive, None if the newest version lacks it."""
        topic = self.topic(table)
        for name, published in self.newest().tables.items():
            if published.topic == topic:
                return name
        return None

    def tables_with(self, mark: str) -> list[str]:
        """Return the names in MySQL of the published tables whose name has a mark."""
        prefix = self.topic("")
        topics = [table.topic for table in self.newest().tables.values()]
        return sorted(topic.removeprefix(prefix) for topic in topics if mark in topic)

    def reason_to_wait(self, table: str) -> str:
        """Return why a table is not replicated now, as the stack says; "" if it is."""
        topic = self.topic(table)
        state = read_state(self.settings.home, "compactor") or {}
        refused = dict(state.get("refused", {}))
        request = RereadRequests(self.settings.home).all().get(topic)
        reason = request.reason if request else ""
        return str(refused.get(topic, reason))

    def reading(self, table: str) -> str:
        """Return the GTID set at which a table was last read from MySQL; "" if it never was."""
        topic = self.topic(table)
        bases = self.newest().bases.values()
        return next((base.gtids for base in bases if base.topic == topic), "")

    def columns(self, name: str) -> set[str]:
        """Return the names of the columns of a table in Hive, in lower case."""
        return {column.lower() for column, _ in self.newest().tables[name].columns}

    def rows(self, name: str, expressions: Iterable[str] = ("*",)) -> list[Row]:
        """Return the rows of a table in Hive. Raises Refused with Hive's words."""
        hive = self.settings.hive
        sql = f"SELECT {', '.join(expressions)} FROM {hive.warehouse_database}.`{name}`"
        return hiveserver2.query(hive, sql).rows


def difference(
    warehouse: Warehouse, mysql: Connection, table: TableState, *, is_written: bool
) -> str:
    """Return how a table in Hive differs from MySQL's; "" if it is equal.

    Columns may be missing if no row was written behind the statement that added them.
    """
    names = column_names([column.name for column in table.columns])
    columns = list(zip(table.columns, map(str.lower, names), strict=True))
    hive_name = warehouse.name_in_hive(table.name)
    if hive_name is not None and not is_written:
        shown = warehouse.columns(hive_name)
        columns = [(column, name) for column, name in columns if name in shown]
    compared = [column for column, _ in columns]
    source = comparable(compared, source_rows(mysql, table.name, compared))
    if hive_name is None:
        return f"it is not in Hive, MySQL has {len(source)} rows" if source else ""
    try:
        if source:
            expressions = [in_hive(column, name) for column, name in columns]
            rows = comparable(compared, warehouse.rows(hive_name, expressions))
        else:
            rows = list(map(canonical_row, warehouse.rows(hive_name)))
    except Refused as error:
        return str(error)
    only_mysql = multiset_difference(source, rows)
    only_hive = multiset_difference(rows, source)
    if not only_mysql and not only_hive:
        return ""
    return (
        f"columns {[column.name for column in compared]}\n"
        f"only in MySQL ({len(only_mysql)}): {only_mysql[:SHOWN_ROWS]}\n"
        f"only in Hive ({len(only_hive)}): {only_hive[:SHOWN_ROWS]}"
    )


def source_rows(mysql: Connection, table: str, columns: Sequence[ColumnState]) -> list[Row]:
    """Return the rows of a table of MySQL."""
    expressions = []
    for number, column in enumerate(columns):
        expressions.append(f"{in_mysql(column)} AS c{number}")
    sql = f"SELECT {', '.join(expressions) or '*'} FROM {quoted(table)}"
    # The driver would take a name's % for a parameter.
    rows = mysql.query(sql.replace("%", "%%"))
    return [tuple(row.values()) for row in rows]


def comparable(columns: Sequence[ColumnState], rows: Iterable[Row]) -> list[TextRow]:
    """Return the canonical rows of either side."""
    kinds = [column.base_type for column in columns]
    text_rows = []
    for row in rows:
        values = zip(kinds, row, strict=True)
        text_rows.append(canonical_row(comparable_value(*value) for value in values))
    return text_rows


def comparable_value(base_type: str, value: Any) -> Any:
    """Return a value that is the same on both sides where docs/types.md says that they differ.

    A FLOAT has six digits. Zero dates and the year 0000 are NULL in Hive. Whole doubles in a JSON
    are printed as integers.
    """
    if value is None:
        return None
    if base_type == "float":
        return f"{value:.6g}"
    if base_type == "vector":
        return vector_text(value)
    if base_type == "json":
        return json_text(value)
    if base_type in LABELS and isinstance(value, bytes):
        # The driver takes a label of the character set binary for bytes.
        return value.decode()
    is_zero_date = base_type in DATES and isinstance(value, str) and "-00" in value
    is_zero_year = base_type == "year" and value == 0
    return None if is_zero_date or is_zero_year else value


def vector_text(value: Any) -> str:
    """Return the numbers of a VECTOR with six digits, from MySQL's HEX of it or Hive's list."""
    if not isinstance(value, str):
        numbers = list(value)
    elif value.startswith("["):
        numbers = json.loads(value)
    else:
        content = bytes.fromhex(value)
        numbers = list(struct.unpack(f"<{len(content) // 4}f", content))
    return " ".join(f"{number:.6g}" for number in numbers)


def json_text(value: str) -> str:
    """Return a JSON document with its whole numbers as integers; other text as it is."""
    try:
        return json.dumps(json.loads(value, parse_float=whole_or_float), ensure_ascii=False)
    except ValueError:
        return value


def whole_or_float(text: str) -> int | float:
    """Return a number of a JSON document."""
    number = float(text)
    return int(number) if number.is_integer() else number


def in_mysql(column: ColumnState) -> str:
    """Return the SQL for MySQL that makes a column's values comparable."""
    name = quoted(column.name)
    if column.base_type in SHAPES:
        return f"CONCAT(SUBSTRING(HEX({name}), {SRID_DIGITS + 1}), '@', ST_SRID({name}))"
    if column.base_type == "vector":
        return f"HEX({name})"
    return f"{name} + 0" if column.base_type == "bit" else name


def in_hive(column: ColumnState, name: str) -> str:
    """Return the SQL for Hive that makes a column's values comparable."""
    if column.base_type in SHAPES:
        return f"concat(hex(`{name}`.wkb), '@', coalesce(`{name}`.srid, 0))"
    return f"`{name}`"
