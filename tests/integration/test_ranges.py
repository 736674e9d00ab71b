"""A large table's files by ranges of its keys, in HDFS: the same rows as without them, and few files written anew for few changes."""

import itertools
from collections.abc import Iterator
from random import Random

import pyarrow as pa
import pytest

from infra.errors import WarehouseError
from spark import ranges, rewrite
from spark.manifest import HivePartition
from spark.parquet import read_table, row_groups
from tests.conftest import Stack
from tests.synthetic_log import Event, SyntheticLog, delete, insert, synthetic_log, update


@pytest.fixture
def log(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    monkeypatch.setattr(ranges, "RANGE_ROWS", 20)
    yield from synthetic_log(stack.settings, monkeypatch)


def held(log: SyntheticLog) -> HivePartition:
    return log.versions.newest().tables["t"].partitions[""]


def files(log: SyntheticLog) -> dict[tuple[int, int], bytes]:
    """The content of the table's files by their lowest and highest key."""
    return {(one.lowest_key, one.highest_key): log.hdfs.read_bytes(f"{held(log).location}/{one.file}") for one in held(log).ranges}


def some(random: Random, present: dict[int, str], number: int) -> list[Event]:
    """Changes of a shop's day: among keys old and new, gone and back."""
    events = []
    for key in random.sample(range(1, 60 + 15 * number), 12 + 4 * number):
        if key not in present:
            present[key] = f"new {number}"
            events.append(insert("t", key, present[key]))
        elif random.random() < 0.4:
            del present[key]
            events.append(delete("t", key))
        else:
            present[key] = f"changed {number}"
            events.append(update("t", key, present[key]))
    return events


def test_a_table_grows_through_ranges_and_has_the_rows_that_it_should(log: SyntheticLog) -> None:
    random, present, most = Random(11), dict[int, str](), 0
    for number in range(1, 13):
        log.commit(number, *some(random, present, number))
        log.compact()
        assert log.rows("t") == sorted(present.items())
        part, spans = held(log), [(one.lowest_key, one.highest_key) for one in held(log).ranges]
        names = [entry.name for entry in log.hdfs.list(part.location)]
        assert all(one[1] < other[0] for one, other in itertools.pairwise(spans)), "ranges do not meet"
        assert (part.rows, part.files, sorted(one.file for one in part.ranges)) == (len(present), len(names), names if spans else [])
        for span, data in files(log).items():
            keys = read_table(data, "/f").column("id").to_pylist()
            assert (min(keys), max(keys)) == span
        most = max(most, len(spans))
    assert most >= 4
    log.commit(13, *(delete("t", key) for key in list(present)[10:]))
    log.compact()
    log.commit(14, update("t", kept := next(iter(present)), "last"))
    log.compact()
    assert (held(log).ranges, dict(log.rows("t"))[kept], len(log.rows("t"))) == ((), "last", 10), "one file is enough again"


def test_a_change_copies_the_files_of_other_ranges_without_looking_into_them(log: SyntheticLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.commit(1, *(insert("t", key, "a") for key in range(1, 81)))
    log.compact()
    before, opened = files(log), list[str]()
    of_30 = next(one.file for one in held(log).ranges if one.lowest_key <= 30 <= one.highest_key)

    def noted(data: bytes, path: str) -> Iterator[pa.Table]:
        opened.append(path.rpartition("/")[2])
        return row_groups(data, path)

    monkeypatch.setattr(rewrite, "row_groups", noted)
    log.commit(2, update("t", 30, "b"))
    log.compact()
    after = files(log)
    assert len(before) == 4 and before.keys() == after.keys()
    assert ([span for span in before if before[span] != after[span]], opened) == ([(21, 40)], [of_30])
    assert dict(log.rows("t")) == {**dict.fromkeys(range(1, 81), "a"), 30: "b"}


def test_a_file_that_has_lost_its_end_is_not_copied_into_a_version(log: SyntheticLog) -> None:
    log.commit(1, *(insert("t", key, "a") for key in range(1, 81)))
    log.compact()
    part = held(log)
    path = f"{part.location}/{part.ranges[0].file}"
    log.hdfs.write_bytes(path, log.hdfs.read_bytes(path)[:-1])
    log.commit(2, update("t", 30, "b"))
    with pytest.raises(WarehouseError, match=f"{part.ranges[0].file} has {part.ranges[0].size - 1} bytes, and the manifest states"):
        log.compact()
    assert held(log) == part
