"""What the warehouse keeps over a long run: few files, every row, and whatever a query may still read."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from spark import next_version
from spark.housekeeping import Housekeeper, settle_arrivals
from spark.manifest import Manifest
from spark.parquet import read_table
from tests.conftest import Stack
from tests.synthetic_log import SyntheticLog, insert, synthetic_log, update

FILES = 6
VERSIONS = 25


@pytest.fixture
def log(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    yield from synthetic_log(stack.settings, monkeypatch)


def housekeeper(log: SyntheticLog, grace_seconds: float) -> Housekeeper:
    """One that removes what is older than a grace time, and knows no database of the running warehouse."""
    hive = replace(log.settings.hive, warehouse_database=log.settings.mysql.database)
    settings = replace(log.settings, hive=hive, spark=replace(log.settings.spark, grace_seconds=grace_seconds))
    return Housekeeper(settings, log.hdfs, log.versions)


def version(log: SyntheticLog) -> Manifest:
    """What was written, as a version whose files are in their places."""
    manifest = log.compact().manifest
    assert manifest is not None
    settle_arrivals(log.hdfs, manifest)
    return manifest


def archived(log: SyntheticLog, table: str) -> list[list[int]]:
    """The offsets that the archive holds of a table's topic, by file."""
    days = log.versions.newest().archives[table].days.values()
    paths = [f"{day.location}/{entry.name}" for day in days for entry in log.hdfs.list(day.location)]
    return [read_table(log.hdfs.read_bytes(path), path).column("offset").to_pylist() for path in paths]


def test_over_a_long_run_the_files_stay_few_and_the_archive_loses_and_repeats_nothing(log: SyntheticLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_version, "MOST_FILES", FILES)
    keeper, most = housekeeper(log, 0), 0
    for number in range(1, VERSIONS + 1):
        log.commit(number, insert("t", number, "a"), update("t", max(1, number - 1), "b"))
        version(log)
        keeper.tidy()
        most = max(most, len(archived(log, "t")))
    assert most == FILES, "the archive's day was rolled up whenever it had as many files"
    assert sorted(offset for file in archived(log, "t") for offset in file) == list(range(2 * VERSIONS))
    assert log.rows("t") == [(1, "b"), *((number, "b") for number in range(2, VERSIONS)), (VERSIONS, "a")]
    assert log.versions.numbers() == [VERSIONS - 1]
    location = log.versions.newest().tables["t"].partitions[""].location
    folders = log.hdfs.list(location.rpartition("/")[0])
    assert [folder.name for folder in folders] == [location.rpartition("/")[2]], "no older version's folder is left"


def test_a_query_that_began_before_a_version_reads_its_files_until_the_grace_time_is_over(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"))
    before = version(log)
    log.commit(2, update("t", 1, "b"))
    version(log)
    assert housekeeper(log, 600).tidy() == 0
    assert log.rows("t", before) == [(1, "a")]
    assert housekeeper(log, 0).tidy() == 1
    assert (log.rows("t", before), log.rows("t")) == ([], [(1, "b")])
