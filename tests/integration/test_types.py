"""Every MySQL type on a running stack, MySQL against Hive.

Half of the rows are read from the table, the others come by the stream of changes, behind that.
"""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.hadoop import hive_metastore, hiveserver2
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.mysql.client import Connection, SqlRefused, connect
from schemas.envelope import row_avro
from schemas.mysql_types import LINES, Line
from tests.compare import assert_table_agrees, canonical
from tests.conftest import Stack
from tests.eventually import eventually

TABLE = "every_type"
ZERO = "zero_dates"
DEFAULTS = "nulls_and_defaults"
TABLES = (TABLE, ZERO, DEFAULTS)
# Of types that Debezium reads right from a statement: columns that were set right have no default.
DEFAULT_COLUMNS = (
    "a INT DEFAULT 5, b BIGINT DEFAULT -1, c VARCHAR(9) DEFAULT 'x', d DECIMAL(5,2) DEFAULT 1.5, "
    "e DOUBLE DEFAULT 0.5, f DATE DEFAULT '2020-02-29', "
    "g DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), h TIMESTAMP NULL DEFAULT '2020-01-01', "
    "i ENUM('p','q') DEFAULT 'q', j TINYINT DEFAULT 1, k BINARY(2) DEFAULT 'ab'"
)
ZERO_COLUMNS = (
    "day DATE NULL, at DATETIME(6) NOT NULL, seen TIMESTAMP NOT NULL, made YEAR NULL, "
    "flag BOOLEAN NULL"
)
ZERO_DATETIME = "0000-00-00 00:00:00"
# The rows in MySQL and in Hive.
ZERO_ROWS = {
    (1, None, "1970-01-01 00:00:00", "2020-01-01 00:00:00", 2000, 1): (
        (1, None, "1970-01-01 00:00:00.0", "2020-01-01 00:00:00.0", 2000, 1)
    ),
    (2, "0000-00-00", "2020-01-01 00:00:00", ZERO_DATETIME, 0, 2): (
        (2, None, "2020-01-01 00:00:00.0", None, None, 2)
    ),
    (3, "2020-00-01", ZERO_DATETIME, "2020-01-01 00:00:00", None, -1): (
        (3, None, None, "2020-01-01 00:00:00.0", None, -1)
    ),
    (4, "1970-01-01", ZERO_DATETIME, "2020-01-01 00:00:00", 1901, 0): (
        (4, "1970-01-01", None, "2020-01-01 00:00:00.0", 1901, 0)
    ),
}
MOST_EDGES = max(len(line.edges) for line in LINES)
BY_SNAPSHOT = 1000
BY_STREAM = 2000
NUMBERS = range(MOST_EDGES + 1)
ROWS = [base + number for base in (BY_SNAPSHOT, BY_STREAM) for number in NUMBERS]
COLUMNS = [(f"c{number}", line) for number, line in enumerate(LINES)]
Values = dict[int, tuple[Any, ...]]


@pytest.fixture(scope="module")
def mysql(stack: Stack) -> Iterator[Connection]:
    settings = stack.settings
    login = settings.login("mysql.admin")
    with connect(settings.mysql, login, settings.mysql.database) as connection:
        connection.execute("SET sql_mode = 'STRICT_TRANS_TABLES'")
        yield connection


@pytest.fixture(scope="module")
def written(stack: Stack, mysql: Connection) -> Iterator[None]:
    """Every table written, half of it before it was read and half behind that."""
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")
    create(mysql)
    # Rows that never were in the binary log can only come by reading the table.
    mysql.execute("SET sql_log_bin = 0")
    insert(mysql, BY_SNAPSHOT)
    mysql.execute("SET sql_log_bin = 1")
    stack.kappa("compact", "--now", check=True)
    stack.kappa("resync", *TABLES, check=True)
    insert(mysql, BY_STREAM)
    for row in ZERO_ROWS:
        mysql.execute(f"INSERT INTO {ZERO} VALUES (%s, %s, %s, %s, %s, %s)", row)
    nulls = ", ".join(["NULL"] * len(DEFAULT_COLUMNS.split(", ")))
    mysql.execute(f"INSERT INTO {DEFAULTS} VALUES (1, {nulls})")
    mysql.execute(f"INSERT INTO {DEFAULTS} (id) VALUES (2)")
    eventually(
        lambda: hive_rows(stack, f"SELECT count(*) FROM {TABLE}") == [(len(ROWS),)],
        within=60,
        because="both halves are in Hive",
    )
    yield
    for table in TABLES:
        mysql.execute(f"DROP TABLE {table}")


