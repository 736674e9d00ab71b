"""Over a long run the warehouse keeps few files, every row, and what a query may still read."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from schemas.manifest import Manifest
from spark.merge import version_builder
from spark.storage.expire_versions import VersionExpiry, move_arrivals
from spark.storage.parquet import read_table
from tests.conftest import Stack
from tests.synthetic_log import SyntheticLog, insert, synthetic_log, update

FILES = 6
VERSIONS = 25


@pytest.fixture
def log(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    yield from synthetic_log(stack.settings, monkeypatch)


def housekeeper(log: SyntheticLog, grace_seconds: float) -> VersionExpiry:
    """Return an expiry with this grace time, which knows no database of the running warehouse."""
    hive = replace(log.settings.hive, warehouse_database=log.settings.mysql.database)
    spark = replace(log.settings.spark, grace_seconds=grace_seconds)
    settings = replace(log.settings, hive=hive, spark=spark)
    return VersionExpiry(settings, log.hdfs, log.versions)


def publish(log: SyntheticLog) -> Manifest:
    """Return a version of the whole log, with its files in their final places."""
    manifest = log.compact().manifest
    assert manifest is not None
    move_arrivals(log.hdfs, manifest)
    return manifest


def archived_offsets(log: SyntheticLog, table: str) -> list[list[int]]:
    """Return the offsets that each file of a table's archive holds."""
    offsets = []
    for day in log.versions.newest().archives[table].days.values():
        for entry in log.hdfs.list(day.location):
            path = f"{day.location}/{entry.name}"
            records = read_table(log.hdfs.read_bytes(path), path)
            offsets.append(records.column("offset").to_pylist())
    return offsets


def test_over_a_long_run_the_files_stay_few_and_the_archive_loses_and_repeats_nothing(
    log: SyntheticLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_builder, "MAX_FILES", FILES)
    keeper = housekeeper(log, 0)
    file_counts = []
    for number in range(1, VERSIONS + 1):
        log.commit(number, insert("t", number, "a"), update("t", max(1, number - 1), "b"))
        publish(log)
        keeper.expire_versions()
        file_counts.append(len(archived_offsets(log, "t")))
    assert max(file_counts) == FILES, "a day of so many files is rolled up"
    offsets = sorted(itertools.chain.from_iterable(archived_offsets(log, "t")))
    assert offsets == list(range(2 * VERSIONS))
    updated_rows = [(number, "b") for number in range(1, VERSIONS)]
    assert log.rows("t") == [*updated_rows, (VERSIONS, "a")]
    assert log.versions.numbers() == [VERSIONS - 1]
    location = log.versions.newest().tables["t"].partitions[""].location
    table_folder, _, version_folder = location.rpartition("/")
    folders = [entry.name for entry in log.hdfs.list(table_folder)]
    assert folders == [version_folder], "no older version's folder is left"


def test_a_query_that_began_before_a_version_reads_its_files_until_the_grace_time_is_over(
    log: SyntheticLog,
) -> None:
    log.commit(1, insert("t", 1, "a"))
    before = publish(log)
    log.commit(2, update("t", 1, "b"))
    publish(log)
    assert housekeeper(log, 600).expire_versions() == 0
    assert log.rows("t", before) == [(1, "a")]
    assert housekeeper(log, 0).expire_versions() == 1
    assert log.rows("t", before) == []
    assert log.rows("t") == [(1, "b")]
