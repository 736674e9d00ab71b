"""Statements that change tables, between writes, on a running stack.

MySQL is compared with Hive row by row.
"""

from collections.abc import Iterable, Iterator

import pyspark.sql
import pytest

from connectors.debezium.connect_api import ConnectApi
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.mysql.client import Connection
from connectors.runtime.process_state import read_state
from infra.cli.versions.catch_up import REQUEST
from schemas.warehouse_layout import WHOLE
from tests.compare import assert_table_agrees, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually

# Each scenario has its own table `{t}`: first rows, then, in a second version, statements between
# writes.
FIRST = "CREATE TABLE {t} (id INT PRIMARY KEY, a INT, b VARCHAR(5), price DECIMAL(6,2))"
ROWS = (
    "INSERT INTO {t} VALUES (1, 10, 'x', 1.25), (2, 20, 'y', NULL), (3, 30, NULL, -9999.99)"
)
FIRST_ROWS = 3
SCENARIOS: dict[str, tuple[str, ...]] = {
    "add": (
        "ALTER TABLE {t} ADD first INT NOT NULL DEFAULT 7 FIRST, "
        "ADD middle VARCHAR(9) DEFAULT 'it''s' AFTER a, ADD last DATETIME(3) NULL",
        "INSERT INTO {t} (id, first, last) VALUES (4, 1, '2026-01-02 03:04:05.678')",
        "ALTER TABLE {t} ADD amount BIGINT NOT NULL, ADD note TEXT, "
        "ADD kind VARCHAR(9) NOT NULL",
        "UPDATE {t} SET note = 'n' WHERE id = 2",
    ),
    "drop_and_add": (
        "ALTER TABLE {t} DROP COLUMN b",
        "INSERT INTO {t} VALUES (4, 40, 4.5)",
        "ALTER TABLE {t} DROP a, ADD a INT",
        "UPDATE {t} SET a = 99 WHERE id = 1",
    ),
    "rename_columns": (
        "ALTER TABLE {t} RENAME COLUMN a TO aa, CHANGE b `a` VARCHAR(5)",
        "INSERT INTO {t} VALUES (4, 40, 'z', NULL)",
        "ALTER TABLE {t} RENAME COLUMN aa TO b",
        "DELETE FROM {t} WHERE id = 2",
    ),
    "reorder": (
        "ALTER TABLE {t} MODIFY price DECIMAL(6,2) FIRST, MODIFY id INT AFTER b",
        "INSERT INTO {t} VALUES (4.00, 40, 'z', 4)",
    ),
    "widen": (
        "ALTER TABLE {t} MODIFY a BIGINT, MODIFY b VARCHAR(500), "
        "MODIFY price DECIMAL(20,4), MODIFY id BIGINT",
        "INSERT INTO {t} VALUES (4, 9223372036854775807, REPEAT('z', 400), 1234567890123456.7890)",
        "UPDATE {t} SET b = 'yy' WHERE id = 2",
    ),
    "defaults": (
        "ALTER TABLE {t} ADD c INT DEFAULT 5",
        "ALTER TABLE {t} ALTER COLUMN c SET DEFAULT 6",
        "INSERT INTO {t} (id) VALUES (4)",
        "ALTER TABLE {t} ALTER COLUMN c DROP DEFAULT",
        "INSERT INTO {t} (id, c) VALUES (5, 8)",
    ),
    "spelled": (
        "alter /* gh-ost, DROP a */ table {t} -- new name\n RENAME COLUMN A TO b, "
        "RENAME COLUMN B TO a /*!80000 , ADD c INT DEFAULT 5 */",
        "INSERT INTO {t} (id, a, b) VALUES (4, 'z', 40)",
    ),
    "recreated": (
        "DROP TABLE {t}",
        "CREATE TABLE {t} (id VARCHAR(9) PRIMARY KEY, a DATE)",
        "INSERT INTO {t} VALUES ('one', '2020-01-01')",
    ),
    "recreated_empty": ("DROP TABLE {t}", FIRST, "INSERT INTO {t} VALUES (9, 9, 'n', 9)"),
    "renamed": (
        "INSERT INTO {t} VALUES (4, 40, 'z', NULL)",
        "ALTER TABLE {t} ADD c INT DEFAULT 5",
        "RENAME TABLE {t} TO {t}_2",
        "UPDATE {t}_2 SET b = 'after' WHERE id = 1",
        "DELETE FROM {t}_2 WHERE id = 3",
    ),
    "renamed_without_writes": ("RENAME TABLE {t} TO {t}_2",),
    "swapped": (
        "CREATE TABLE _{t}_new (id INT PRIMARY KEY, a BIGINT, b VARCHAR(50))",
        "INSERT INTO _{t}_new SELECT id, a, b FROM {t}",
        "RENAME TABLE {t} TO _{t}_old, _{t}_new TO {t}",
        "INSERT INTO {t} VALUES (4, 40, 'z')",
        "DROP TABLE _{t}_old",
    ),
    "changed_while_empty": (
        "DROP TABLE {t}",
        FIRST,
        "ALTER TABLE {t} MODIFY a VARCHAR(9), ADD c INT AS (id + 1) STORED",
        "INSERT INTO {t} (id, a) VALUES (1, 'one')",
    ),
    "dropped": ("INSERT INTO {t} VALUES (4, 40, 'z', NULL)", "DROP TABLE {t}"),
}
GROWING_ENUM = (
    "ALTER TABLE {t} MODIFY kind ENUM('a','b','c')",
    "INSERT INTO {t} VALUES (3, 'c')",
)
# Statements whose effect on existing rows is unknown.
UNCERTAIN = {
    "retyped": "ALTER TABLE {t} MODIFY a VARCHAR(20)",
    "narrowed": "ALTER TABLE {t} MODIFY price DECIMAL(6,1)",
    "computed": "ALTER TABLE {t} ADD c INT GENERATED ALWAYS AS (a + 1) STORED",
    "stamped": "ALTER TABLE {t} ADD c DATETIME DEFAULT CURRENT_TIMESTAMP",
    "new_key": "ALTER TABLE {t} DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)",
}


