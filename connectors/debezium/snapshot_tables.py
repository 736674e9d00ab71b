"""The tables whose rows Debezium's snapshot leaves out, since they are read faster beside it.

Debezium writes each row of a snapshot to the log, one after the other. The compactor reads such a
table from MySQL in columns instead (spark/reread), and continues from there with its changes in
the log. So it does with tables that a snapshot cannot read, or reads otherwise than the stream.
Debezium still reads the table's columns: without them it would skip its changes. So its
rows are selected by a statement that finds none, instead of the table being left out of
`snapshot.include.collection.list`.
"""

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.mysql.column_types import as_text
from connectors.runtime.settings import Mysql, Settings
from schemas.shop_tables import quoted

OVERRIDES = "snapshot.select.statement.overrides"
# Debezium reads further names in keys and lists of its configuration in its own way.
PLAIN_NAME = re.compile(r"\w+", re.ASCII)
BASE_TABLES = (
    "SELECT table_name AS name FROM information_schema.tables "
    "WHERE table_schema = %s AND table_type = 'BASE TABLE' ORDER BY table_name"
)
# Columns that may have values which a snapshot cannot read, or not as the stream does.
SPECIAL_COLUMNS = (
    "SELECT table_name AS name, data_type AS type, column_type AS full_type "
    "FROM information_schema.columns "
    "WHERE table_schema = %s AND data_type IN ('decimal', 'enum', 'set')"
)

log = logging.getLogger("capture")


def large_tables(settings: Settings) -> list[str]:
    """Return the tables that have too many rows for the log, or values that a snapshot misreads.

    Raises Unavailable.
    """
    mysql = settings.mysql
    tables = []
    with connect(mysql, settings.login("mysql.debezium"), mysql.database) as connection:
        misread_names = misread_tables(connection.query(SPECIAL_COLUMNS, (mysql.database,)))
        for name in _captured_tables(connection, mysql):
            if not is_plain(mysql.database, name):
                continue
            if name in misread_names or _is_large(
                connection, name, mysql.snapshot_rows_in_log
            ):
                tables.append(name)
    return tables


def captured_tables(settings: Settings) -> list[str]:
    """Return the tables that MySQL has and the capture rules name. Raises Unavailable."""
    mysql = settings.mysql
    with connect(mysql, settings.login("mysql.debezium")) as connection:
        return _captured_tables(connection, mysql)


def _captured_tables(connection: Connection, mysql: Mysql) -> list[str]:
    names = [str(row["name"]) for row in connection.query(BASE_TABLES, (mysql.database,))]
    return list(filter(mysql.capture_rules.captures, names))


def misread_tables(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the tables of rows of SPECIAL_COLUMNS that a snapshot does not read as the stream.

    MySQL's driver fails at decimals that are filled with zeros. A label with a backslash may be
    another label in the stream (schemas/mysql_values.py).
    """
    names = set()
    for row in rows:
        full_type = as_text(row["full_type"])
        is_number = as_text(row["type"]).lower() == "decimal"
        if "zerofill" in full_type if is_number else "\\" in full_type:
            names.add(str(row["name"]))
    return names


def _is_large(connection: Connection, table: str, most_rows: int) -> bool:
    """Whether a table has more rows (MySQL's estimates may be minutes old), or cannot be read.

    Such a table, as one whose tablespace is discarded, would end Debezium's snapshot of all tables.
    """
    rows = f"SELECT 1 FROM {quoted(table)} LIMIT {most_rows + 1}"
    try:
        (row,) = connection.query(f"SELECT COUNT(*) AS count FROM ({rows}) AS first_rows")
    except SqlRefused as error:
        log.warning("table %s is left out of the snapshot: %s", table, error)
        return True
    return int(row["count"]) > most_rows


def is_plain(*names: str) -> bool:
    """Return whether Debezium's configuration can name a table."""
    return all(PLAIN_NAME.fullmatch(name) for name in names)


def snapshot_part(database: str, tables: Iterable[str]) -> dict[str, str]:
    """Return the part of the connector's configuration that leaves out the rows of tables."""
    names = [f"{database}.{table}" for table in sorted(tables)]
    if not names:
        return {}
    part = {OVERRIDES: ",".join(names)}
    for table in sorted(tables):
        source = f"{quoted(database)}.{quoted(table)}"
        part[f"{OVERRIDES}.{database}.{table}"] = f"SELECT * FROM {source} LIMIT 0"
    return part


def left_out_tables(config: Mapping[str, str], database: str) -> Collection[str]:
    """Return the tables whose rows a connector's configuration leaves out of the snapshot."""
    names = config.get(OVERRIDES, "").split(",")
    prefix = f"{database}."
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
