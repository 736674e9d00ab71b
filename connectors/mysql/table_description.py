"""Tables as MySQL's dictionary describes them: columns, key, partitions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pymysql.constants import ER

from connectors.mysql.client import Connection, SqlRefused
from connectors.mysql.column_types import ColumnFacts, ReadColumn, as_text, read_column
from schemas.errors import Refused
from schemas.shop_tables import quoted

COLUMNS_SQL = """\
SELECT column_name AS name, data_type AS type, column_type AS full_type, is_nullable AS nullable,
  numeric_precision AS digits, numeric_scale AS scale, datetime_precision AS fraction,
  character_set_name AS charset
FROM information_schema.columns WHERE table_schema = %s AND table_name = %s
ORDER BY ordinal_position"""
TABLE_SQL = """\
SELECT create_time AS created_at, engine AS engine FROM information_schema.tables
WHERE table_schema = %s AND table_name = %s AND table_type = 'BASE TABLE'"""
PARTITIONS_SQL = """\
SELECT COALESCE(subpartition_name, partition_name) AS name FROM information_schema.partitions
WHERE table_schema = %s AND table_name = %s AND partition_name IS NOT NULL
ORDER BY partition_ordinal_position, subpartition_ordinal_position"""
SAVEPOINT = "before_the_table"
# MySQL 8.0.30 and later; a generated key is hidden from descriptions if it is off.
SHOW_GENERATED_KEYS = "show_gipk_in_create_table_and_information_schema"

TABLE_CHANGED_CODES = frozenset(
    {
        1412,  # ER_TABLE_DEF_CHANGED: the snapshot is older than the table's definition
        1735,  # ER_UNKNOWN_PARTITION
        1747,  # ER_PARTITION_CLAUSE_ON_NONPARTITIONED
        ER.NO_SUCH_TABLE,
        ER.BAD_DB_ERROR,
        ER.BAD_FIELD_ERROR,
        ER.KEY_DOES_NOT_EXITS,
    }
)


class TableChanged(Refused):
    """A statement changed the table since the snapshot began, so its rows cannot be read."""


@dataclass(frozen=True)
class KeyPart:
    """A column of an index, by its name in MySQL, and its direction."""

    column: str
    is_descending: bool = False


@dataclass(frozen=True, kw_only=True)
class MysqlTable:
    """A table as of one moment; `created_at` is that of its last definition, in whole seconds.

    `key` has the names in the log; it is empty if no column identifies rows. The rows can be read
    by ranges of the index `key_index` of `key_parts`; both are empty if no index allows that.
    """

    database: str
    name: str
    columns: tuple[ReadColumn, ...]
    key: tuple[str, ...] = ()
    key_index: str = ""
    key_parts: tuple[KeyPart, ...] = ()
    partitions: tuple[str, ...] = ()
    created_at: Any = None
    engine: str = "InnoDB"

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows, with the names in the log."""
        columns = [column.column for column in self.columns]
        return pa.schema([(column.name, column.type.arrow) for column in columns])

    def is_same(self, other_table: "MysqlTable | None") -> bool:
        """Return whether both descriptions are of the same table with the same columns and key."""
        return other_table is not None and self._identity() == other_table._identity()

    def _identity(self) -> tuple[Any, ...]:
        facts = tuple(column.facts for column in self.columns)
        return (self.database, self.name, facts, self.key, self.partitions, self.created_at)


def describe_table(connection: Connection, database: str, table: str) -> MysqlTable | None:
    """Return the description of a table, None if there is no such table.

    In a consistent snapshot MySQL describes the table as it was when the snapshot began, with the
    columns and the key that belong to its rows. Raises TableChanged if it is gone since then,
    ContractError for a type that is not replicated, Unavailable, SqlRefused.
    """
    connection.execute(f"SAVEPOINT {SAVEPOINT}")
    try:
        with noticed_change(table):
            return _describe(connection, database, table)
    finally:
        _release_locks(connection)


