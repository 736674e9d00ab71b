"""MySQL against Hive, value by value."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from connectors.hadoop import hiveserver2
from connectors.mysql.client import Connection, connect
from connectors.runtime.settings import Settings
from tests.eventually import eventually

# A DECIMAL of MySQL has up to 65 digits.
ALL_DIGITS = Context(prec=65)

TextRow = tuple[str, ...]

KEYED_TABLES = (
    "SELECT table_name AS name FROM information_schema.table_constraints "
    "WHERE table_schema = %s AND constraint_type = 'PRIMARY KEY'"
)


def assert_hive_agrees_with_mysql(
    settings: Settings, tables: Iterable[str] | None = None, within: float = 90
) -> None:
    """Fail unless Hive has the rows of these tables, or of every table with a primary key.

    Waits at most `within` seconds per table. Nothing may write to MySQL in that time.
    """
    database = settings.mysql.database
    with connect(settings.mysql, settings.login("mysql.admin"), database) as mysql:
        for table in tables or keyed_tables(mysql, database):
            assert_table_agrees(settings, mysql, table, within=within)


def assert_table_agrees(
    settings: Settings, mysql: Connection, table: str, *, within: float
) -> None:
    """Fail unless Hive has the rows of a MySQL table within so many seconds."""
    assert eventually(
        lambda: agrees(settings, mysql, table),
        within=within,
        because=f"Hive has the rows of {table}",
    )


def keyed_tables(mysql: Connection, database: str) -> list[str]:
    """Return the tables of a MySQL database that have a primary key, sorted."""
    return sorted(row["name"] for row in mysql.query(KEYED_TABLES, (database,)))


def agrees(settings: Settings, mysql: Connection, table: str) -> bool:
    """Return whether Hive has the rows of a MySQL table.

    Raises AssertionError with the first rows that only one side has.
    """
    source = mysql.query(f"SELECT * FROM `{table}`")
    if not source:
        return rows_in_hive(settings, table) in ([], None)
    columns = list(source[0])
    expected_rows = []
    for row in source:
        expected_rows.append(tuple(canonical(row[column]) for column in columns))
    hive_rows = rows_in_hive(settings, table, columns)
    assert hive_rows is not None, f"{table} is not in Hive"
    only_mysql = multiset_difference(sorted(expected_rows), hive_rows)
    only_hive = multiset_difference(hive_rows, sorted(expected_rows))
    assert not only_mysql and not only_hive, (
        f"{table}: only in MySQL {only_mysql[:3]}, only in Hive {only_hive[:3]}"
    )
    return True


def rows_in_hive(
    settings: Settings, table: str, columns: Iterable[str] = ()
) -> list[TextRow] | None:
    """Return the canonical rows of a Hive table, sorted; None if there is no such table."""
    database = settings.hive.warehouse_database
    name = table.lower()
    tables = hiveserver2.query(settings.hive, f"SHOW TABLES IN {database} LIKE '{name}'")
    if not tables.rows:
        return None
    selected = ", ".join(f"`{column.lower()}`" for column in columns) or "*"
    answer = hiveserver2.query(settings.hive, f"SELECT {selected} FROM {database}.`{name}`")
    return sorted(map(canonical_row, answer.rows))


def multiset_difference(rows: list[TextRow], subtracted: list[TextRow]) -> list[TextRow]:
    """Return the rows that are more often in the first list; a doubled row counts."""
    remaining = Counter(subtracted)
    difference = []
    for row in rows:
        if remaining[row]:
            remaining[row] -= 1
        else:
            difference.append(row)
    return difference


def canonical_row(row: Iterable[Any]) -> TextRow:
    """Return the text of each value of a row."""
    return tuple(map(canonical, row))


def canonical(value: Any) -> str:
    """Return the same text for a value of either driver. A timestamp without a zone is UTC."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(int(value))
        case int() | float() | Decimal():
            return format(Decimal(str(value)).normalize(ALL_DIGITS), "f")
        case datetime():
            utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return utc.isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case timedelta():
            return clock(value)
        case bytes():
            return value.hex()
        case _:
            return str(value)


def clock(value: timedelta) -> str:
    """Return a MySQL TIME as MySQL prints it."""
    microseconds = abs(value) // timedelta(microseconds=1)
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < timedelta(0) else ""
    text = f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{text}.{fraction:06d}" if fraction else text
