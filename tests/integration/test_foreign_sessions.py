"""Tables, statements and sessions as other people's databases have them, on a running stack.

Each scenario has its own table `{t}`: first rows, then statements between writes. MySQL is compared
with Hive row by row at the end: the log tells the rows, or the table is read again by itself. A
neutral table that changes beside them shows that nothing else stops.
"""

from collections.abc import Iterator

import pytest

from connectors.mysql.client import Connection, connect
from connectors.runtime.process_state import read_state
from tests.compare import assert_table_agrees, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually

BESIDE = "fs_beside"
PLAIN = "CREATE TABLE {t} (id INT PRIMARY KEY, a INT, b VARCHAR(20), c TEXT)"
ROWS = (
    "INSERT INTO {t} VALUES (1, 10, 'one', 'c1'), (2, 20, 'two', 'c2'), (3, 30, NULL, 'c3')"
)
FULL_IMAGES = "SET SESSION binlog_row_image = 'FULL'"
ROW_FORMAT = "SET SESSION binlog_format = 'ROW'"

# By scenario: the first statements, and those that follow once Hive has the rows.
SCENARIOS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "images_without_columns": (
        (PLAIN, ROWS),
        (
            "SET SESSION binlog_row_image = 'MINIMAL'",
            "UPDATE {t} SET a = 11 WHERE id = 1",
            "DELETE FROM {t} WHERE id = 3",
            "INSERT INTO {t} (id, a) VALUES (4, 40)",
            FULL_IMAGES,
            "UPDATE {t} SET a = 21 WHERE id = 2",
        ),
    ),
    "changes_as_statements": (
        (PLAIN, ROWS),
        (
            "SET SESSION binlog_format = 'STATEMENT'",
            "UPDATE {t} SET a = a + 1",
            "INSERT INTO {t} SELECT id + 10, a, b, c FROM {t}",
            ROW_FORMAT,
            "DELETE FROM {t} WHERE id = 2",
        ),
    ),
    "words_of_newer_grammars": (
        (
            "CREATE TABLE {t} (id INT PRIMARY KEY, url VARCHAR(99))",
            "INSERT INTO {t} VALUES (1, 'u')",
        ),
        (
            "ALTER TABLE {t} ADD auto INT DEFAULT 5, ADD vector VARCHAR(9)",
            "INSERT INTO {t} VALUES (2, 'v', 1, 'w')",
        ),
    ),
    "swapped_names": (
        (PLAIN, ROWS),
        (
            "ALTER TABLE {t} RENAME COLUMN b TO c, RENAME COLUMN c TO b",
            "INSERT INTO {t} VALUES (4, 40, 'four', 'c4')",
        ),
    ),
    "synonyms_of_types": (
        (
            "CREATE TABLE {t} (id INT PRIMARY KEY, r REAL, f FLOAT4, n NCHAR(9), l LONG)",
            "INSERT INTO {t} VALUES (1, 123456789.123, 0.5, 'ż', 'ż')",
        ),
        (
            "UPDATE {t} SET r = 2.718281828459045",
            "INSERT INTO {t} VALUES (2, 0.1, 1, 'é', 'é')",
        ),
    ),
    "labels_with_spaces": (
        (
            "CREATE TABLE {t} (id INT PRIMARY KEY, e ENUM('x ', \"q\"\"uote\", 'it''s'), "
            "s SET('one ', 'two'))",
            "INSERT INTO {t} VALUES (1, 'x', 'one,two'), (2, 'q\"uote', '')",
        ),
        (
            "UPDATE {t} SET e = 'it''s' WHERE id = 2",
            "INSERT INTO {t} VALUES (3, 'x', 'one')",
        ),
    ),
    "charset_of_the_table": (
        (
            "CREATE TABLE {t} (id INT PRIMARY KEY, a VARCHAR(20)) COLLATE = latin2_general_ci",
            "INSERT INTO {t} VALUES (1, 'ż')",
        ),
        ("UPDATE {t} SET a = 'łódź'", "INSERT INTO {t} VALUES (2, 'ę')"),
    ),
    "without_a_key": (
        (
            "CREATE TABLE {t} (a INT, b VARCHAR(9))",
            "INSERT INTO {t} VALUES (1, 'x'), (1, 'x'), (NULL, NULL)",
        ),
        (
            "DELETE FROM {t} WHERE a = 1 LIMIT 1",
            "INSERT INTO {t} VALUES (NULL, NULL), (2, 'y')",
            "ALTER TABLE {t} ADD c INT NOT NULL AUTO_INCREMENT PRIMARY KEY",
            "INSERT INTO {t} (a, b) VALUES (3, 'z')",
        ),
    ),
    "rows_of_megabytes": (
        (
            "CREATE TABLE {t} (id INT PRIMARY KEY, v INT, t LONGTEXT)",
            "INSERT INTO {t} VALUES (1, 1, REPEAT('ż', 1000000))",
        ),
        ("UPDATE {t} SET v = 2", "INSERT INTO {t} VALUES (2, 1, REPEAT('a', 5000000))"),
    ),
    "two_phases": (
        (PLAIN, ROWS),
        (
            "XA START '{t}1'",
            "UPDATE {t} SET a = 11 WHERE id = 1",
            "XA END '{t}1'",
            "XA PREPARE '{t}1'",
            "XA COMMIT '{t}1'",
            "XA START '{t}2'",
            "UPDATE {t} SET a = 12 WHERE id = 2",
            "XA END '{t}2'",
            "XA PREPARE '{t}2'",
            "XA ROLLBACK '{t}2'",
            "INSERT INTO {t} VALUES (4, 40, 'four', 'c4')",
        ),
    ),
    "values_changed_outside_strict_mode": (
        (PLAIN, ROWS),
        (
            "SET SESSION sql_mode = ''",
            "ALTER TABLE {t} MODIFY b VARCHAR(20) NOT NULL, MODIFY c TINYTEXT CHARACTER SET ascii",
            "INSERT INTO {t} VALUES (4, 40, 'four', 'é')",
        ),
    ),
}