def table_name(scenario: str) -> str:
    return f"ev_{scenario}"


def last_table_name(scenario: str) -> str:
    """Return the table's name after all statements."""
    name = table_name(scenario)
    return f"{name}_2" if scenario.startswith("renamed") else name


def topic(stack: Stack, scenario: str) -> str:
    return f"cdc.{stack.settings.mysql.database}.{table_name(scenario)}"


@pytest.fixture(scope="module")
def changed_tables(stack: Stack, mysql: Connection) -> Iterator[None]:
    """First rows of every table in one version, then all statements in the next ones."""
    drop_tables(mysql)
    scenarios = (*SCENARIOS, *UNCERTAIN)
    for scenario in scenarios:
        run(mysql, scenario, FIRST, ROWS)
    create_enum = "CREATE TABLE {t} (id INT PRIMARY KEY, kind ENUM('a','b'))"
    run(mysql, "enum", create_enum, "INSERT INTO {t} VALUES (1, 'a'), (2, 'b')")
    wait_for_first_rows(stack, scenarios)
    registry = SchemaRegistry(stack.settings.registry.url)
    # As a policy of the registry's owner might require it.
    registry.set_compatibility(f"{topic(stack, 'recreated')}-value", "BACKWARD")
    for scenario, statements in {**SCENARIOS, "enum": GROWING_ENUM}.items():
        run(mysql, scenario, *statements)
    for scenario, statement in UNCERTAIN.items():
        run(mysql, scenario, statement, "INSERT INTO {t} (id, a) VALUES (4, 40)")
    request_version(stack)
    yield
    drop_tables(mysql)


def drop_tables(mysql: Connection) -> None:
    sql = (
        "SELECT table_name AS name FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name REGEXP '^_?ev_'"
    )
    for row in mysql.query(sql):
        mysql.execute(f"DROP TABLE `{row['name']}`")


def run(mysql: Connection, scenario: str, *statements: str) -> None:
    for statement in statements:
        mysql.execute(statement.format(t=table_name(scenario)))


def request_version(stack: Stack) -> None:
    """Let the compactor look for changes immediately."""
    (stack.settings.home / "run" / REQUEST).touch()


