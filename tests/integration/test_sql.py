"""`kappa sql` on a running stack: the answers of Hive, one version, and the live counts."""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.hadoop import hiveserver2
from connectors.hadoop.manifest_store import StoredManifests
from connectors.hadoop.webhdfs_reader import WebHdfsReader
from connectors.mysql.client import Connection
from infra.cli.sql.session import SqlSession
from infra.cli.sql.versions import ReadVersion
from schemas.manifest import Manifest
from spark.publish.retained_manifest import newest_whole_manifest
from spark.publish.version_database import pin
from tests.compare import TextRow, canonical_row
from tests.conftest import LAUNCHER, Stack
from tests.eventually import eventually
from tests.integration.sql_statements import SHORT_STATEMENTS, STATEMENTS

CREATE_TYPES = """\
CREATE TABLE sql_types (
    a BIGINT UNSIGNED PRIMARY KEY,
    b VARCHAR(20),
    price DECIMAL(12,3),
    huge DECIMAL(38,0),
    larger DECIMAL(50,10),
    day DATE,
    made_at DATETIME(6),
    seen TIMESTAMP(3) NULL,
    took TIME(6),
    small TINYINT,
    ratio DOUBLE,
    raw VARBINARY(10),
    truth BOOLEAN
)"""
TYPE_ROWS = """\
INSERT INTO sql_types VALUES
    (18446744073709551615, 'ż', -123456789.125, 99999999999999999999999999999999999999,
     1234567890123456789012345678901234567890.5, '2024-02-29', '2026-03-29 01:30:00.123456',
     '2026-03-29 01:30:00.5', '-838:59:59', -128, 0.1, x'00ff41', TRUE),
    (2, '', 0, -1, 0, '1000-01-01', '1000-01-01 00:00:00', '1970-01-01 00:00:01', '0:00:00', 127,
     -1e300, '', FALSE),
    (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""
# Rows before it have files without the column, unless they are rewritten.
ADD_COLUMN = "ALTER TABLE sql_types ADD COLUMN late INT NULL"


@pytest.fixture(scope="module")
def version(stack: Stack, mysql: Connection) -> Iterator[Manifest]:
    """A version with orders, clicks, and a table with a column of every kind."""
    mysql.execute("DROP TABLE IF EXISTS sql_types")
    mysql.execute(CREATE_TYPES)
    mysql.execute(TYPE_ROWS)
    stack.kappa("compact", "--now", check=True)
    mysql.execute(ADD_COLUMN)
    mysql.execute("INSERT INTO sql_types (a, late) VALUES (3, 4)")
    # The table may be read again: Debezium takes BOOLEAN for another type.
    yield eventually(
        lambda: version_with_column(stack, "sql_types", "late"),
        within=120,
        because="the new column is in a version",
    )
    mysql.execute("DROP TABLE sql_types")


def version_with_column(stack: Stack, table: str, column: str) -> Manifest | None:
    """Return the newest version if it has a table with a column."""
    manifest = newest_whole_manifest(versions(stack))
    columns = dict(manifest.tables[table].columns)
    return manifest if column in columns else None


def versions(stack: Stack) -> StoredManifests:
    hdfs = stack.settings.hdfs
    return StoredManifests(WebHdfsReader(hdfs), hdfs.root)


@pytest.fixture(scope="module")
def session(stack: Stack, version: Manifest) -> Iterator[SqlSession]:
    """A session of that version."""
    settings = stack.settings
    hdfs = WebHdfsReader(settings.hdfs)
    open_session = SqlSession(settings, hdfs, ReadVersion(versions(stack), version))
    yield open_session
    open_session.close()


def rows(session: SqlSession, sql: str) -> list[tuple[Any, ...]]:
    with session.answer(sql, lambda *_: None) as answer:
        return [row for batch in answer.batches for row in batch]


def texts(answer: list[tuple[Any, ...]]) -> list[TextRow]:
    """Return rows for comparison; both have a text in bytes for what Hive gives as text."""
    plain_rows = []
    for row in answer:
        plain_rows.append([_text(value) for value in row])
    return sorted(map(canonical_row, plain_rows))


def _text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def test_a_statement_has_the_answer_of_hive(
    stack: Stack, session: SqlSession, version: Manifest
) -> None:
    assert differences(stack, session, version, SHORT_STATEMENTS) == []


@pytest.mark.long
def test_every_statement_has_the_answer_of_hive(
    stack: Stack, session: SqlSession, version: Manifest
) -> None:
    assert len(STATEMENTS) > 50
    assert differences(stack, session, version, STATEMENTS) == []


def differences(
    stack: Stack, session: SqlSession, version: Manifest, statements: Iterable[str]
) -> list[tuple[str, list[TextRow], list[TextRow]]]:
    """Return the statements with other rows in Hive, and the first rows on both sides."""
    hive = stack.settings.hive
    database = pin(stack.settings, version.version)
    found_differences = []
    with hiveserver2.session(hive, database=database) as execute:
        for sql in statements:
            in_hive = texts(execute(sql).rows)
            in_duckdb = texts(rows(session, _in_duckdb(sql)))
            if in_hive != in_duckdb:
                found_differences.append((sql, in_hive[:3], in_duckdb[:3]))
    return found_differences


def _in_duckdb(sql: str) -> str:
    """Write what the two spell differently as DuckDB has it."""
    return sql.replace("LEFT SEMI JOIN", "SEMI JOIN")


def test_the_archive_has_every_record(session: SqlSession, stack: Stack) -> None:
    [[count, distinct]] = rows(
        session,
        'SELECT count(*), count(DISTINCT ("partition", "offset")) FROM archive.orders',
    )
    assert count == distinct > 0
    [[copied]] = rows(
        session,
        "SELECT count(*) FROM orders o WHERE NOT EXISTS "
        "(SELECT 1 FROM archive.orders a WHERE a.after.order_id = o.order_id)",
    )
    assert copied == 0


def test_a_version_stays_while_new_ones_come(
    stack: Stack, session: SqlSession, mysql: Connection, version: Manifest
) -> None:
    before = rows(session, "SELECT a, late FROM sql_types ORDER BY a")
    mysql.execute("INSERT INTO sql_types (a) VALUES (77)")
    stack.kappa("compact", "--now", check=True)
    assert rows(session, "SELECT a, late FROM sql_types ORDER BY a") == before
    now = stack.kappa("sql", "--json", "SELECT a FROM sql_types WHERE a = 77", check=True)
    assert json.loads(now.stdout) == [{"a": "77"}]
    number = str(version.version)
    then = stack.kappa(
        "sql", "--csv", "--version", number, "SELECT a FROM sql_types", check=True
    )
    assert sorted(then.stdout.split()) == sorted(["a", *(str(row[0]) for row in before)])


def test_live_counts_stand_beside_all_orders(stack: Stack, session: SqlSession) -> None:
    settings = stack.settings
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader")
    ) as reader:
        keyspace = generations.active(reader, settings.cassandra.keyspace).keyspace
        key = reader.execute(f"SELECT product_id FROM {keyspace}.product_view_total").rows[
            0
        ][0]

        def views() -> int:
            cql = f"SELECT view_count FROM {keyspace}.product_view_total WHERE product_id = {key}"
            return sum(row[0] for row in reader.execute(cql).rows)

        joined = (
            "SELECT p.product_id, sum(v.view_count), (SELECT count(*) FROM orders o "
            "WHERE o.product_id = p.product_id) FROM products p JOIN live.product_view_total v "
            f"USING (product_id) WHERE v.product_id = {key} GROUP BY p.product_id"
        )
        before = views()
        [[product, counted, ordered]] = rows(session, joined)
        assert product == key
        assert before <= counted <= views()
    orders = rows(session, f"SELECT count(*) FROM orders WHERE product_id = {key}")
    assert [(ordered,)] == orders


def test_all_live_counts_can_be_read(session: SqlSession) -> None:
    for table in ("product_view", "order_view", "top_products", "product_viewers_by_hour"):
        assert rows(session, f"SELECT count(*) > 0 FROM live.{table}") == [(True,)]


def test_what_writes_is_refused(stack: Stack) -> None:
    result = stack.kappa("sql", "DELETE FROM orders")
    assert result.returncode == 1
    assert "DELETE: sql only reads" in result.stderr


def test_a_table_that_does_not_exist_is_answered_with_the_one_that_does(
    stack: Stack,
) -> None:
    result = stack.kappa("sql", "SELECT * FROM ordrs")
    assert result.returncode == 1
    assert "did you mean orders" in result.stderr


def test_statements_come_from_standard_input(stack: Stack) -> None:
    result = stack.kappa(
        "sql", "--csv", "-", stdin="SELECT 1 AS a;\nSELECT 2 AS b", check=True
    )
    assert result.stdout == "a\n1\nb\n2\n"


def test_ctrl_c_ends_a_statement_at_once(stack: Stack) -> None:
    endless = "SELECT count(*) FROM range(1000000000000) WHERE hash(range) = 8"
    process = subprocess.Popen(
        [str(LAUNCHER), "sql", endless],
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    # Progress is said once the statement runs for two seconds.
    assert "running" in process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)
    interrupted_at = time.monotonic()
    assert process.wait(timeout=30) == 1
    assert time.monotonic() - interrupted_at < 10


def test_the_shell_runs_statements_and_survives_ctrl_c(stack: Stack) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [str(LAUNCHER), "sql"],
        env={**stack.environment, "TERM": "xterm", "PAGER": "cat"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    os.set_blocking(controller, False)
    screen = ""

    def shows(text: str) -> bool:
        nonlocal screen
        try:
            screen += os.read(controller, 65_536).decode(errors="replace")
        except BlockingIOError:
            pass
        except OSError:
            return False
        return text in screen

    def enter(text: str) -> None:
        os.write(controller, text.encode())

    def wait_for(text: str) -> None:
        nonlocal screen
        eventually(lambda: shows(text), within=30, because=f"the shell shows {text}")
        screen = screen.partition(text)[2]

    wait_for("sql>")
    enter("SELECT 40\r+ 2 AS answer;\r")
    wait_for("42")
    wait_for("sql>")
    enter("SELECT count(*) FROM range(1000000000000) WHERE hash(range) = 8;\r")
    wait_for("running")
    os.killpg(process.pid, signal.SIGINT)
    wait_for("cancelled")
    wait_for("sql>")
    enter("\\d orders\r")
    wait_for("order_date")
    wait_for("sql>")
    enter("\x04")
    assert process.wait(timeout=30) == 0
    os.close(controller)
    history = stack.settings.home / "sql.history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "+ 2 AS answer" in history.read_text()
