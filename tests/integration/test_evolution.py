"""Statements that change tables, on a running stack: mid-stream, between writes. MySQL against Hive, row by row."""

from collections.abc import Callable, Iterator

import pyspark.sql
import pytest

from connectors.connect import ConnectApi
from connectors.hdfs import Hdfs
from connectors.mysql import Connection
from connectors.registry import SchemaRegistry
from infra.state import read_state
from infra.warehouse import REQUEST
from schemas.warehouse import WHOLE
from spark.manifest import Table, Versions
from tests.compare import agrees, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually

# Each table's life: first rows, then (in a second version) statements between writes. `{t}` is the table.
FIRST = "CREATE TABLE {t} (id INT PRIMARY KEY, a INT, b VARCHAR(5), price DECIMAL(6,2))"
ROWS = "INSERT INTO {t} VALUES (1, 10, 'x', 1.25), (2, 20, 'y', NULL), (3, 30, NULL, -9999.99)"
FIRST_ROWS = 3
LIVES: dict[str, tuple[str, ...]] = {
    "add": (
        "ALTER TABLE {t} ADD first INT NOT NULL DEFAULT 7 FIRST, ADD middle VARCHAR(9) DEFAULT 'it''s' AFTER a, ADD last DATETIME(3) NULL",
        "INSERT INTO {t} (id, first, last) VALUES (4, 1, '2026-01-02 03:04:05.678')",
        "ALTER TABLE {t} ADD amount DECIMAL(8,2) NOT NULL, ADD note TEXT, ADD kind ENUM('p','q') NOT NULL, ADD day DATE DEFAULT '2020-02-29'",
        "UPDATE {t} SET note = 'n' WHERE id = 2",
    ),
    "drop_and_add": (
        "ALTER TABLE {t} DROP COLUMN b", "INSERT INTO {t} VALUES (4, 40, 4.5)",
        "ALTER TABLE {t} DROP a, ADD a INT", "UPDATE {t} SET a = 99 WHERE id = 1",
    ),
    "rename_columns": (
        "ALTER TABLE {t} RENAME COLUMN a TO aa, CHANGE b `a` VARCHAR(5)", "INSERT INTO {t} VALUES (4, 40, 'z', NULL)",
        "ALTER TABLE {t} RENAME COLUMN aa TO b", "DELETE FROM {t} WHERE id = 2",
    ),
    "reorder": ("ALTER TABLE {t} MODIFY price DECIMAL(6,2) FIRST, MODIFY id INT AFTER b", "INSERT INTO {t} VALUES (4.00, 40, 'z', 4)"),
    "widen": (
        "ALTER TABLE {t} MODIFY a BIGINT, MODIFY b VARCHAR(500), MODIFY price DECIMAL(20,4), MODIFY id BIGINT",
        "INSERT INTO {t} VALUES (4, 9223372036854775807, REPEAT('z', 400), 1234567890123456.7890)", "UPDATE {t} SET b = 'yy' WHERE id = 2",
    ),
    "defaults": (
        "ALTER TABLE {t} ADD c INT DEFAULT 5", "ALTER TABLE {t} ALTER COLUMN c SET DEFAULT 6", "INSERT INTO {t} (id) VALUES (4)",
        "ALTER TABLE {t} ALTER COLUMN c DROP DEFAULT", "INSERT INTO {t} (id, c) VALUES (5, 8)",
    ),
    "new_key": (
        "UPDATE {t} SET a = 20 WHERE id = 1", "UPDATE {t} SET a = 21 WHERE id = 2",
        "ALTER TABLE {t} DROP PRIMARY KEY, ADD PRIMARY KEY (a)", "UPDATE {t} SET id = 1", "INSERT INTO {t} VALUES (1, 40, 'z', NULL)",
        "DELETE FROM {t} WHERE a = 30",
    ),
    "made_anew": ("DROP TABLE {t}", "CREATE TABLE {t} (id VARCHAR(9) PRIMARY KEY, a DATE)", "INSERT INTO {t} VALUES ('one', '2020-01-01')"),
    "emptied_anew": ("DROP TABLE {t}", FIRST, "INSERT INTO {t} VALUES (9, 9, 'n', 9)"),
    "renamed": (
        "INSERT INTO {t} VALUES (4, 40, 'z', NULL)", "ALTER TABLE {t} ADD c INT DEFAULT 5", "RENAME TABLE {t} TO {t}_2",
        "UPDATE {t}_2 SET b = 'after' WHERE id = 1", "DELETE FROM {t}_2 WHERE id = 3",
    ),
    "renamed_in_silence": ("RENAME TABLE {t} TO {t}_2",),
    "swapped": (
        "CREATE TABLE _{t}_new (id INT PRIMARY KEY, a BIGINT, b VARCHAR(50))", "INSERT INTO _{t}_new SELECT id, a, b FROM {t}",
        "RENAME TABLE {t} TO _{t}_old, _{t}_new TO {t}", "INSERT INTO {t} VALUES (4, 40, 'z')", "DROP TABLE _{t}_old",
    ),
    "changed_while_empty": (
        "DROP TABLE {t}", FIRST, "ALTER TABLE {t} MODIFY a VARCHAR(9), ADD c INT AS (id + 1) STORED", "INSERT INTO {t} (id, a) VALUES (1, 'one')",
    ),
    "dropped": ("INSERT INTO {t} VALUES (4, 40, 'z', NULL)", "DROP TABLE {t}"),
}  # fmt: skip
GROWING_ENUM = ("ALTER TABLE {t} MODIFY kind ENUM('z','a','b','c')", "INSERT INTO {t} VALUES (3, 'z'), (4, 'c')")
# What cannot be carried over: the statement, and what the reason says.
STOPPED: dict[str, tuple[str, str]] = {
    "retyped": ("ALTER TABLE {t} MODIFY a VARCHAR(20)", "the values of column a change from INT to VARCHAR(20)"),
    "narrowed": ("ALTER TABLE {t} MODIFY price DECIMAL(6,1)", "the values of column price change from DECIMAL(6,2) to DECIMAL(6,1)"),
    "computed": ("ALTER TABLE {t} ADD c INT GENERATED ALWAYS AS (a + 1) STORED", "MySQL works out the values of the new column c"),
    "stamped": ("ALTER TABLE {t} ADD c DATETIME DEFAULT CURRENT_TIMESTAMP", "MySQL works out the values of the new column c"),
}
MENDED = ("CREATE TABLE {t}_new LIKE {t}", "INSERT INTO {t}_new SELECT * FROM {t}", "DROP TABLE {t}", "RENAME TABLE {t}_new TO {t}")


