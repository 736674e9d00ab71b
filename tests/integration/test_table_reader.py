"""Whole tables read from MySQL: every key, every type, and statements in between.

The rows of every type are those that the warehouse has by the stream, in Arrow, type by type.
"""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection, connect
from connectors.mysql.consistent_snapshot import snapshot
from connectors.mysql.key_ranges import key_ranges
from connectors.mysql.table_description import MysqlTable, TableChanged, describe_table
from connectors.mysql.table_reader import TableChunks, read_chunks
from connectors.runtime.settings import Settings
from schemas.mysql_types import LINES
from schemas.shop_tables import quoted
from schemas.topics import change_topic
from spark.storage.parquet import read_table
from tests.conftest import Stack
from tests.eventually import eventually

# Not captured; without the binary log, so that Debezium does not see its statements either.
DATABASE = "table_reader"
TABLE = "read_types"
COLUMNS = [(f"c{number}", line) for number, line in enumerate(LINES)]
MOST_EDGES = max(len(line.edges) for line in LINES)

# (type, distinct values)
KEYS: list[tuple[str, list[str]]] = [
    ("TINYINT", ["-128", "0", "127"]),
    ("BIGINT UNSIGNED", ["0", "9223372036854775808", "18446744073709551615"]),
    ("INT(6) ZEROFILL", ["0", "7", "4294967295"]),
    ("DECIMAL(65,30)", ["-1.5", "0", "12345678901234567890123456789012345.1"]),
    ("FLOAT", ["-3.4e38", "0.1", "0.1000001", "3.14159265", "16777215", "16777216"]),
    ("FLOAT(10,3)", ["-0.001", "0", "1234.567"]),
    ("DOUBLE", ["-1e300", "0.1", "0.30000000000000004", "9007199254740993", "1e22"]),
    ("BIT(10)", ["0", "1", "512", "1023"]),
    ("BIT(64)", ["0", "1", "0x8000000000000000", "0xFFFFFFFFFFFFFFFF"]),
    ("DATE", ["'0000-00-00'", "'2020-00-01'", "'2020-02-31'", "'9999-12-31'"]),
    ("DATETIME(6)", ["'0000-00-00'", "'2020-01-01 00:00:00.000001'", "'2020-01-02'"]),
    (
        "TIMESTAMP(6) NULL",
        ["'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.5'"],
    ),
    (
        "TIME(6)",
        ["'-838:59:58.999999'", "'-00:00:00.1'", "'00:00:00'", "'23:59:59'", "'838:59:59'"],
    ),
    ("YEAR", ["0", "1901", "2000", "2155"]),
    ("CHAR(5)", ["''", "'a'", "'B'", "'ż'", "'🐢'"]),
    ("CHAR(5) COLLATE utf8mb4_bin", ["''", "'A'", "'a'", "'ż'"]),
    ("VARCHAR(9) COLLATE utf8mb4_general_ci", ["''", "'a'", "'B '", "'it''s'", "'😀'"]),
    ("VARCHAR(9) COLLATE utf8mb4_0900_ai_ci", ["''", "' '", "'_'", "'a'", "'a '", "'Z'"]),
    ("VARCHAR(5) CHARACTER SET latin1", ["'a'", "'é'", "'z'"]),
    ("VARCHAR(5) CHARACTER SET sjis", ["'a'", "'日'", "'本'"]),
    ("VARCHAR(5) CHARACTER SET utf16", ["'a'", "'é'", "'🐢'"]),
    ("VARCHAR(5) CHARACTER SET gb18030", ["'a'", "'é'", "'中'"]),
    ("BINARY(4)", ["x''", "x'00ff'", "x'41'", "x'ffffffff'"]),
    ("VARBINARY(4)", ["x''", "x'00'", "x'0000'", "x'27'", "x'5c'"]),
    ("ENUM('z','a','m')", ["'z'", "'a'", "'m'"]),
    ("SET('z','a')", ["''", "'z'", "'a'", "'z,a'"]),
]
# Statements that MySQL notices in an older snapshot, and that are not held up by a read table.
STATEMENTS = [
    "ALTER TABLE t ADD COLUMN more INT DEFAULT 7",
    "ALTER TABLE t DROP COLUMN x",
    "ALTER TABLE t RENAME COLUMN x TO y",
    "ALTER TABLE t MODIFY x BIGINT",
    "ALTER TABLE t DROP PARTITION p1",
    "ALTER TABLE t TRUNCATE PARTITION p1",
    "ALTER TABLE t REMOVE PARTITIONING",
    "TRUNCATE TABLE t",
    "DROP TABLE t",
    "RENAME TABLE t TO elsewhere",
]


