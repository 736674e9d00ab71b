"""The warehouse built anew from the archive: equal, switched in and back beside its readers and writers, and never in the way of the live one."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from connectors import hive, kafka
from connectors.hive import Metastore
from connectors.mysql import Connection, gtid_executed
from infra.errors import KappaError, Refused, WarehouseError
from infra.state import read_state
from schemas.warehouse import Kind
from spark import rebuild
from spark.housekeeping import Housekeeper, settle_arrivals
from spark.manifest import Manifest
from spark.parquet import ParquetWriter, read_table
from spark.replayer import Outcome, Replay, Voice
from spark.wish import RESULT, Wish
from tests.compare import canonical
from tests.conftest import LAUNCHER, Stack
from tests.eventually import eventually
from tests.integration.test_cut import Shoppers, mysql, shoppers, versions
from tests.synthetic_log import UUID, Inline, Row, SyntheticLog, delete, insert, synthetic_log, update

__all__ = ["shoppers"]  # a fixture


@pytest.fixture
def log(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SyntheticLog]:
    """A change log made by hand, with a warehouse and Hive databases of its own, and no compactor but the test."""
    for made in synthetic_log(stack.settings, monkeypatch):
        name = made.settings.mysql.database
        (tmp_path / "run").mkdir()
        own = replace(made.settings.hive, warehouse_database=name, lake_database=f"{name}_lake")
        made.settings = replace(made.settings, home=tmp_path, hive=own)
        hive.prepare(made.settings)
        yield made
        with Metastore(own.metastore_uris) as metastore:
            for database in hive.query(own, f"SHOW DATABASES LIKE '{name}*'").rows:
                metastore.drop_database(database[0])


def replayed(log: SyntheticLog, **wish: Any) -> Outcome:
    return Replay(log.settings, Inline(), Wish(**wish), Voice(log.settings)).run()  # type: ignore[arg-type]


def in_hive(log: SyntheticLog, table: str, database: str | None = None) -> list[Row]:
    return sorted(hive.query(log.settings.hive, f"SELECT id, v FROM `{database or log.settings.hive.warehouse_database}`.`{table}`").rows)


def compact(log: SyntheticLog) -> None:
    """A version, with its files where the compactor's process puts them."""
    log.compact()
    settle_arrivals(log.hdfs, log.versions.newest())


def a_history(log: SyntheticLog) -> None:
    """A snapshot, then all that can happen to a row, in several versions."""
    log.snapshot({"t": [(key, "read") for key in range(1, 9)], "u": [(1, "read")]}, at=100)
    compact(log)
    compact(log)
    log.commit(11, update("t", 1, "new"), delete("t", 2), insert("u", 2, "b"))
    log.commit(12, ("t", "u", (3, "read"), (30, "moved")))
    compact(log)
    log.commit(13, insert("t", 2, "again"), delete("u", 2))
    log.commit(11, update("t", 1, "new"), delete("t", 2), insert("u", 2, "b"))  # Connect repeats after a crash
    log.commit(14, update("t", 1, "newer"), ("t", "u", (4, "read"), (3, "moved")))
    compact(log)


def locations(manifest: Manifest, table: str) -> set[str]:
    return {part.location for part in manifest.tables[table].partitions.values()}


def test_rebuilt_tables_are_equal_are_switched_in_and_back_and_lose_nothing_that_came_since(log: SyntheticLog) -> None:
    a_history(log)
    live, rows = log.versions.newest(), log.rows("t")
    done = replayed(log)
    assert (done.compared, done.differing, done.refused) == (len(rows) + 1, {}, {})
    assert done.switched is not None
    switched = log.versions.newest()
    assert (switched.version, switched.gtid, log.rows("t"), in_hive(log, "t")) == (live.version + 1, live.gtid, rows, rows)
    assert not locations(switched, "t") & locations(live, "t")
    log.commit(15, update("t", 1, "newest"), insert("t", 99, "since"))
    compact(log)
    expected = log.rows("t")
    assert (99, "since") in expected
    back = replayed(log, rollback=True)
    assert back.switched is not None
    assert (log.rows("t"), in_hive(log, "t"), log.rows("u")) == (expected, expected, [(1, "read")])
    assert locations(log.versions.newest(), "u") == locations(live, "u"), "what nothing has changed since is the very same file"
    at_once = replace(log.settings, spark=replace(log.settings.spark, grace_seconds=0.0))
    assert Housekeeper(at_once, log.hdfs, log.versions).tidy() > 0
    assert (log.rows("t"), log.rows("u")) == (expected, [(1, "read")]), "what is in use again is not tidied away"