def topic(stack: Stack, table: str) -> str:
    return f"cdc.{stack.settings.mysql.database}.{table}"


def hive_rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query of the warehouse's database in Hive."""
    hive = stack.settings.hive
    return hiveserver2.query(hive, sql, database=hive.warehouse_database).rows


def create(mysql: Connection) -> None:
    """Create the tables."""
    columns = ", ".join(definition(mysql, name, line) for name, line in COLUMNS)
    key = "id INT PRIMARY KEY"
    mysql.execute(f"CREATE TABLE {TABLE} ({key}, {columns}) CHARSET utf8mb4")
    mysql.execute(f"CREATE TABLE {ZERO} ({key}, {ZERO_COLUMNS})")
    mysql.execute(f"CREATE TABLE {DEFAULTS} ({key}, {DEFAULT_COLUMNS})")


def definition(mysql: Connection, name: str, line: Line) -> str:
    """Return a nullable column with a default, if MySQL accepts one of the type: NULL is not it."""
    with_default = f"{name} {line.mysql} NULL DEFAULT {line.edges[-1]}"
    try:
        mysql.execute(f"CREATE TEMPORARY TABLE with_default ({with_default})")
    except SqlRefused:
        return f"{name} {line.mysql} NULL"
    mysql.execute("DROP TEMPORARY TABLE with_default")
    return with_default


def insert(mysql: Connection, base: int) -> None:
    """Insert a row per edge, and one of nulls, in sessions of several time zones."""
    for number in NUMBERS:
        zone = ("+00:00", "-11:30", "+14:00")[number % 3]
        values = [str(base + number)]
        for line in LINES:
            is_null = number >= len(line.edges)
            values.append("NULL" if is_null else in_zone(line, line.edges[number], zone))
        mysql.execute(f"SET time_zone = '{zone}'")
        mysql.execute(f"INSERT INTO {TABLE} VALUES ({', '.join(values)})")
    mysql.execute("SET time_zone = '+00:00'")


def in_zone(line: Line, value: str, zone: str) -> str:
    """Return the SQL of the same instant in a session of another zone.

    The first and the last instant have an explicit offset, since other zones cannot write them.
    """
    if not line.mysql.startswith("TIMESTAMP"):
        return value
    if "1970" in value or "2038" in value:
        return f"{value[:-1]}+00:00'"
    return f"CONVERT_TZ({value}, '+00:00', '{zone}')"


@pytest.fixture(scope="module")
def in_mysql(mysql: Connection, written: None) -> Values:
    """The values of each row in MySQL."""
    expressions = [f"{mysql_expression(line, name)} AS {name}" for name, line in COLUMNS]
    values: Values = {}
    for row in mysql.query(f"SELECT id, {', '.join(expressions)} FROM {TABLE}"):
        values[row["id"]] = tuple(row[name] for name, _ in COLUMNS)
    return values


@pytest.fixture(scope="module")
def in_hive(stack: Stack, written: None) -> Values:
    """The values of each row in Hive."""
    expressions = [hive_expression(line, name) for name, line in COLUMNS]
    rows = hive_rows(stack, f"SELECT id, {', '.join(expressions)} FROM {TABLE}")
    return {row[0]: tuple(row[1:]) for row in rows}


def mysql_expression(line: Line, column: str) -> str:
    """Return the SQL for MySQL that makes values of a column comparable."""
    if "wkb" in line.type.hive:
        order = ", 'axis-order=long-lat'" if "4326" in "".join(line.edges) else ""
        return f"CONCAT(ST_SRID({column}), ':', HEX(ST_AsBinary({column}{order})))"
    if line.mysql.startswith("BIT"):
        return f"{column} + 0"
    if line.mysql.startswith("VECTOR"):
        return f"HEX({column})"
    return column


def hive_expression(line: Line, column: str) -> str:
    """Return the SQL for Hive that makes values of a column comparable."""
    if "wkb" in line.type.hive:
        return f"concat(coalesce({column}.srid, 0), ':', hex({column}.wkb))"
    return column


def plain(line: Line, value: Any) -> str:
    """Return the same text for a value of either driver."""
    if value is None:
        return "no value"
    if line.mysql.startswith("VECTOR"):
        if value.startswith("["):
            numbers = json.loads(value)
        else:
            numbers = struct.unpack(f"<{len(value) // 8}f", bytes.fromhex(value))
        return str([struct.pack("<f", number) for number in numbers])
    if line.mysql == "FLOAT":
        return canonical(float(f"{value:.6g}"))
    return canonical(value)


