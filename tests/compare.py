"""MySQL against Hive, value by value."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors import hive
from connectors.mysql import Connection, connect
from infra.settings import Settings
from tests.eventually import eventually


def assert_hive_agrees_with_mysql(settings: Settings, tables: Iterable[str] | None = None, within: float = 90) -> None:
    """Every table of the database that has a primary key (or just these) is in Hive with the same rows.

    Waits until it is so; nothing may write to MySQL meanwhile, or the two never stand still.
    """
    with connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database) as mysql:
        for table in tables or keyed_tables(mysql, settings.mysql.database):
            eventually(lambda table=table: agrees(settings, mysql, table), within=within, because=f"Hive has the rows of {table}")


def keyed_tables(mysql: Connection, database: str) -> list[str]:
    found = mysql.query(
        "SELECT table_name AS name FROM information_schema.table_constraints WHERE table_schema = %s AND constraint_type = 'PRIMARY KEY'",
        (database,),
    )
    return sorted(row["name"] for row in found)


def agrees(settings: Settings, mysql: Connection, table: str) -> bool:
    """Raises AssertionError with the first rows that only one side has."""
    source = mysql.query(f"SELECT * FROM `{table}`")
    if not source:
        return rows_in_hive(settings, table) in ([], None)
    columns = list(source[0])
    expected = sorted(tuple(canonical(row[column]) for column in columns) for row in source)
    found = rows_in_hive(settings, table, columns)
    assert found is not None, f"{table} is not in Hive"
    only_mysql, only_hive = multiset_difference(expected, found), multiset_difference(found, expected)
    assert not only_mysql and not only_hive, f"{table}: only in MySQL {only_mysql[:3]}, only in Hive {only_hive[:3]}"
    return True


def rows_in_hive(settings: Settings, table: str, columns: Iterable[str] = ()) -> list[tuple[str, ...]] | None:
    """The rows of a Hive table in canonical form, sorted; None if there is no such table."""
    database = settings.hive.warehouse_database
    if not hive.query(settings.hive, f"SHOW TABLES IN {database} LIKE '{table.lower()}'").rows:
        return None
    wanted = ", ".join(f"`{column.lower()}`" for column in columns) or "*"
    return sorted(
        tuple(canonical(value) for value in row) for row in hive.query(settings.hive, f"SELECT {wanted} FROM {database}.`{table.lower()}`").rows
    )


def multiset_difference(one: list[tuple[str, ...]], other: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """What `one` has more often than `other`: a doubled row counts."""
    left = list(one)
    seen: dict[tuple[str, ...], int] = {}
    for row in other:
        seen[row] = seen.get(row, 0) + 1
    more = []
    for row in left:
        if seen.get(row, 0):
            seen[row] -= 1
        else:
            more.append(row)
    return more


def canonical(value: Any) -> str:
    """One text for one value, whichever driver it came from. A timestamp without a zone is UTC."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(int(value))
        case int() | float() | Decimal():
            return format(Decimal(str(value)).normalize(), "f")
        case datetime():
            return (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case timedelta():
            return clock(value)
        case bytes():
            return value.hex()
        case _:
            return str(value)


def clock(value: timedelta) -> str:
    """A MySQL TIME as MySQL prints it."""
    microseconds = abs(value) // timedelta(microseconds=1)
    seconds, fraction = divmod(microseconds, 1_000_000)
    shown = f"{'-' if value < timedelta(0) else ''}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{shown}.{fraction:06d}" if fraction else shown