def test_a_large_table_is_built_in_slices_and_is_the_same(log: SyntheticLog, monkeypatch: pytest.MonkeyPatch) -> None:
    a_history(log)
    monkeypatch.setattr(rebuild, "SLICE_BYTES", 2000)
    monkeypatch.setattr(rebuild, "TASK_BYTES", 4000)
    done = replayed(log, table="t")
    assert (done.tables, done.differing, done.compared) == (["t"], {}, len(log.rows("t")))
    manifest = log.versions.newest()
    assert manifest.tables["t"].partitions[""].files > 2
    log.commit(15, update("t", 1, "newest"))
    compact(log)
    assert (1, "newest") in log.rows("t")


def drop_the_log(log: SyntheticLog) -> None:
    """All segments of all topics go, as when their retention has passed."""
    topics = [log.ends, *map(log.topic, log.tables)]
    ends = [TopicPartition(topic, 0, held.high) for (topic, _), held in kafka.offsets(log.settings.kafka, topics).items()]
    admin = AdminClient(kafka.client_config(log.settings.kafka, "vandal"))
    for future in admin.delete_records(ends).values():
        future.result()
    assert all(held.low == held.high for held in kafka.offsets(log.settings.kafka, topics).values())


def test_the_archive_is_enough_when_kafka_has_dropped_its_segments_and_a_hole_in_it_is_named(log: SyntheticLog) -> None:
    a_history(log)
    drop_the_log(log)
    done = replayed(log)
    assert (done.differing, done.switched is not None) == ({}, True)
    log.commit(15, insert("t", 99, "since"))
    compact(log)
    assert (99, "since") in log.rows("t")
    before, (day,) = log.versions.newest(), log.versions.newest().archives["t"].days.values()
    file = next(
        path for entry in log.hdfs.list(day.location)
        if f"{UUID}:12" in read_table(log.hdfs.read_bytes(path := f"{day.location}/{entry.name}"), path)["tx_id"].to_pylist()
    )  # fmt: skip
    log.hdfs.delete(file)
    with pytest.raises(
        WarehouseError, match=f"transaction {UUID}:1[12] has [123] changes in {log.topic('t')}, and the archive holds 0 of them|no records of"
    ):
        replayed(log)
    assert log.versions.newest() == before


def test_an_altered_row_is_named_and_healed_when_the_archive_is_accepted(log: SyntheticLog) -> None:
    a_history(log)
    live, rows = log.versions.newest(), log.rows("t")
    (folder,) = locations(live, "t")
    (path,) = [f"{folder}/{entry.name}" for entry in log.hdfs.list(folder)]
    held = read_table(log.hdfs.read_bytes(path), path)
    values = ["altered" if key == 5 else value for key, value in zip(held["id"].to_pylist(), held["v"].to_pylist(), strict=True)]
    writer = ParquetWriter(held.schema)
    writer.write(held.set_column(1, held.schema.field(1), [values]))
    log.hdfs.write_bytes(path, writer.finish())
    done = replayed(log)
    assert (done.differing, done.named, done.switched) == ({"t": 1}, ["t row id 5: v live 'altered', rebuilt 'read'"], None)
    assert (log.versions.newest(), (5, "altered") in log.rows("t")) == (live, True), "nothing was switched"
    assert replayed(log, accept=True).switched is not None
    assert (log.rows("t"), in_hive(log, "t")) == (rows, rows)
    log.hdfs.delete(next(iter(locations(log.versions.newest(), "t"))))
    (named,) = replayed(log, accept=True).named
    assert "t cannot be read" in named
    assert log.rows("t") == rows


