"""What sessions write that Debezium cannot follow is found in MySQL's binary log."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import (
    PARTIAL_ROWS,
    STATEMENT_ROWS,
    XA_ROLLBACK,
    WatchState,
)
from connectors.mysql.client import Connection, connect, gtid_executed
from schemas.gtid import gtid_set
from tests.conftest import Stack
from tests.eventually import eventually

COLUMNS = "id INT PRIMARY KEY, number INT, note TEXT, extra JSON"
ROW = "(1, 1, 'a note', '{\"a\": 1, \"b\": 2}')"


@pytest.fixture
def table(mysql: Connection) -> Iterator[str]:
    """A captured table with one row, that is dropped afterwards."""
    name = f"watched_{uuid4().hex[:8]}"
    mysql.execute(f"CREATE TABLE {name} ({COLUMNS})")
    mysql.execute(f"INSERT INTO {name} VALUES {ROW}")
    yield name
    mysql.execute(f"DROP TABLE IF EXISTS {name}")


Session = Callable[..., None]


@pytest.fixture
def session(stack: Stack) -> Session:
    """Executes statements in a session of MySQL's administrator that ends after them."""

    def execute(*statements: str) -> None:
        settings = stack.settings
        login = settings.login("mysql.admin")
        with connect(settings.mysql, login, settings.mysql.database) as connection:
            for statement in statements:
                connection.execute(statement)

    return execute


def state_after_now(stack: Stack, mysql: Connection) -> WatchState:
    """Return the state of the watch that has read everything that is committed now."""
    executed = gtid_set(gtid_executed(mysql))

    def complete_state() -> WatchState | None:
        state = BinlogWatchFile(stack.settings.home).read()
        return state if state.gtids and state.gtids.covers(executed) else None

    return eventually(complete_state, within=30, because="the watch reads the log")


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        pytest.param(
            ["binlog_row_image = 'MINIMAL'"], "UPDATE {} SET number = 2", id="MINIMAL"
        ),
        pytest.param(
            ["binlog_row_image = 'MINIMAL'"],
            "INSERT INTO {} (id) VALUES (2)",
            id="MINIMAL insert",
        ),
        pytest.param(
            ["binlog_row_image = 'MINIMAL'"], "DELETE FROM {}", id="MINIMAL delete"
        ),
        pytest.param(
            ["binlog_row_image = 'NOBLOB'"], "UPDATE {} SET number = 2", id="NOBLOB"
        ),
        pytest.param(
            ["binlog_row_value_options = 'PARTIAL_JSON'"],
            "UPDATE {} SET extra = JSON_SET(extra, '$.a', 2)",
            id="PARTIAL_JSON",
        ),
        pytest.param(
            ["binlog_row_image = 'MINIMAL'", "binlog_transaction_compression = ON"],
            "UPDATE {} SET number = 2",
            id="compressed",
        ),
        pytest.param(
            ["binlog_row_image = 'MINIMAL'", "gtid_next = 'AUTOMATIC:watched'"],
            "UPDATE {} SET number = 2",
            id="tagged",
        ),
    ],
)
def test_rows_without_all_columns_are_found(
    stack: Stack,
    mysql: Connection,
    session: Session,
    table: str,
    settings: list[str],
    change: str,
) -> None:
    session(*[f"SET SESSION {setting}" for setting in settings], change.format(table))
    finding = state_after_now(stack, mysql).findings[table]
    assert finding.reason == PARTIAL_ROWS
    assert finding.gtid == finding.since
    assert (":watched:" in finding.gtid) == any(
        "watched" in setting for setting in settings
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {} SET number = 2",
        "CREATE TABLE {}_copy AS SELECT * FROM {}",
        "DELETE FROM `{}` WHERE note = 'it''s'",
    ],
)
def test_rows_logged_as_statements_are_found(
    stack: Stack, mysql: Connection, session: Session, table: str, change: str
) -> None:
    session("SET SESSION binlog_format = 'STATEMENT'", change.format(table, table))
    findings = state_after_now(stack, mysql).findings
    mysql.execute(f"DROP TABLE IF EXISTS {table}_copy")
    assert findings[table].reason == STATEMENT_ROWS


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(["UPDATE {} SET number = 2"], id="usual"),
        pytest.param(
            ["SET binlog_transaction_compression = ON", "UPDATE {} SET number = 2"],
            id="compressed",
        ),
        pytest.param(
            ["SET SESSION gtid_next = 'AUTOMATIC:watched'", "UPDATE {} SET number = 2"],
            id="tagged",
        ),
        pytest.param(
            [
                "BEGIN",
                "UPDATE {} SET number = 2",
                "SAVEPOINT s",
                "DELETE FROM {}",
                "COMMIT",
            ],
            id="savepoint",
        ),
        pytest.param(
            [
                "XA START 'committed'",
                "UPDATE {} SET number = 2",
                "XA END 'committed'",
                "XA PREPARE 'committed'",
                "XA COMMIT 'committed'",
            ],
            id="XA",
        ),
    ],
)
def test_whole_rows_are_no_finding(
    stack: Stack, mysql: Connection, session: Session, table: str, statements: list[str]
) -> None:
    session(*[statement.format(table) for statement in statements])
    state = state_after_now(stack, mysql)
    assert table not in state.findings
    assert state.prepared == {}


def test_an_xa_transaction_is_seen_when_prepared_and_found_when_rolled_back(
    stack: Stack, mysql: Connection, session: Session, table: str
) -> None:
    name = f"'{table}'"
    change = f"UPDATE {table} SET number = 2"
    session(f"XA START {name}", change, f"XA END {name}", f"XA PREPARE {name}")
    state = state_after_now(stack, mysql)
    session(f"XA ROLLBACK {name}")
    assert (table,) in state.prepared.values()
    assert table not in state.findings
    state = state_after_now(stack, mysql)
    assert (table,) not in state.prepared.values()
    assert state.findings[table].reason == XA_ROLLBACK


def test_ddl_is_kept_with_the_tables_that_it_names(
    stack: Stack, mysql: Connection, session: Session, table: str
) -> None:
    before = len(state_after_now(stack, mysql).statements)
    session(
        f"ALTER TABLE {table} ADD more INT",
        f"RENAME TABLE {table} TO {table}_new",
        f"RENAME TABLE {table}_new TO {table}",
    )
    state = state_after_now(stack, mysql)
    assert [statement.names for statement in state.statements[before:]] == [
        (table,),
        (table, f"{table}_new"),
        (table, f"{table}_new"),
    ]
    assert table not in state.findings