def name(life: str) -> str:
    return f"ev_{life}"


def now_called(life: str) -> str:
    return f"{name(life)}_2" if life.startswith("renamed") else name(life)


@pytest.fixture(scope="module")
def lived(stack: Stack, mysql: Connection) -> Iterator[None]:
    """First rows of every table in one version, then all lives in the next ones."""
    remove(mysql)
    for life in (*LIVES, *STOPPED):
        run(mysql, life, FIRST, ROWS)
    run(mysql, "enum", "CREATE TABLE {t} (id INT PRIMARY KEY, kind ENUM('a','b'))", "INSERT INTO {t} VALUES (1, 'a'), (2, 'b')")
    first = [name(life) for life in (*LIVES, *STOPPED)]
    published(stack, lambda tables: all(table in tables and tables[table].partitions[WHOLE].rows == FIRST_ROWS for table in first))
    registry = SchemaRegistry(stack.settings.registry.url)
    registry.set_compatibility(f"cdc.{stack.settings.mysql.database}.{name('made_anew')}-value", "BACKWARD")  # as by somebody's policy
    for life, statements in {**LIVES, "enum": GROWING_ENUM}.items():
        run(mysql, life, *statements)
    for life, (statement, _) in STOPPED.items():
        run(mysql, life, statement, "INSERT INTO {t} (id) VALUES (4)")
    ask_for_a_version(stack)
    yield
    remove(mysql)