def test_a_past_point_is_what_the_tables_were_then_and_none_before_the_horizon_or_in_the_future(log: SyntheticLog) -> None:
    log.snapshot({"t": [(1, "read"), (2, "read")], "u": [(1, "read")]}, at=100)
    compact(log)
    compact(log)
    was, at = dict[int, list[Row]](), dict[int, str]()
    changes = {
        11: [insert("t", 3, "c")],
        12: [delete("t", 1), update("u", 1, "z")],
        14: [("t", "u", (2, "read"), (20, "moved"))],
        15: [delete("u", 1)],
    }
    rows = {11: {1: "read", 2: "read", 3: "c"}, 12: {2: "read", 3: "c"}, 14: {20: "moved", 3: "c"}, 15: {20: "moved", 3: "c"}}
    for number, events in changes.items():
        log.commit(number, *events)
        log.producer.flush(10)
        was[number] = sorted(rows[number].items())
        time.sleep(0.02)  # the next transaction has a later time
        at[number] = datetime.now(UTC).isoformat()
        time.sleep(0.02)
    compact(log)
    live = log.versions.newest()
    for point, number in ((f"{UUID}:11", 11), (at[12], 12), (f"{UUID}:13", 12), (f"{UUID}:15", 15), (str(live.version), 15)):
        done = replayed(log, to=point)
        assert (done.database is not None, in_hive(log, "t", done.database)) == (True, was[number]), point
        assert in_hive(log, "u", done.database) == ([(1, "read")] if number == 11 else [(1, "z")] if number == 12 else [])
    assert log.versions.newest() == live
    with pytest.raises(Refused, match=r"before the horizon: the earliest point is 20\d\d-.*Z, GTID"):
        replayed(log, to="2020-01-01")
    for point, reason in (
        (f"{UUID}:16", "in the future"),
        (f"bbbbbbbb{UUID[8:]}:1", "no transaction of that origin"),
        ("2099-01-01", "beyond the archive"),
    ):
        with pytest.raises(Refused, match=reason):
            replayed(log, to=point)


PAUSE_SECONDS = 0.3