@pytest.fixture
def mysql(stack: Stack) -> Iterator[Connection]:
    """A connection in an empty database that is not captured."""
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.admin")) as connection:
        connection.execute("SET sql_log_bin = 0, sql_mode = 'ALLOW_INVALID_DATES'")
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        connection.execute(f"USE {DATABASE}")
        connection.execute("SET lock_wait_timeout = 5")
        yield connection
        connection.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture
def reader(stack: Stack) -> Iterator[Connection]:
    """A connection whose snapshot the test begins."""
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.admin")) as connection:
        yield connection


def begin(reader: Connection, table: str = "t") -> MysqlTable:
    """Begin a snapshot, and return the table in it."""
    reader.execute("ROLLBACK")
    reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    description = describe_table(reader, DATABASE, table)
    assert description is not None
    return description


def numbers(chunks: TableChunks) -> list[int]:
    """Return the values of column `n` in the order of the chunks."""
    values: list[int] = []
    for chunk in chunks:
        values += chunk.column("n").to_pylist()
    return values


def sorts_rows(reader: Connection, table: MysqlTable) -> bool:
    """Return whether MySQL sorts the rows after a key, instead of reading its index in order."""
    ranges = key_ranges(table)
    batches = list(reader.stream_rows(ranges.sql(rows=100), 1 << 20))
    last_key = ranges.last_key(batches[-1].fields(len(ranges.selected)))
    plans = []
    for depth in range(len(last_key) + 1):
        sql = ranges.sql(last_key=last_key, depth=depth, rows=2).replace("%", "%%")
        plans += reader.query(f"EXPLAIN FORMAT=TREE {sql}")
    return any("Sort" in str(plan) for plan in plans)


@pytest.mark.parametrize(("key_type", "values"), KEYS, ids=[key[0] for key in KEYS])
@pytest.mark.parametrize("direction", ["", "DESC"])
def test_every_row_is_read_once_by_a_key_of_any_type(
    mysql: Connection, reader: Connection, key_type: str, values: list[str], direction: str
) -> None:
    definition = f"k {key_type.removesuffix(' NULL')} NOT NULL"
    columns = f"n INT, {definition}, j INT, PRIMARY KEY (k {direction}, j)"
    mysql.execute(f"CREATE TABLE t ({columns})")
    rows: list[str] = []
    for value in values:
        rows += [f"({len(rows) + extra}, {value}, {extra})" for extra in range(2)]
    mysql.execute(f"INSERT INTO t VALUES {', '.join(rows)}")
    in_order = [
        row["n"] for row in mysql.query(f"SELECT n FROM t ORDER BY k {direction}, j")
    ]
    for rows_per_chunk in (1, 2, 3, 1000):
        table = begin(reader)
        assert table.key == ("k", "j")
        assert numbers(read_chunks(reader, table, rows_per_chunk)) == in_order
    # The last key is an empty SET, which may be no label (KeyColumn.equals).
    ends_with_empty_label = key_type.startswith("SET") and direction == "DESC"
    assert sorts_rows(reader, table) == ends_with_empty_label