def test_rows_of_the_snapshot_and_of_the_stream_are_all_there(
    in_mysql: Values, in_hive: Values
) -> None:
    assert sorted(in_mysql) == sorted(in_hive) == ROWS


@pytest.mark.parametrize("number", range(len(LINES)), ids=[line.mysql for line in LINES])
def test_a_value_of_each_type_is_in_hive_as_in_mysql_by_snapshot_and_by_stream(
    number: int, in_mysql: Values, in_hive: Values
) -> None:
    line = LINES[number]
    different_values = set()
    for row in ROWS:
        mysql_value = plain(line, in_mysql[row][number])
        hive_value = plain(line, in_hive[row][number])
        way = "by snapshot" if row < BY_STREAM else "by stream"
        values = f"MySQL {mysql_value[:200]}, Hive {hive_value[:200]}"
        assert hive_value == mysql_value, f"{line.mysql} {way}: {values}"
        different_values.add(mysql_value)
    has_null = len(line.edges) <= MOST_EDGES
    assert len(different_values) == len(line.edges) + has_null


def test_a_null_is_null_although_its_column_has_a_default(
    stack: Stack, mysql: Connection, written: None
) -> None:
    assert_table_agrees(stack.settings, mysql, DEFAULTS, within=60)
    # Of the change itself: a re-read would hide what the stream has.
    where = "id = 1 and op = 'insert'"
    change = stack.kappa(
        "watch", DEFAULTS, "--from-beginning", "--where", where, "-n", "1", "--json"
    )
    values = json.loads(change.stdout)["after"]
    assert values.pop("id") == 1
    assert set(values.values()) == {None}


def test_the_written_table_of_types_has_the_types_of_the_registry_and_of_hive(
    stack: Stack, written: None
) -> None:
    schema = SchemaRegistry(stack.settings.registry.url).newest(
        f"{topic(stack, TABLE)}-value"
    )
    fields = row_avro(schema, TABLE)["fields"]
    avro_types = {field["name"]: without_null(field["type"]) for field in fields}
    hive = stack.settings.hive
    with hive_metastore.Metastore(hive.metastore_uris) as metastore:
        table = metastore.table(hive.warehouse_database, TABLE)
    assert table is not None
    hive_types = dict(table.columns)
    records: dict[str, Any] = {}
    for name, line in COLUMNS:
        avro_type = avro_types[name]
        # A record is defined once, and named where it is used again.
        if isinstance(avro_type, dict) and avro_type.get("type") == "record":
            records[f"{avro_type['namespace']}.{avro_type['name']}"] = avro_type
        if isinstance(avro_type, str):
            avro_type = records.get(avro_type, avro_type)
        assert shape(avro_type) == shape(line.avro), line.mysql
        assert hive_types[name] == line.type.hive, line.mysql


def without_null(avro_type: Any) -> Any:
    """Return the other type of a union with null, or the type itself."""
    if isinstance(avro_type, list):
        return next(part for part in avro_type if part != "null")
    return avro_type


def shape(avro_type: Any) -> tuple[Any, ...]:
    """Return the parts of an Avro type that a line of the table of types states."""
    if isinstance(avro_type, str):
        return (avro_type, None, None)
    parameters = []
    for key, value in sorted(avro_type.get("connect.parameters", {}).items()):
        if key in ("scale", "connect.decimal.precision", "length"):
            parameters.append((key, value))
    return (avro_type["type"], avro_type.get("connect.name"), tuple(parameters) or None)


def test_a_zero_date_is_null_and_a_number_of_a_boolean_is_that_number(
    stack: Stack, written: None
) -> None:
    columns = (
        "id, cast(day AS string), cast(at AS string), cast(seen AS string), made, flag"
    )
    # Debezium takes BOOLEAN for another type: the table may be being read again.
    eventually(
        lambda: stack.kappa("verify", "warehouse", "--table", ZERO).returncode == 0,
        within=180,
        because="the rows are those of MySQL",
    )
    rows = hive_rows(stack, f"SELECT {columns} FROM {ZERO} ORDER BY id")
    assert [tuple(map(plain_text, row)) for row in rows] == [
        tuple(map(plain_text, row)) for row in ZERO_ROWS.values()
    ]


def plain_text(value: Any) -> Any:
    """Return a value without zeros at the end of an instant's fraction."""
    return value.removesuffix(".0") if isinstance(value, str) else value