def table_name(scenario: str) -> str:
    return f"fs_{scenario}"


def run(connection: Connection, scenario: str, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.execute(statement.format(t=table_name(scenario)))


def drop_tables(mysql: Connection) -> None:
    for name in (BESIDE, *map(table_name, SCENARIOS)):
        mysql.execute(f"DROP TABLE IF EXISTS `{name}`")


@pytest.fixture(scope="module")
def foreign_tables(stack: Stack, mysql: Connection) -> Iterator[None]:
    """All scenarios, each in a session of its own."""
    settings = stack.settings
    login = settings.login("mysql.admin")
    drop_tables(mysql)
    mysql.execute(f"CREATE TABLE {BESIDE} (id INT PRIMARY KEY)")
    for scenario, (first, _) in SCENARIOS.items():
        run(mysql, scenario, first)
    eventually(
        lambda: all(rows_in_hive(settings, table_name(scenario)) for scenario in SCENARIOS),
        within=240,
        because="Hive has the first rows",
    )
    for number, (scenario, (_, statements)) in enumerate(SCENARIOS.items()):
        with connect(settings.mysql, login, settings.mysql.database) as session:
            run(session, scenario, statements)
        mysql.execute(f"INSERT INTO {BESIDE} VALUES ({number})")
    yield
    drop_tables(mysql)


def test_a_table_beside_them_goes_on(
    stack: Stack, mysql: Connection, foreign_tables: None
) -> None:
    assert_table_agrees(stack.settings, mysql, BESIDE, within=120)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_hive_has_mysqls_rows_without_a_hand_in_it(
    scenario: str, stack: Stack, mysql: Connection, foreign_tables: None
) -> None:
    assert_table_agrees(stack.settings, mysql, table_name(scenario), within=180)


def test_all_tables_are_followed_at_the_end(stack: Stack, foreign_tables: None) -> None:
    def are_followed() -> bool:
        state = read_state(stack.settings.home, "compactor") or {}
        return not any(".fs_" in topic for topic in state.get("refused", {}))

    assert eventually(are_followed, within=180, because="no table waits any more")