@pytest.mark.parametrize(
    ("columns", "key", "index"),
    [
        ("n INT", (), ""),
        ("n INT, UNIQUE u (n)", (), ""),
        ("n INT NOT NULL, m INT NOT NULL, UNIQUE v (m, n), UNIQUE u (n)", ("m", "n"), "v"),
        ("n INT, `a-b` INT INVISIBLE PRIMARY KEY", ("a-b",), "PRIMARY"),
        ("n INT, t VARCHAR(9) DEFAULT (UUID_SHORT()), UNIQUE ((n + 1))", (), ""),
        ("n INT NOT NULL, t TEXT NOT NULL, UNIQUE p (t(3))", ("t",), ""),
    ],
)
def test_the_key_is_that_of_the_table_or_nothing(
    mysql: Connection, reader: Connection, columns: str, key: tuple[str, ...], index: str
) -> None:
    mysql.execute(f"CREATE TABLE t ({columns})")
    table = begin(reader)
    assert (table.key, table.key_index) == (key, index)
    assert numbers(read_chunks(reader, table)) == []


def test_a_generated_key_is_a_column_and_the_key(
    mysql: Connection, reader: Connection
) -> None:
    mysql.execute("SET sql_generate_invisible_primary_key = ON")
    mysql.execute("CREATE TABLE t (n INT, g INT AS (n + 1), UNIQUE ((n * 2)))")
    mysql.execute("INSERT INTO t (n) VALUES (5), (3)")
    reader.execute("SET show_gipk_in_create_table_and_information_schema = OFF")
    table = begin(reader)
    assert table.key == ("my_row_id",)
    rows = pa.concat_tables(read_chunks(reader, table)).to_pylist()
    assert rows == [{"my_row_id": 1, "n": 5, "g": 6}, {"my_row_id": 2, "n": 3, "g": 4}]


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_a_row_as_large_as_several_packets_is_whole(
    mysql: Connection, reader: Connection, key: str
) -> None:
    mysql.execute(f"CREATE TABLE t (n INT {key}, a LONGBLOB, b LONGTEXT)")
    sizes = [(10, 65_536), (20_000_000, 3), (16_777_215 - 8, 251), (1, 17_000_000)]
    for number, (first, second) in enumerate(sizes):
        values = f"{number}, REPEAT(x'00', {first}), REPEAT('z', {second})"
        mysql.execute(f"INSERT INTO t VALUES ({values})")
    mysql.execute("INSERT INTO t VALUES (9, NULL, '')")
    rows = pa.concat_tables(read_chunks(reader, begin(reader))).to_pylist()
    expected = [(n, b"\0" * a, "z" * b) for n, (a, b) in enumerate(sizes)] + [(9, None, "")]
    assert [(row["n"], row["a"], row["b"]) for row in rows] == expected


def test_zero_dates_become_null_and_are_counted(
    mysql: Connection, reader: Connection
) -> None:
    mysql.execute(
        "CREATE TABLE t (n INT PRIMARY KEY, d DATE, s DATETIME(3), z TIMESTAMP NULL, y YEAR)"
    )
    mysql.execute(
        "INSERT INTO t VALUES (1, '0000-00-00', '2020-00-01 01:02:03', '0000-00-00', 0), "
        "(2, '2020-02-31', '0000-00-00', '1970-01-01 00:00:01', 2000), "
        "(3, NULL, NULL, NULL, NULL)"
    )
    chunks = read_chunks(reader, begin(reader))
    rows = pa.concat_tables(chunks)
    assert [column.null_count for column in rows.columns] == [0, 3, 3, 2, 2]
    assert chunks.zero_dates == {"d": 2, "s": 2, "z": 1, "y": 1}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_between_two_chunks_goes_on_and_is_noticed(
    mysql: Connection, reader: Connection, statement: str
) -> None:
    partitions = ""
    if "PARTITION" in statement:
        partitions = (
            "PARTITION BY RANGE (n) (PARTITION p0 VALUES LESS THAN (10), "
            "PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)"
        )
    mysql.execute(f"CREATE TABLE t (n INT PRIMARY KEY, x INT) {partitions}")
    mysql.execute("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (11, 11), (21, 21)")
    chunks = read_chunks(reader, begin(reader), rows_per_chunk=2)
    next(chunks)
    mysql.execute(statement)
    with pytest.raises(TableChanged):
        numbers(chunks)