def remove(mysql: Connection) -> None:
    for row in mysql.query("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name REGEXP '^_?ev_'"):
        mysql.execute(f"DROP TABLE `{row['name']}`")


def run(mysql: Connection, life: str, *statements: str) -> None:
    for statement in statements:
        mysql.execute(statement.format(t=name(life)))


def ask_for_a_version(stack: Stack) -> None:
    (stack.settings.home / "run" / REQUEST).touch()


def published(stack: Stack, wanted: Callable[[dict[str, Table]], bool]) -> None:
    versions = Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)
    ask_for_a_version(stack)
    eventually(lambda: wanted(versions.newest().tables), within=60, because="the first rows are published")


def refused(stack: Stack) -> dict[str, str]:
    return dict((read_state(stack.settings.home, "compactor") or {}).get("refused", {}))


@pytest.mark.parametrize("life", [*(life for life in LIVES if life != "dropped"), "enum"])
def test_a_table_whose_columns_key_or_name_change_is_in_hive_row_by_row(life: str, stack: Stack, mysql: Connection, lived: None) -> None:
    eventually(lambda: agrees(stack.settings, mysql, now_called(life)), within=20, because=f"Hive has the rows of {now_called(life)}")


@pytest.mark.parametrize("gone", ["ev_dropped", "ev_renamed", "ev_renamed_in_silence", "_ev_swapped_old"])
def test_a_table_that_is_gone_in_mysql_is_gone_in_hive(gone: str, stack: Stack, lived: None) -> None:
    eventually(lambda: rows_in_hive(stack.settings, gone) is None, within=20, because=f"{gone} is gone")


@pytest.mark.parametrize("life", list(STOPPED))
def test_what_cannot_be_carried_over_stops_its_table_with_statement_reason_and_way_on(life: str, stack: Stack, lived: None) -> None:
    statement, why = STOPPED[life]
    reason = eventually(lambda: refused(stack).get(f"cdc.{stack.settings.mysql.database}.{name(life)}"), within=20, because="it is stopped")
    assert f"table {name(life)}: `{statement.format(t=name(life))}`: {why}; make it anew: CREATE TABLE" in reason
    assert rows_in_hive(stack.settings, name(life), ["id"]) == [("1",), ("2",), ("3",)], "what was published stays"


def test_nothing_else_is_stopped_and_status_names_what_is(stack: Stack, lived: None) -> None:
    assert {topic.rpartition(".")[2] for topic in refused(stack) if ".ev_" in topic} == {name(life) for life in STOPPED}
    shown = " ".join(stack.kappa("status").stdout.split())
    assert "cdc.eCommerce.ev_retyped not carried: table ev_retyped: `ALTER TABLE ev_retyped MODIFY a VARCHAR(20)`" in shown


def test_change_capture_goes_on_although_the_registry_refused_a_schema(stack: Stack, lived: None) -> None:
    status = ConnectApi(stack.settings.connect.url).status(stack.settings.connect.connector)
    assert status is not None
    assert status.running


def test_spark_reads_every_file_of_a_changed_table_by_name_too(stack: Stack, mysql: Connection, lived: None) -> None:
    newest = Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root).newest()
    folder = Hdfs(stack.settings.hdfs).uri(newest.tables["ev_add"].partitions[WHOLE].location)
    spark = pyspark.sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    found = [row.asDict() for row in spark.read.parquet(folder).orderBy("id").collect()]
    expected = mysql.query("SELECT * FROM ev_add ORDER BY id")
    wanted = ("id", "first", "a", "middle", "b", "price", "amount", "note", "kind", "day")
    assert [[row[key] for key in wanted] for row in found] == [[row[key] for key in wanted] for row in expected]


def test_the_way_on_leads_on(stack: Stack, mysql: Connection, lived: None) -> None:
    run(mysql, "retyped", *MENDED, "INSERT INTO {t} VALUES (5, 'five', 'b', 5)")
    stack.kappa("compact", "--now", check=True)
    eventually(lambda: agrees(stack.settings, mysql, name("retyped")), within=20, because="the table is carried again")
    assert f"cdc.{stack.settings.mysql.database}.{name('retyped')}" not in refused(stack)