@contextmanager
def noticed_change(table: str) -> Iterator[None]:
    """Raise TableChanged for what MySQL refuses because the table is another than before."""
    try:
        yield
    except SqlRefused as error:
        if error.errno in TABLE_CHANGED_CODES:
            raise TableChanged(
                f"table {table} changed while it was read: {error}",
                "read it again in a new snapshot",
            ) from error
        raise


@contextmanager
def released_locks(connection: Connection) -> Iterator[None]:
    """Release the locks on definitions of tables that the block takes in a transaction.

    Raises SqlRefused (ER_SP_DOES_NOT_EXIST) outside of a transaction.
    """
    connection.execute(f"SAVEPOINT {SAVEPOINT}")
    try:
        yield
    except SqlRefused:
        _release_locks(connection)
        raise
    connection.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")


def _release_locks(connection: Connection) -> None:
    try:
        connection.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
    except SqlRefused as error:
        # Outside of a transaction there are no savepoints, and a statement leaves no locks.
        if error.errno != ER.SP_DOES_NOT_EXIST:
            raise


def _describe(connection: Connection, database: str, table: str) -> MysqlTable | None:
    names = (database, table)
    tables = connection.query(TABLE_SQL, names)
    if not tables:
        return None
    if connection.query("SHOW VARIABLES LIKE %s", (SHOW_GENERATED_KEYS,)):
        connection.execute(f"SET SESSION {SHOW_GENERATED_KEYS} = ON")
    all_facts = [_facts(row) for row in connection.query(COLUMNS_SQL, names)]
    escaped_name = table_sql(*names).replace("%", "%%")
    index_rows = connection.query(f"SHOW INDEX FROM {escaped_name}")
    index, parts, is_range_index = choose_key(index_rows)
    return MysqlTable(
        database=database,
        name=table,
        columns=tuple(read_column(facts, f"table {table}") for facts in all_facts),
        key=tuple(part.column for part in parts),
        key_index=index if is_range_index else "",
        key_parts=parts if is_range_index else (),
        partitions=tuple(row["name"] for row in connection.query(PARTITIONS_SQL, names)),
        created_at=tables[0]["created_at"],
        engine=as_text(tables[0]["engine"] or ""),
    )


def table_sql(database: str, table: str) -> str:
    """Return the SQL name of a table."""
    return f"{quoted(database)}.{quoted(table)}"


def choose_key(
    index_rows: Sequence[Mapping[str, Any]],
) -> tuple[str, tuple[KeyPart, ...], bool]:
    """Return the index that identifies rows, its columns, and whether its order is that of the
    columns' values.

    `index_rows` are those of SHOW INDEX, in which the primary key is first, then the unique keys
    without NULL in the order of their creation. A key of prefixes, or an invisible one, cannot be
    read by ranges.
    """
    candidates: dict[str, list[Mapping[str, Any]]] = {}
    for row in index_rows:
        if not int(row["Non_unique"]):
            candidates.setdefault(str(row["Key_name"]), []).append(row)
    for name, rows in candidates.items():
        if any(row["Column_name"] is None or row["Null"] == "YES" for row in rows):
            continue
        parts = [KeyPart(str(row["Column_name"]), row["Collation"] == "D") for row in rows]
        is_whole = all(row["Sub_part"] is None for row in rows)
        is_visible = all(row.get("Visible", "YES") == "YES" for row in rows)
        return name, tuple(parts), is_whole and is_visible
    return "", (), False


def _facts(row: Mapping[str, Any]) -> ColumnFacts:
    return ColumnFacts(
        name=row["name"],
        type=as_text(row["type"]).lower(),
        full_type=as_text(row["full_type"]),
        nullable=row["nullable"] == "YES",
        digits=int(row["digits"] or 0),
        scale=None if row["scale"] is None else int(row["scale"]),
        fraction=int(row["fraction"] or 0),
        charset=row["charset"] or "",
    )