def test_writes_between_two_chunks_are_not_seen(
    mysql: Connection, reader: Connection
) -> None:
    mysql.execute("CREATE TABLE t (n INT PRIMARY KEY, x INT)")
    mysql.execute("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
    chunks = read_chunks(reader, begin(reader), rows_per_chunk=1)
    next(chunks)
    mysql.execute("DELETE FROM t WHERE n = 3")
    mysql.execute("INSERT INTO t VALUES (4, 4)")
    assert numbers(chunks) == [2, 3]
    assert reader.query("SELECT 1 AS n"), "the connection can be used again"


def test_a_description_is_as_of_the_snapshot(mysql: Connection, reader: Connection) -> None:
    mysql.execute("CREATE TABLE t (n INT PRIMARY KEY, x INT)")
    table = begin(reader)
    mysql.execute("ALTER TABLE t ADD COLUMN g INT AS (n + 1) VIRTUAL")
    assert table.is_same(describe_table(reader, DATABASE, "t"))
    assert not table.is_same(describe_table(mysql, DATABASE, "t"))
    assert describe_table(mysql, DATABASE, "nothing") is None


def test_a_table_that_was_read_in_part_leaves_no_connection_in_the_middle(
    mysql: Connection, reader: Connection
) -> None:
    mysql.execute("CREATE TABLE t (n INT, x LONGBLOB)")
    for number in range(4):
        mysql.execute(f"INSERT INTO t VALUES ({number}, REPEAT('x', 20000000))")
    chunks = read_chunks(reader, begin(reader))
    next(chunks)
    chunks.close()
    assert not reader.is_open


@pytest.fixture
def types_table(stack: Stack) -> Iterator[str]:
    """A captured table of every type with its extreme values, written by the stream."""
    settings = stack.settings
    login = settings.login("mysql.admin")
    with connect(settings.mysql, login, settings.mysql.database) as connection:
        connection.execute("SET sql_mode = 'STRICT_TRANS_TABLES'")
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
        columns = ", ".join(f"{name} {line.mysql} NULL" for name, line in COLUMNS)
        connection.execute(
            f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, {columns}) CHARSET utf8mb4"
        )
        for number in range(MOST_EDGES + 1):
            values = [str(number)]
            for line in LINES:
                has_edge = number < len(line.edges)
                values.append(str(line.edges[number]) if has_edge else "NULL")
            connection.execute(f"INSERT INTO {TABLE} VALUES ({', '.join(values)})")
        yield TABLE
        connection.execute(f"DROP TABLE {TABLE}")


def warehouse_rows(settings: Settings, table: str) -> pa.Table | None:
    """Return the rows of a table in the newest version, by their key; None if some are missing."""
    hdfs = Hdfs(settings.hdfs)
    manifest = ManifestStore(hdfs, settings.hdfs.root).newest()
    published = manifest.tables.get(table)
    if published is None:
        return None
    assert published.topic == change_topic(settings.mysql.database, table)
    tables = []
    for partition in published.partitions.values():
        for entry in hdfs.list(partition.location):
            path = f"{partition.location}/{entry.name}"
            tables.append(read_table(hdfs.read_bytes(path), path))
    rows = pa.concat_tables(tables).sort_by("id") if tables else None
    return rows if rows is not None and rows.num_rows > MOST_EDGES else None


def test_rows_read_from_mysql_are_those_of_the_stream_type_by_type(
    stack: Stack, types_table: str
) -> None:
    settings = stack.settings
    streamed = eventually(
        lambda: warehouse_rows(settings, types_table),
        within=90,
        because="the warehouse has the rows by the stream",
    )
    with snapshot(settings.mysql, settings.login("mysql.verifier"), 1) as taken:
        reader = taken.readers[0]
        table = describe_table(reader, settings.mysql.database, types_table)
        assert table is not None
        read = pa.concat_tables(read_chunks(reader, table, rows_per_chunk=3))
    assert read.column_names == streamed.column_names
    differences = []
    for name, line in [("id", None), *COLUMNS]:
        in_stream = streamed.column(name).combine_chunks()
        from_mysql = read.column(name).combine_chunks()
        if not from_mysql.equals(in_stream):
            kind = line.mysql if line else quoted(name)
            differences.append(f"{kind}: {from_mysql} in MySQL, {in_stream} in the stream")
    assert differences == []
