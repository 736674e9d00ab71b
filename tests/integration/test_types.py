"""Every MySQL type on a running stack, a line each: the rows that a snapshot brings and the rows of the stream, MySQL against Hive."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from connectors import hive
from connectors.mysql import Connection, connect
from connectors.registry import SchemaRegistry
from connectors.signals import read_again
from infra.state import read_state
from schemas.envelope import row_avro
from schemas.mysql_types import LINES, Line
from tests.compare import canonical
from tests.conftest import Stack
from tests.eventually import eventually

TABLE, ZERO, WIDE, BESIDE = "every_type", "zero_dates", "wide_decimals", "no_zero_dates"
TABLES = (TABLE, ZERO, WIDE, BESIDE)
MOST_EDGES = max(len(line.edges) for line in LINES)
BY_SNAPSHOT, BY_STREAM = 1000, 2000
ROWS = [base + number for base in (BY_SNAPSHOT, BY_STREAM) for number in range(MOST_EDGES + 1)]
Values = dict[int, tuple[Any, ...]]


@pytest.fixture(scope="module")
def mysql(stack: Stack) -> Iterator[Connection]:
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database) as connection:
        connection.execute("SET sql_mode = 'STRICT_TRANS_TABLES'")
        yield connection


@pytest.fixture(scope="module")
def refused(stack: Stack, mysql: Connection) -> Iterator[dict[str, str]]:
    """Every table written and read again; what the compactor says that it cannot carry."""
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")
    write(mysql)
    read_again(stack.settings.kafka, stack.settings.mysql.database, [TABLE, BESIDE])
    count = f"SELECT count(*) FROM {stack.settings.hive.warehouse_database}.{TABLE}"
    eventually(lambda: hive.query(stack.settings.hive, count).rows == [(len(ROWS),)], within=60, because="both halves are in Hive")
    named = [f"cdc.{stack.settings.mysql.database}.{table}" for table in (ZERO, WIDE)]
    state = lambda: (read_state(stack.settings.home, "compactor") or {}).get("refused", {})  # noqa: E731
    yield eventually(lambda: state() if set(named) <= set(state()) else None, within=30, because="the compactor names what it cannot carry")
    for table in TABLES:
        mysql.execute(f"DROP TABLE {table}")


def write(mysql: Connection) -> None:
    columns = ", ".join(f"c{number} {line.mysql} NULL" for number, line in enumerate(LINES))
    mysql.execute(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, {columns}) CHARSET utf8mb4")
    mysql.execute(f"CREATE TABLE {ZERO} (id INT PRIMARY KEY, day DATE NULL, at DATETIME(6) NOT NULL)")
    mysql.execute(f"CREATE TABLE {BESIDE} (id INT PRIMARY KEY, day DATE NULL, at DATETIME(6) NOT NULL, seen TIMESTAMP NULL, made YEAR NULL)")
    mysql.execute(f"CREATE TABLE {WIDE} (id INT PRIMARY KEY, price DECIMAL(65,30))")
    # Rows that never were in the binary log can only come by a snapshot.
    mysql.execute("SET sql_log_bin = 0")
    insert(mysql, BY_SNAPSHOT)
    mysql.execute("SET sql_log_bin = 1")
    insert(mysql, BY_STREAM)
    mysql.execute(f"INSERT INTO {ZERO} VALUES (1, NULL, '1970-01-01 00:00:00'), (2, '0000-00-00', '2020-01-01 00:00:00')")
    mysql.execute(f"INSERT INTO {BESIDE} VALUES (1, NULL, '1970-01-01 00:00:00', NULL, 2000), (2, '1970-01-01', '2020-01-01 00:00:00', NULL, NULL)")
    mysql.execute(f"INSERT INTO {WIDE} VALUES (1, 12345678901234567890123456789012345.123456789012345678901234567890)")


def insert(mysql: Connection, base: int) -> None:
    """A row per edge, and one of nulls; the zone of the session must not matter."""
    for number in range(MOST_EDGES + 1):
        zone = ("+00:00", "-11:30", "+14:00")[number % 3]
        values = [moved(line, line.edges[number], zone) if number < len(line.edges) else "NULL" for line in LINES]
        mysql.execute(f"SET time_zone = '{zone}'")
        mysql.execute(f"INSERT INTO {TABLE} VALUES ({base + number}, {', '.join(values)})")
    mysql.execute("SET time_zone = '+00:00'")


def moved(line: Line, value: str, zone: str) -> str:
    """The same instant as written in a session of another zone; the very first and the very last by its offset, since they exist in no other."""
    if not line.mysql.startswith("TIMESTAMP"):
        return value
    return f"{value[:-1]}+00:00'" if "1970" in value or "2038" in value else f"CONVERT_TZ({value}, '+00:00', '{zone}')"


@pytest.fixture(scope="module")
def in_mysql(mysql: Connection, refused: dict[str, str]) -> Values:
    expressions = [in_mysqls_words(line, f"c{number}") for number, line in enumerate(LINES)]
    asked = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(expressions))
    return {row["id"]: tuple(row[f"c{n}"] for n in range(len(LINES))) for row in mysql.query(f"SELECT id, {asked} FROM {TABLE}")}


@pytest.fixture(scope="module")
def in_hive(stack: Stack, refused: dict[str, str]) -> Values:
    asked = ", ".join(in_hives_words(line, f"c{number}") for number, line in enumerate(LINES))
    rows = hive.query(stack.settings.hive, f"SELECT id, {asked} FROM {stack.settings.hive.warehouse_database}.{TABLE}").rows
    return {row[0]: tuple(row[1:]) for row in rows}


def in_mysqls_words(line: Line, column: str) -> str:
    if "wkb" in line.type.hive:
        order = ", 'axis-order=long-lat'" if "4326" in "".join(line.edges) else ""
        return f"CONCAT(ST_SRID({column}), ':', HEX(ST_AsBinary({column}{order})))"
    return f"{column} + 0" if line.mysql.startswith("BIT") else f"HEX({column})" if line.mysql.startswith("VECTOR") else column


def in_hives_words(line: Line, column: str) -> str:
    return f"concat(coalesce({column}.srid, 0), ':', hex({column}.wkb))" if "wkb" in line.type.hive else column


def plain(line: Line, value: Any) -> str:
    """One text for one value; that of no value is no text's."""
    if value is None:
        return "no value"
    if line.mysql.startswith("VECTOR"):
        numbers = json.loads(value) if value.startswith("[") else struct.unpack(f"<{len(value) // 8}f", bytes.fromhex(value))
        return str([struct.pack("<f", number) for number in numbers])
    return canonical(float(f"{value:.6g}") if line.mysql == "FLOAT" else value)


