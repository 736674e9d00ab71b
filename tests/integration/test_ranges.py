"""A large table in files by ranges of its keys, in HDFS.

It has the same rows as in one file, and few changes rewrite few files.
"""

import itertools
from collections.abc import Iterator
from random import Random

import pyarrow as pa
import pytest

from schemas.errors import WarehouseError
from schemas.manifest import HivePartition
from spark.merge import partition_files
from spark.storage import key_ranges
from spark.storage.parquet import read_row_groups, read_table
from tests.conftest import Stack
from tests.synthetic_log import Event, SyntheticLog, delete, insert, synthetic_log, update


@pytest.fixture
def log(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    monkeypatch.setattr(key_ranges, "RANGE_ROWS", 20)
    yield from synthetic_log(stack.settings, monkeypatch)


KeySpan = tuple[int, int]  # the lowest and the highest key


def partition(log: SyntheticLog) -> HivePartition:
    """Return the only partition of the table in the newest version."""
    return log.versions.newest().tables["t"].partitions[""]


def files(log: SyntheticLog) -> dict[KeySpan, bytes]:
    """Return the content of the table's files by their keys."""
    content = {}
    folder = partition(log).location
    for key_range in partition(log).ranges:
        span = (key_range.lowest_key, key_range.highest_key)
        content[span] = log.hdfs.read_bytes(f"{folder}/{key_range.file}")
    return content


def random_changes(random: Random, rows: dict[int, str], number: int) -> list[Event]:
    """Return changes of old and new keys, and apply them to the rows."""
    events = []
    for key in random.sample(range(1, 60 + 15 * number), 12 + 4 * number):
        if key not in rows:
            rows[key] = f"new {number}"
            events.append(insert("t", key, rows[key]))
        elif random.random() < 0.4:
            del rows[key]
            events.append(delete("t", key))
        else:
            rows[key] = f"changed {number}"
            events.append(update("t", key, rows[key]))
    return events


def assert_partition_is_consistent(log: SyntheticLog, rows: int) -> None:
    """Fail unless the manifest states the real files, and each file has the keys of its range."""
    part = partition(log)
    spans = [(key_range.lowest_key, key_range.highest_key) for key_range in part.ranges]
    for lower, upper in itertools.pairwise(spans):
        assert lower[1] < upper[0], "ranges do not overlap"
    names = [entry.name for entry in log.hdfs.list(part.location)]
    assert (part.rows, part.files) == (rows, len(names))
    files_of_ranges = sorted(key_range.file for key_range in part.ranges)
    assert files_of_ranges == (names if spans else [])
    for span, data in files(log).items():
        keys = read_table(data, "/f").column("id").to_pylist()
        assert (min(keys), max(keys)) == span


def test_a_table_that_grows_into_ranges_and_shrinks_again_has_the_right_rows(
    log: SyntheticLog,
) -> None:
    random = Random(11)
    rows = dict[int, str]()
    range_counts = []
    for number in range(1, 13):
        log.commit(number, *random_changes(random, rows, number))
        log.compact()
        assert log.rows("t") == sorted(rows.items())
        assert_partition_is_consistent(log, len(rows))
        range_counts.append(len(partition(log).ranges))
    assert max(range_counts) >= 4
    log.commit(13, *(delete("t", key) for key in list(rows)[10:]))
    log.compact()
    first_key = next(iter(rows))
    log.commit(14, update("t", first_key, "last"))
    log.compact()
    assert partition(log).ranges == (), "one file is enough again"
    rows_at_the_end = dict(log.rows("t"))
    assert len(rows_at_the_end) == 10
    assert rows_at_the_end[first_key] == "last"


@pytest.fixture
def eighty_rows(log: SyntheticLog) -> SyntheticLog:
    """A log with a version of four ranges."""
    log.commit(1, *(insert("t", key, "a") for key in range(1, 81)))
    log.compact()
    assert len(partition(log).ranges) == 4
    return log


def test_a_change_copies_the_files_of_other_ranges_without_reading_their_rows(
    eighty_rows: SyntheticLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = eighty_rows
    before = files(log)
    file_of_span = {
        (key_range.lowest_key, key_range.highest_key): key_range.file
        for key_range in partition(log).ranges
    }
    read_files = list[str]()

    def note_and_read(data: bytes, path: str) -> Iterator[pa.Table]:
        read_files.append(path.rpartition("/")[2])
        return read_row_groups(data, path)

    monkeypatch.setattr(partition_files, "read_row_groups", note_and_read)
    log.commit(2, update("t", 30, "b"))
    log.compact()
    after = files(log)
    assert before.keys() == after.keys()
    assert [span for span in before if before[span] != after[span]] == [(21, 40)]
    assert read_files == [file_of_span[21, 40]]
    assert dict(log.rows("t")) == {**dict.fromkeys(range(1, 81), "a"), 30: "b"}


def test_a_file_that_has_lost_its_end_is_not_copied_into_a_version(
    eighty_rows: SyntheticLog,
) -> None:
    log = eighty_rows
    part = partition(log)
    first = part.ranges[0]
    path = f"{part.location}/{first.file}"
    log.hdfs.write_bytes(path, log.hdfs.read_bytes(path)[:-1])
    log.commit(2, update("t", 30, "b"))
    message = f"{first.file} has {first.size - 1} bytes, and the manifest states"
    with pytest.raises(WarehouseError, match=message):
        log.compact()
    assert partition(log) == part
