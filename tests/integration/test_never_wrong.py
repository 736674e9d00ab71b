"""What goes wrong around the warehouse, on a running stack: it waits or repairs itself, says what it is, and never shows anything wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.debezium import SCHEMA_HISTORY
from connectors.hdfs import Hdfs
from connectors.kafka_admin import delete_topics
from connectors.mysql import Connection
from infra.supervision import Supervisor
from infra.warehouse import REQUEST
from spark.manifest import Versions
from tests.compare import assert_hive_agrees_with_mysql, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import FullDisk, HdfsFault, SafeMode, SpaceQuota, answers, state

TABLE = "nw_parcels"


@pytest.fixture(scope="module")
def parcels(stack: Stack, mysql: Connection) -> Iterator[str]:
    """A table of our own, of which one row is published."""
    mysql.execute(f"DROP TABLE IF EXISTS {TABLE}")
    mysql.execute(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, note VARCHAR(20))")
    mysql.execute(f"INSERT INTO {TABLE} VALUES (1, 'first')")
    eventually(lambda: has(stack, ("1", "first")), within=60, because="the first row is published")
    yield TABLE
    mysql.execute(f"DROP TABLE {TABLE}")


def has(stack: Stack, *rows: tuple[str, str]) -> bool:
    """Whether Hive has just these rows of the table."""
    return rows_in_hive(stack.settings, TABLE, ["id", "note"]) == sorted(rows)


def newest(stack: Stack) -> int:
    return Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root).numbers()[-1]


def ask_for_a_version(stack: Stack) -> None:
    (stack.settings.home / "run" / REQUEST).touch()


def says(stack: Stack, words: str) -> bool:
    """Whether the compactor says so; it is asked for a version, so that it comes upon what keeps it from making one."""
    ask_for_a_version(stack)
    return words in str(state(stack.settings, "compactor").get("detail"))


@pytest.mark.parametrize("kind", [SpaceQuota, SafeMode, FullDisk])
def test_while_hdfs_takes_no_files_no_version_comes_and_afterwards_all_is_there(
    stack: Stack, mysql: Connection, parcels: str, kind: type[HdfsFault]
) -> None:  # fmt: skip
    fault, note, (old,) = kind(stack.settings), kind.__name__, mysql.query(f"SELECT note FROM {parcels} WHERE id = 1")
    fault.inject()
    try:
        before = newest(stack)
        mysql.execute(f"UPDATE {parcels} SET note = %s WHERE id = 1", (note,))
        eventually(lambda: says(stack, fault.says), within=60, because="the compactor says why no version comes")
        if kind is SafeMode:  # one look at what a person sees is enough
            assert fault.says in " ".join(stack.kappa("status").stdout.split())
        assert newest(stack) == before
        # HiveServer2 itself opens no session while HDFS is in safe mode.
        assert kind is SafeMode or has(stack, ("1", old["note"])), "what was published can be read on"
    finally:
        fault.heal()
    eventually(lambda: answers(stack.settings, "datanode"), within=60, because="HDFS takes files again")
    eventually(lambda: has(stack, ("1", note)), within=90, because="the warehouse went on by itself, and nothing is lost")


def hole(stack: Stack) -> str:
    """The transactions after which the log has a hole, as the compactor says; empty if it has none."""
    said = re.search(r"what MySQL did after (\S+) is not in the log", str(state(stack.settings, "compactor").get("detail")))
    return said[1] if said else ""


@contextmanager
def without_capture(stack: Stack) -> Iterator[None]:
    """Connect is down for a while."""
    supervisor = Supervisor(stack.settings)
    supervisor.stop_process("log:connect")
    try:
        yield
    finally:
        supervisor.start_process("log:connect")


def test_when_mysql_has_purged_what_capture_had_not_read_the_hole_is_named_and_closed_by_a_new_snapshot(
    stack: Stack, mysql: Connection, parcels: str, quiet: None
) -> None:  # fmt: skip
    before = hole(stack)
    with without_capture(stack):
        mysql.execute(f"REPLACE INTO {parcels} VALUES (1, 'unseen'), (2, 'unseen')")
        mysql.execute("FLUSH BINARY LOGS")
        (now,) = mysql.query("SHOW BINARY LOG STATUS")
        mysql.execute("PURGE BINARY LOGS TO %s", (now["File"],))
    eventually(lambda: hole(stack) not in ("", before), within=90, because="the hole in the log is named")
    assert_hive_agrees_with_mysql(stack.settings)


def test_when_the_schema_history_is_lost_capture_takes_a_new_snapshot_and_columns_of_the_meantime_are_right(
    stack: Stack, mysql: Connection, parcels: str, quiet: None
) -> None:  # fmt: skip
    repairs = len(state(stack.settings, "capture")["repairs"])
    with without_capture(stack):
        mysql.execute(f"INSERT INTO {parcels} VALUES (3, 'before')")
        mysql.execute(f"ALTER TABLE {parcels} RENAME COLUMN note TO remark, ADD note VARCHAR(20) DEFAULT 'new'")
        mysql.execute(f"INSERT INTO {parcels} (id, remark) VALUES (4, 'after')")
        delete_topics(stack.settings.kafka, [SCHEMA_HISTORY])
    made = eventually(lambda: state(stack.settings, "capture")["repairs"][repairs:], within=90, because="capture has the connector begin anew")
    assert "history topic is missing" in made[0]["anew"]
    assert_hive_agrees_with_mysql(stack.settings)
