"""Past points: the tables as they were at a transaction, a time or a version."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.control.replay_request import ReplayRequest
from connectors.hadoop import hiveserver2
from connectors.mysql.client import Connection, gtid_executed
from schemas.errors import Refused
from schemas.gtid import gtid_set
from schemas.manifest import Manifest
from schemas.topics import source_table
from spark.replayer.progress import ReplayProgress
from spark.replayer.replay import Replay
from tests.compare import TextRow, canonical_row
from tests.conftest import Stack
from tests.eventually import eventually
from tests.integration.replay_log import in_hive, log, publish, replay
from tests.integration.test_cut import mysql, versions
from tests.synthetic_log import (
    UUID,
    Event,
    Row,
    SyntheticLog,
    delete,
    inline_session,
    insert,
    update,
)

__all__ = ["log"]  # a fixture

TABLES = ("past_notes", "past_dropped", "past_renamed")


@dataclass(frozen=True)
class PastTransaction:
    """A transaction and the rows of both tables after it."""

    number: int
    events: list[Event]
    t: list[Row]
    u: list[Row]


# MySQL numbered a transaction 13 that changed no row.
TRANSACTIONS = [
    PastTransaction(
        11, [insert("t", 3, "c")], [(1, "read"), (2, "read"), (3, "c")], [(1, "read")]
    ),
    PastTransaction(
        12, [delete("t", 1), update("u", 1, "z")], [(2, "read"), (3, "c")], [(1, "z")]
    ),
    PastTransaction(
        14, [("t", "u", (2, "read"), (20, "moved"))], [(3, "c"), (20, "moved")], [(1, "z")]
    ),
    PastTransaction(15, [delete("u", 1)], [(3, "c"), (20, "moved")], []),
]


def write_transactions(log: SyntheticLog) -> dict[int, str]:
    """Write a snapshot and the transactions, and return a time after each, by its number."""
    log.snapshot({"t": [(1, "read"), (2, "read")], "u": [(1, "read")]}, at=100)
    publish(log)
    publish(log)
    times = {}
    for transaction in TRANSACTIONS:
        log.commit(transaction.number, *transaction.events)
        log.producer.flush(10)
        time.sleep(0.02)  # the next transaction has a later time
        times[transaction.number] = datetime.now(UTC).isoformat()
        time.sleep(0.02)
    publish(log)
    return times


def test_a_past_point_is_what_the_tables_were_then(log: SyntheticLog) -> None:
    times = write_transactions(log)
    live = log.versions.newest()
    after_11, after_12, _, after_15 = TRANSACTIONS
    points = {
        f"{UUID}:11": after_11,
        times[12]: after_12,
        f"{UUID}:13": after_12,
        f"{UUID}:15": after_15,
        str(live.version): after_15,
    }
    for point, transaction in points.items():
        database = replay(log, to=point).database
        assert database is not None
        assert in_hive(log, "t", database) == transaction.t, point
        assert in_hive(log, "u", database) == transaction.u, point
    assert log.versions.newest() == live


def test_a_point_before_the_horizon_or_in_the_future_is_refused(log: SyntheticLog) -> None:
    write_transactions(log)
    reasons = {
        "2020-01-01": r"before the horizon: the earliest point is 20\d\d-.*Z, GTID",
        f"{UUID}:16": "in the future",
        f"bbbbbbbb{UUID[8:]}:1": "no transaction of that origin",
        "2099-01-01": "beyond the archive",
    }
    for point, reason in reasons.items():
        with pytest.raises(Refused, match=reason):
            replay(log, to=point)


@pytest.fixture
def notes(stack: Stack) -> Iterator[Connection]:
    """A connection, and two tables that later statements change, empty, drop and rename."""
    with mysql(stack) as connection:
        drop_tables(connection)
        connection.execute(
            "CREATE TABLE past_notes (id INT PRIMARY KEY, note VARCHAR(20), at DATETIME(6))"
        )
        connection.execute(
            "CREATE TABLE past_dropped (id INT PRIMARY KEY, note VARCHAR(20))"
        )
        yield connection
        drop_tables(connection)


def drop_tables(connection: Connection) -> None:
    for table in TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {table}")


def dump(connection: Connection, table: str) -> list[TextRow]:
    """Return the rows of a MySQL table as texts, sorted."""
    rows = connection.query(f"SELECT * FROM {table}")
    return sorted(canonical_row(row.values()) for row in rows)


def write_notes(connection: Connection) -> None:
    """Write rows to both tables, with every kind of change."""
    for number in range(1, 30):
        connection.execute(
            "INSERT INTO past_notes VALUES (%s, %s, '2026-11-26 12:00:00.123456')",
            (number, f"note {number}"),
        )
    connection.execute(
        "INSERT INTO past_dropped SELECT id, note FROM past_notes WHERE id < 10"
    )
    connection.execute("UPDATE past_notes SET id = id + 100 WHERE id > 20")
    with connection.transaction():
        connection.execute("DELETE FROM past_notes WHERE id = 7")
        connection.execute("DELETE FROM past_dropped WHERE id = 7")


def change_tables(connection: Connection) -> None:
    """Change both tables so that neither is there any longer."""
    connection.execute("ALTER TABLE past_notes ADD COLUMN more INT DEFAULT 7")
    connection.execute("UPDATE past_notes SET note = 'later', more = 8")
    connection.execute("TRUNCATE TABLE past_dropped")
    connection.execute("DROP TABLE past_dropped")
    connection.execute("RENAME TABLE past_notes TO past_renamed")
    connection.execute("INSERT INTO past_renamed VALUES (999, 'late', NULL, 1)")


def test_a_past_point_equals_a_dump_of_mysql_of_that_moment_although_tables_changed_since(
    stack: Stack, notes: Connection, tmp_path: Path
) -> None:
    write_notes(notes)
    # A table that is renamed while its new topic catches up is read again, and has no past then.
    eventually(
        lambda: are_replicated(versions(stack).newest(), "past_notes", "past_dropped"),
        within=60,
        because="the topics of both tables are caught up with",
    )
    with notes.transaction():
        notes.execute("UPDATE past_notes SET note = 'last' WHERE id = 8")
        dumps = {table: dump(notes, table) for table in ("past_notes", "past_dropped")}
    point = newest_gtid(notes)
    change_tables(notes)
    stack.kappa("compact", "--now", check=True)
    (tmp_path / "run").mkdir()
    settings = replace(stack.settings, home=tmp_path)
    request = ReplayRequest(to=point)
    progress = ReplayProgress(settings.home)
    outcome = Replay(settings, inline_session(), request, progress).run()
    assert outcome.database is not None
    for table, rows in dumps.items():
        answer = hiveserver2.query(
            settings.hive, f"SELECT * FROM {outcome.database}.{table}"
        )
        assert sorted(map(canonical_row, answer.rows)) == rows, table


def are_replicated(manifest: Manifest, *tables: str) -> bool:
    lagging_tables = set(map(source_table, manifest.lagging_topics))
    return manifest.tables.keys() >= {*tables} and lagging_tables.isdisjoint(tables)


def newest_gtid(connection: Connection) -> str:
    """Return the newest transaction without a tag of the server itself."""
    (row,) = connection.query("SELECT @@server_uuid AS uuid")
    gtids = gtid_set(gtid_executed(connection))
    return f"{row['uuid']}:{gtids.last_number(row['uuid'])}"
