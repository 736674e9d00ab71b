"""Tables rebuilt from the archive: equal to the live ones, switched in and rolled back."""

from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka import client as kafka
from schemas.errors import WarehouseError
from spark.replayer import rebuild
from spark.storage.expire_versions import VersionExpiry
from spark.storage.parquet import ParquetWriter, read_table
from tests.integration.replay_log import (
    in_hive,
    locations,
    log,
    publish,
    replay,
    write_history,
)
from tests.synthetic_log import UUID, SyntheticLog, insert, update

__all__ = ["log"]  # a fixture


def test_rebuilt_tables_are_equal_and_are_switched_in(log: SyntheticLog) -> None:
    write_history(log)
    live = log.versions.newest()
    rows = log.rows("t")
    outcome = replay(log)
    assert (outcome.differing, outcome.refused) == ({}, {})
    assert outcome.compared == len(rows) + len(log.rows("u"))
    assert outcome.switched is not None
    switched = log.versions.newest()
    assert (switched.version, switched.gtid) == (live.version + 1, live.gtid)
    assert log.rows("t") == rows
    assert in_hive(log, "t") == rows
    assert not locations(switched, "t") & locations(live, "t")


def test_a_rollback_loses_no_change_that_came_after_the_replay(log: SyntheticLog) -> None:
    write_history(log)
    live = log.versions.newest()
    replay(log)
    log.commit(15, update("t", 1, "newest"), insert("t", 99, "since"))
    publish(log)
    rows = log.rows("t")
    assert (99, "since") in rows
    assert replay(log, rollback=True).switched is not None
    assert log.rows("t") == rows
    assert in_hive(log, "t") == rows
    assert log.rows("u") == [(1, "read")]
    assert locations(log.versions.newest(), "u") == locations(live, "u"), (
        "a table without later changes has its old files"
    )
    without_grace = replace(log.settings.spark, grace_seconds=0.0)
    settings = replace(log.settings, spark=without_grace)
    assert VersionExpiry(settings, log.hdfs, log.versions).expire_versions() > 0
    assert log.rows("t") == rows, "files that are used again are not deleted"
    assert log.rows("u") == [(1, "read")]


def test_a_large_table_is_built_in_slices_and_is_the_same(
    log: SyntheticLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_history(log)
    monkeypatch.setattr(rebuild, "SLICE_BYTES", 2000)
    monkeypatch.setattr(rebuild, "TASK_BYTES", 4000)
    outcome = replay(log, table="t")
    assert (outcome.tables, outcome.differing) == (["t"], {})
    assert outcome.compared == len(log.rows("t"))
    manifest = log.versions.newest()
    assert manifest.tables["t"].partitions[""].files > 2
    log.commit(15, update("t", 1, "newest"))
    publish(log)
    assert (1, "newest") in log.rows("t")


def empty_topics(log: SyntheticLog) -> None:
    """Delete all records of all topics, as when their retention has passed."""
    settings = log.settings.kafka
    topics = [log.ends, *map(log.topic, log.tables)]
    watermarks = kafka.offsets(settings, topics)
    ends = [
        TopicPartition(topic, 0, marks.high) for (topic, _), marks in watermarks.items()
    ]
    admin = AdminClient(kafka.client_config(settings, "vandal"))
    for deletion in admin.delete_records(ends).values():
        deletion.result()
    for marks in kafka.offsets(settings, topics).values():
        assert marks.low == marks.high


def test_the_archive_is_enough_when_kafka_has_dropped_its_segments(
    log: SyntheticLog,
) -> None:
    write_history(log)
    empty_topics(log)
    outcome = replay(log)
    assert outcome.differing == {}
    assert outcome.switched is not None
    log.commit(15, insert("t", 99, "since"))
    publish(log)
    assert (99, "since") in log.rows("t")


def test_a_gap_in_the_archive_is_named_and_nothing_is_switched(log: SyntheticLog) -> None:
    write_history(log)
    empty_topics(log)
    before = log.versions.newest()
    log.hdfs.delete(archive_file_of(log, f"{UUID}:12"))
    changes = rf"transaction {UUID}:1[12] has [123] changes in {log.topic('t')}"
    message = f"{changes}, and the archive holds 0 of them|no records of"
    with pytest.raises(WarehouseError, match=message):
        replay(log)
    assert log.versions.newest() == before


def archive_file_of(log: SyntheticLog, gtid: str) -> str:
    """Return the path of the archive's file that holds a transaction's change of the table t."""
    (day,) = log.versions.newest().archives["t"].days.values()
    for entry in log.hdfs.list(day.location):
        path = f"{day.location}/{entry.name}"
        records = read_table(log.hdfs.read_bytes(path), path)
        if gtid in records["tx_id"].to_pylist():
            return path
    raise AssertionError(f"no file of the archive holds {gtid}")


def alter_row(log: SyntheticLog, key: int, value: str) -> None:
    """Change a row of the only file of the table t, as no process would."""
    (folder,) = locations(log.versions.newest(), "t")
    (entry,) = log.hdfs.list(folder)
    path = f"{folder}/{entry.name}"
    rows = read_table(log.hdfs.read_bytes(path), path)
    keys = rows["id"].to_pylist()
    values = rows["v"].to_pylist()
    values[keys.index(key)] = value
    writer = ParquetWriter(rows.schema)
    writer.write_rows(rows.set_column(1, rows.schema.field(1), [values]))
    log.hdfs.write_bytes(path, writer.finish())


def test_an_altered_row_is_named_and_repaired_when_the_archive_is_accepted(
    log: SyntheticLog,
) -> None:
    write_history(log)
    live = log.versions.newest()
    rows = log.rows("t")
    alter_row(log, 5, "altered")
    outcome = replay(log)
    assert outcome.differing == {"t": 1}
    assert outcome.named == ["t row id 5: v live 'altered', rebuilt 'read'"]
    assert outcome.switched is None
    assert log.versions.newest() == live
    assert (5, "altered") in log.rows("t")
    assert replay(log, accept=True).switched is not None
    assert log.rows("t") == rows
    assert in_hive(log, "t") == rows


def test_a_table_that_cannot_be_read_is_named_and_repaired_when_the_archive_is_accepted(
    log: SyntheticLog,
) -> None:
    write_history(log)
    rows = log.rows("t")
    (folder,) = locations(log.versions.newest(), "t")
    log.hdfs.delete(folder)
    (description,) = replay(log, accept=True).named
    assert "t cannot be read" in description
    assert log.rows("t") == rows
