"""Faults around the warehouse, on a running stack.

It waits or repairs itself, says what the fault is, and never shows wrong rows.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.debezium.connector_config import SCHEMA_HISTORY
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka.admin import delete_topics
from connectors.mysql.client import Connection
from infra.cli.versions.catch_up import REQUEST
from infra.stack.supervisor import Supervisor
from tests.compare import assert_hive_agrees_with_mysql, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import FullDisk, SafeMode, SpaceQuota, answers, state

TABLE = "nw_parcels"


@pytest.fixture(scope="module")
def parcels(stack: Stack, mysql: Connection) -> Iterator[str]:
    """A table of the test, of which one row is published."""
    mysql.execute(f"DROP TABLE IF EXISTS {TABLE}")
    mysql.execute(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, note VARCHAR(20))")
    mysql.execute(f"INSERT INTO {TABLE} VALUES (1, 'first')")
    eventually(
        lambda: hive_has(stack, ("1", "first")),
        within=60,
        because="the first row is published",
    )
    yield TABLE
    mysql.execute(f"DROP TABLE {TABLE}")


def hive_has(stack: Stack, *rows: tuple[str, str]) -> bool:
    """Return whether Hive has exactly these rows of the table."""
    return rows_in_hive(stack.settings, TABLE, ["id", "note"]) == sorted(rows)


def newest_version(stack: Stack) -> int:
    return ManifestStore(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root).numbers()[-1]


def compactor_detail(stack: Stack) -> str:
    """Return what the compactor last reported. Requests a version, so that it tries to make one."""
    (stack.settings.home / "run" / REQUEST).touch()
    return str(state(stack.settings, "compactor").get("detail"))


@pytest.mark.parametrize("kind", [SpaceQuota, SafeMode, FullDisk])
def test_while_hdfs_takes_no_files_no_version_comes_and_afterwards_all_is_there(
    stack: Stack,
    mysql: Connection,
    parcels: str,
    kind: type[SpaceQuota | SafeMode | FullDisk],
) -> None:
    fault = kind(stack.settings)
    note = kind.__name__
    (row,) = mysql.query(f"SELECT note FROM {parcels} WHERE id = 1")
    fault.inject()
    try:
        before = newest_version(stack)
        mysql.execute(f"UPDATE {parcels} SET note = %s WHERE id = 1", (note,))
        eventually(
            lambda: fault.says in compactor_detail(stack),
            within=60,
            because="the compactor says why no version comes",
        )
        if kind is SafeMode:  # for one fault it is enough to check what people see
            assert fault.says in " ".join(stack.kappa("status").stdout.split())
        assert newest_version(stack) == before
        # HiveServer2 itself opens no session while HDFS is in safe mode.
        if kind is not SafeMode:
            assert hive_has(stack, ("1", row["note"])), "published rows can still be read"
    finally:
        fault.heal()
    eventually(
        lambda: answers(stack.settings, "datanode"),
        within=60,
        because="HDFS takes files again",
    )
    eventually(
        lambda: hive_has(stack, ("1", note)),
        within=90,
        because="the warehouse continues without help, and nothing is lost",
    )


def gap(stack: Stack) -> str:
    """Return the GTID set after which the log has a gap, as the compactor reports; "" if none."""
    detail = str(state(stack.settings, "compactor").get("detail"))
    report = re.search(
        r"the single changes in MySQL after (\S+) are not in the log", detail
    )
    return report[1] if report else ""


@contextmanager
def without_capture(stack: Stack) -> Iterator[None]:
    """Stop Connect within the block."""
    supervisor = Supervisor(stack.settings)
    supervisor.stop_process("log:connect")
    try:
        yield
    finally:
        supervisor.start_process("log:connect")


def purge(mysql: Connection) -> bool:
    """Purge all binary logs but the newest. Return whether no other is left.

    MySQL keeps one that a session reads, such as the binlog watch.
    """
    (status,) = mysql.query("SHOW BINARY LOG STATUS")
    mysql.execute("PURGE BINARY LOGS TO %s", (status["File"],))
    return len(mysql.query("SHOW BINARY LOGS")) == 1


def test_when_mysql_has_purged_unread_changes_the_gap_is_named_and_a_new_snapshot_fills_it(
    stack: Stack, mysql: Connection, parcels: str, quiet: None
) -> None:
    before = gap(stack)
    with without_capture(stack):
        mysql.execute(f"REPLACE INTO {parcels} VALUES (1, 'unseen'), (2, 'unseen')")
        mysql.execute("FLUSH BINARY LOGS")
        eventually(lambda: purge(mysql), within=60, because="MySQL purges its binary log")
    eventually(
        lambda: gap(stack) not in ("", before),
        within=90,
        because="the gap in the log is named",
    )
    assert_hive_agrees_with_mysql(stack.settings)


def test_when_the_schema_history_is_lost_a_new_snapshot_brings_the_right_columns(
    stack: Stack, mysql: Connection, parcels: str, quiet: None
) -> None:
    repairs = len(state(stack.settings, "capture")["repairs"])
    with without_capture(stack):
        mysql.execute(f"INSERT INTO {parcels} VALUES (3, 'before')")
        mysql.execute(
            f"ALTER TABLE {parcels} RENAME COLUMN note TO remark, "
            "ADD note VARCHAR(20) DEFAULT 'new'"
        )
        mysql.execute(f"INSERT INTO {parcels} (id, remark) VALUES (4, 'after')")
        delete_topics(stack.settings.kafka, [SCHEMA_HISTORY])
    new_repairs = eventually(
        lambda: state(stack.settings, "capture")["repairs"][repairs:],
        within=90,
        because="capture recreates the connector",
    )
    assert "history topic is missing" in new_repairs[0]["anew"]
    assert_hive_agrees_with_mysql(stack.settings)