def test_rows_of_the_snapshot_and_of_the_stream_are_all_there(in_mysql: Values, in_hive: Values) -> None:
    assert sorted(in_mysql) == sorted(in_hive) == ROWS


@pytest.mark.parametrize("number", range(len(LINES)), ids=[line.mysql for line in LINES])
def test_a_value_of_each_type_is_in_hive_as_in_mysql_by_snapshot_and_by_stream(number: int, in_mysql: Values, in_hive: Values) -> None:
    line = LINES[number]
    for row in ROWS:
        expected, found = plain(line, in_mysql[row][number]), plain(line, in_hive[row][number])
        assert found == expected, f"{line.mysql} {'by snapshot' if row < BY_STREAM else 'by stream'}: MySQL {expected[:200]}, Hive {found[:200]}"
    assert len({plain(line, in_mysql[row][number]) for row in ROWS}) == len(line.edges) + (len(line.edges) <= MOST_EDGES)


def test_the_written_table_says_what_the_registry_and_hive_have(stack: Stack, refused: dict[str, str]) -> None:
    subject = f"cdc.{stack.settings.mysql.database}.{TABLE}-value"
    fields = {field["name"]: field["type"] for field in row_avro(SchemaRegistry(stack.settings.registry.url).newest(subject), TABLE)["fields"]}
    with hive.Metastore(stack.settings.hive.metastore_uris) as metastore:
        table = metastore.table(stack.settings.hive.warehouse_database, TABLE)
    assert table is not None
    kinds = dict(table.columns)
    known: dict[str, Any] = {}
    for number, line in enumerate(LINES):
        found = without_null(fields[f"c{number}"])
        if isinstance(found, dict) and found.get("type") == "record":
            known[f"{found['namespace']}.{found['name']}"] = found
        assert shape(known.get(found, found) if isinstance(found, str) else found) == shape(line.avro), line.mysql
        assert kinds[f"c{number}"] == line.type.hive, line.mysql


def without_null(avro: Any) -> Any:
    return next(part for part in avro if part != "null") if isinstance(avro, list) else avro


def shape(avro: Any) -> tuple[Any, ...]:
    """What a line promises of an Avro type."""
    if isinstance(avro, str):
        return (avro, None, None)
    parameters = {key: value for key, value in avro.get("connect.parameters", {}).items() if key in ("scale", "connect.decimal.precision", "length")}
    return (avro["type"], avro.get("connect.name"), tuple(sorted(parameters.items())) or None)


def test_a_zero_date_stops_its_table_by_name_and_no_other(stack: Stack, refused: dict[str, str], mysql: Connection) -> None:
    reason = refused[f"cdc.{stack.settings.mysql.database}.{ZERO}"]
    assert "table zero_dates: column day holds a zero date (row id 2)" in reason
    assert "set it to NULL" in reason
    assert f"cdc.{stack.settings.mysql.database}.{BESIDE}" not in refused, "real NULLs, a real 1970-01-01 and a real 2000 stop nothing"
    assert "zero_dates" in stack.kappa("status").stdout


def test_more_digits_than_hive_holds_stop_the_table_by_name(stack: Stack, refused: dict[str, str]) -> None:
    reason = refused[f"cdc.{stack.settings.mysql.database}.{WIDE}"]
    assert "table wide_decimals: column price" in reason
    assert "DECIMAL(65,30)" in reason
    assert not hive.query(stack.settings.hive, f"SHOW TABLES IN {stack.settings.hive.warehouse_database} LIKE '{WIDE}'").rows


def test_a_table_goes_on_when_its_zero_dates_are_gone(stack: Stack, refused: dict[str, str], mysql: Connection) -> None:
    mysql.execute(f"UPDATE {ZERO} SET day = NULL WHERE id = 2")
    stack.kappa("compact", "--now", check=True)
    count = f"SELECT count(*) FROM {stack.settings.hive.warehouse_database}.{ZERO}"
    eventually(lambda: hive.query(stack.settings.hive, count).rows == [(2,)], within=30, because="the table is carried again")