class Readers(threading.Thread):
    """Asks the live tables again and again; each answer must belong to one state of the table."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack, self.stop = stack, threading.Event()
        self.answers, self.failures = 0, list[str]()

    def run(self) -> None:
        while not self.stop.wait(PAUSE_SECONDS):
            try:
                sql = "SELECT count(*), count(DISTINCT order_id), sum(IF(order_date = date_format(orderedat, 'yyyy-MM-dd'), 0, 1)) FROM orders"
                ((rows, orders, astray),) = hive.query(self._stack.settings.hive, sql, database=self._stack.settings.hive.warehouse_database).rows
                self.answers += 1
                if rows != orders or astray:
                    self.failures.append(f"{rows} rows of {orders} orders, {astray} in the wrong partition")
            except KappaError as error:
                self.failures.append(str(error))


@pytest.fixture
def readers(stack: Stack) -> Iterator[list[Readers]]:
    crowd = [Readers(stack) for _ in range(2)]
    for one in crowd:
        one.start()
    yield crowd
    for one in crowd:
        one.stop.set()
        one.join(60)


def test_the_warehouse_is_replayed_and_rolled_back_while_it_is_written_and_read(
    stack: Stack, shoppers: list[Shoppers], readers: list[Readers]
) -> None:
    eventually(lambda: sum(one.completed for one in shoppers) > 5, within=60, because="orders are completed")
    done = json.loads(stack.kappa("replay", "warehouse", "--json", check=True).stdout)
    assert (done["differing"], done["refused"], done["compared"] > 0) == ({}, {}, True)
    assert done["switched"]["seconds"] < 5  # under 1 s on a quiet machine; see docs/warehouse.md
    manifest = versions(stack).read(done["switched"]["version"])
    assert {table.kind for name, table in manifest.tables.items() if name in manifest.rebuilt} == {Kind.CHANGES.value, Kind.FACTS.value}
    eventually(lambda: versions(stack).numbers()[-1] > manifest.version, within=60, because="the compactor goes on from the rebuilt tables")
    back = json.loads(stack.kappa("replay", "warehouse", "--rollback", "--json", check=True).stdout)
    eventually(lambda: versions(stack).numbers()[-1] > back["switched"]["version"], within=60, because="the compactor goes on after the way back")
    for one in shoppers:
        one.stop.set()
        one.join(30)
    assert [failure for one in readers for failure in one.failures] == []
    assert all(one.answers > 0 for one in readers)
    with mysql(stack) as connection:
        wanted = {int(row["order_id"]) for row in connection.query("SELECT order_id FROM orders WHERE status = '1'")}
    eventually(lambda: wanted <= completed(stack), within=60, because="every completed order is in Hive")


def completed(stack: Stack) -> set[int]:
    sql = "SELECT o.order_id FROM orders o JOIN completed_orders c ON o.order_id = c.order_id WHERE o.status = '1'"
    return {int(order) for (order,) in hive.query(stack.settings.hive, sql, database=stack.settings.hive.warehouse_database).rows}


@pytest.fixture
def notes(stack: Stack) -> Iterator[Connection]:
    """Tables that change their shape, are emptied and dropped after the point that is asked for."""
    with mysql(stack) as connection:
        for table in ("past_notes", "past_gone", "past_renamed"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute("CREATE TABLE past_notes (id INT PRIMARY KEY, note VARCHAR(20), at DATETIME(6))")
        connection.execute("CREATE TABLE past_gone (id INT PRIMARY KEY, note VARCHAR(20))")
        yield connection
        for table in ("past_notes", "past_gone", "past_renamed"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def dump(connection: Connection, table: str) -> list[tuple[str, ...]]:
    return sorted(tuple(canonical(value) for value in row.values()) for row in connection.query(f"SELECT * FROM {table}"))


def test_a_past_point_equals_a_dump_of_mysql_of_that_moment_whatever_became_of_the_tables_since(
    stack: Stack, notes: Connection, tmp_path: Path
) -> None:
    for number in range(1, 30):
        notes.execute("INSERT INTO past_notes VALUES (%s, %s, '2026-11-26 12:00:00.123456')", (number, f"note {number}"))
    notes.execute("INSERT INTO past_gone SELECT id, note FROM past_notes WHERE id < 10")
    notes.execute("UPDATE past_notes SET id = id + 100 WHERE id > 20")
    with notes.transaction():
        notes.execute("DELETE FROM past_notes WHERE id = 7")
        notes.execute("DELETE FROM past_gone WHERE id = 7")
        point, was = "", {}
    with notes.transaction():
        notes.execute("UPDATE past_notes SET note = 'last' WHERE id = 8")
        was = {table: dump(notes, table) for table in ("past_notes", "past_gone")}
    point = own_gtid(notes)
    notes.execute("ALTER TABLE past_notes ADD COLUMN more INT DEFAULT 7")
    notes.execute("UPDATE past_notes SET note = 'later', more = 8")
    notes.execute("TRUNCATE TABLE past_gone")
    notes.execute("DROP TABLE past_gone")
    notes.execute("RENAME TABLE past_notes TO past_renamed")
    notes.execute("INSERT INTO past_renamed VALUES (999, 'late', NULL, 1)")
    stack.kappa("compact", "--now", check=True)
    settings = replace(stack.settings, home=tmp_path)
    (tmp_path / "run").mkdir()
    done = Replay(settings, Inline(), Wish(to=point), Voice(settings)).run()  # type: ignore[arg-type]
    assert done.database is not None
    for table, rows in was.items():
        found = hive.query(settings.hive, f"SELECT * FROM {done.database}.{table}").rows
        assert sorted(tuple(canonical(value) for value in row) for row in found) == rows, table


def own_gtid(connection: Connection) -> str:
    """The newest transaction of the server, as the end of its own interval."""
    executed = gtid_executed(connection).split(",")[-1]
    origin, _, numbers = executed.rpartition(":")
    return f"{origin.partition(':')[0]}:{numbers.rpartition('-')[2]}"


def test_a_replay_that_is_killed_anywhere_leaves_the_live_warehouse_as_it_was(stack: Stack) -> None:
    before = versions(stack).newest()
    (stack.settings.home / "run" / "replayer.json").unlink(missing_ok=True)  # of an earlier one
    chance = random.Random(os.getpid())
    process = subprocess.Popen([str(LAUNCHER), "replay", "warehouse"], env=stack.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = eventually(
        lambda: (found := read_state(stack.settings.home, "replayer")) and found.get("phase") != "starting Spark" and found,
        within=90, because="the replay has begun",
    )  # fmt: skip
    time.sleep(chance.uniform(0, 3))
    for pid in (state["pid"], process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(30)
    eventually(lambda: versions(stack).newest().version > before.version, within=90, because="the compactor goes on")
    if not (stack.settings.home / "run" / RESULT).exists():  # it was killed in time
        later = [versions(stack).read(number) for number in versions(stack).numbers() if number > before.version]
        assert not [name for manifest in later for name in manifest.rebuilt]
    stack.kappa("compact", "--now", check=True)
