"""A synthetic log with Hive databases of its own, for tests of replays.

No compactor runs but the test's.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.control.replay_request import ReplayRequest
from connectors.hadoop import hive_metastore, hiveserver2
from connectors.hadoop.hive_metastore import Metastore
from schemas.manifest import Manifest
from spark.replayer.progress import ReplayProgress
from spark.replayer.replay import Replay, ReplayOutcome
from spark.storage.expire_versions import move_arrivals
from tests.conftest import Stack
from tests.synthetic_log import (
    Row,
    SyntheticLog,
    delete,
    inline_session,
    insert,
    synthetic_log,
    update,
)


@pytest.fixture
def log(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[SyntheticLog]:
    """The log, with an empty warehouse."""
    (tmp_path / "run").mkdir()
    for own_log in synthetic_log(stack.settings, monkeypatch):
        name = own_log.settings.mysql.database
        hive = replace(
            own_log.settings.hive, warehouse_database=name, lake_database=f"{name}_lake"
        )
        own_log.settings = replace(own_log.settings, home=tmp_path, hive=hive)
        hive_metastore.prepare(own_log.settings)
        yield own_log
        databases = hiveserver2.query(hive, f"SHOW DATABASES LIKE '{name}*'").rows
        with Metastore(hive.metastore_uris) as metastore:
            for (database,) in databases:
                metastore.drop_database(database)


def replay(log: SyntheticLog, **options: Any) -> ReplayOutcome:
    """Replay in this process, without Spark. Raises what stops a replay."""
    request = ReplayRequest(**options)
    progress = ReplayProgress(log.settings.home)
    return Replay(log.settings, inline_session(), request, progress).run()


def in_hive(log: SyntheticLog, table: str, database: str | None = None) -> list[Row]:
    """Return the rows of a table in Hive, sorted."""
    hive = log.settings.hive
    sql = f"SELECT id, v FROM `{database or hive.warehouse_database}`.`{table}`"
    return sorted(hiveserver2.query(hive, sql).rows)


def publish(log: SyntheticLog) -> Manifest:
    """Return a version of the whole log, with its files in their final places."""
    log.compact()
    newest = log.versions.newest()
    move_arrivals(log.hdfs, newest)
    return newest


def write_history(log: SyntheticLog) -> None:
    """Write a snapshot, then every kind of change of a row, in several versions."""
    log.snapshot({"t": [(key, "read") for key in range(1, 9)], "u": [(1, "read")]}, at=100)
    publish(log)
    publish(log)
    transaction_11 = [update("t", 1, "new"), delete("t", 2), insert("u", 2, "b")]
    log.commit(11, *transaction_11)
    log.commit(12, ("t", "u", (3, "read"), (30, "moved")))
    publish(log)
    log.commit(13, insert("t", 2, "again"), delete("u", 2))
    log.commit(11, *transaction_11)  # Connect repeats it after a crash
    log.commit(14, update("t", 1, "newer"), ("t", "u", (4, "read"), (3, "moved")))
    publish(log)


def locations(manifest: Manifest, table: str) -> set[str]:
    """Return the folders of a table in a version."""
    return {part.location for part in manifest.tables[table].partitions.values()}