def wait_for_first_rows(stack: Stack, scenarios: Iterable[str]) -> None:
    """Wait until the tables of these scenarios are published with their first rows."""
    versions = ManifestStore(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)
    names = list(map(table_name, scenarios))

    def are_published() -> bool:
        tables = versions.newest().tables
        if not tables.keys() >= set(names):
            return False
        return all(tables[name].partitions[WHOLE].rows == FIRST_ROWS for name in names)

    request_version(stack)
    eventually(are_published, within=60, because="the first rows are published")


def refused_topics(stack: Stack) -> dict[str, str]:
    """Return the topics that the compactor reports as refused, with the reasons."""
    state = read_state(stack.settings.home, "compactor") or {}
    return dict(state.get("refused", {}))


SCENARIOS_WITH_A_TABLE = [*SCENARIOS, "enum"]
SCENARIOS_WITH_A_TABLE.remove("dropped")


@pytest.mark.parametrize("scenario", SCENARIOS_WITH_A_TABLE)
def test_a_table_whose_columns_key_or_name_change_is_in_hive_row_by_row(
    scenario: str, stack: Stack, mysql: Connection, changed_tables: None
) -> None:
    assert_table_agrees(stack.settings, mysql, last_table_name(scenario), within=120)


@pytest.mark.parametrize(
    "table", ["ev_dropped", "ev_renamed", "ev_renamed_without_writes", "_ev_swapped_old"]
)
def test_a_table_that_mysql_no_longer_has_is_not_in_hive(
    table: str, stack: Stack, changed_tables: None
) -> None:
    assert eventually(
        lambda: rows_in_hive(stack.settings, table) is None,
        within=20,
        because=f"{table} is no longer in Hive",
    )


@pytest.mark.parametrize("scenario", UNCERTAIN)
def test_a_table_is_read_again_after_a_statement_of_unknown_effect(
    scenario: str, stack: Stack, mysql: Connection, changed_tables: None
) -> None:
    assert_table_agrees(stack.settings, mysql, table_name(scenario), within=120)
    versions = ManifestStore(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)
    assert versions.newest().bases[table_name(scenario)].exists


def test_no_table_is_left_behind(
    stack: Stack, mysql: Connection, changed_tables: None
) -> None:
    def are_followed() -> bool:
        return not any(".ev_" in topic for topic in refused_topics(stack))

    assert eventually(are_followed, within=120, because="all tables are followed again")


def test_change_capture_continues_although_the_registry_refused_a_schema(
    stack: Stack, changed_tables: None
) -> None:
    connect = stack.settings.connect
    status = ConnectApi(connect.url).status(connect.connector)
    assert status is not None
    assert status.running


def test_spark_reads_every_file_of_a_changed_table_by_name_too(
    stack: Stack, mysql: Connection, changed_tables: None
) -> None:
    hdfs = Hdfs(stack.settings.hdfs)
    newest = ManifestStore(hdfs, stack.settings.hdfs.root).newest()
    folder = hdfs.uri(newest.tables["ev_add"].partitions[WHOLE].location)
    builder = pyspark.sql.SparkSession.builder.master("local[1]")
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    rows = spark.read.parquet(folder).orderBy("id").collect()
    expected_rows = mysql.query("SELECT * FROM ev_add ORDER BY id")
    assert len(rows) == len(expected_rows)
    columns = ["id", "first", "a", "middle", "b", "price", "amount", "note", "kind"]
    for row, expected_row in zip(rows, expected_rows, strict=True):
        values = row.asDict()
        assert [values[name] for name in columns] == [
            expected_row[name] for name in columns
        ]


def test_a_table_that_was_read_again_is_followed_and_read_once_more(
    stack: Stack, mysql: Connection, changed_tables: None
) -> None:
    run(mysql, "retyped", "INSERT INTO {t} VALUES (5, 'five', 'b', 5)")
    assert_table_agrees(stack.settings, mysql, table_name("retyped"), within=120)
    run(
        mysql,
        "retyped",
        "ALTER TABLE {t} MODIFY price DOUBLE",
        "DELETE FROM {t} WHERE id = 1",
    )
    assert_table_agrees(stack.settings, mysql, table_name("retyped"), within=120)
