"""Which files of a folder are the manifest's: by name, or by their number, sizes and ages."""

from dataclasses import replace

import pytest

from connectors.hadoop.folder_contents import (
    COMPACTOR_NAME,
    StatedFiles,
    match_folder,
    stated_folders,
)
from connectors.hadoop.hdfs import Entry
from schemas.manifest import (
    EMPTY_MANIFEST,
    HivePartition,
    LakeDay,
    LakeTable,
    PartitionFile,
    PublishedTable,
)

ONE = StatedFiles(count=1, size=10)
TWO = StatedFiles(count=2, size=30)
RANGES = StatedFiles(
    count=2, size=30, sizes={"rows-0000.parquet": 10, "rows-0001.parquet": 20}
)
DAY = StatedFiles(count=2, size=None)
EMPTY_DAY = StatedFiles(count=0, size=None)


def file(name: str, size: int, changed_at: float = 1.0) -> Entry:
    return Entry(name, False, size, changed_at)


ROWS = file("rows.parquet", 10)
LOW = file("rows-0000.parquet", 10)
HIGH = file("rows-0001.parquet", 20)
INSERTED = file("000000_0", 7, 9.0)
BESIDE = file("extra.parquet", 7, 9.0)
FOLDER = Entry("sub", True, 0, 9.0)
STAGING = Entry(".hive-staging_1", True, 0, 9.0)
COPY = file("copy.parquet", 10, 9.0)
OURS_LOOKALIKE = file("rows-0007.parquet", 7, 9.0)
ARCHIVED = file("orders-s7-5f3a09c4e1b2.parquet", 5)
ROLLED = file("rolled-0.parquet", 50)

# what is stated, the entries, those that are ours, those that are foreign, the damage
CASES: dict[str, tuple[StatedFiles, list[Entry], list[Entry], list[Entry], str]] = {
    "the file alone": (ONE, [ROWS], [ROWS], [], ""),
    "hidden entries are nobody's": (ONE, [ROWS, STAGING], [ROWS], [], ""),
    "a row by Hive": (ONE, [INSERTED, ROWS], [ROWS], [INSERTED], ""),
    "a file beside": (ONE, [BESIDE, ROWS], [ROWS], [BESIDE], ""),
    "a folder": (ONE, [ROWS, FOLDER], [ROWS], [FOLDER], ""),
    "a copy of the file": (ONE, [COPY, ROWS], [ROWS], [COPY], ""),
    "a file with a name as ours": (
        ONE,
        [ROWS, OURS_LOOKALIKE],
        [ROWS],
        [OURS_LOOKALIKE],
        "",
    ),
    "a newer file with name and size as ours": (
        ONE,
        [ROWS, replace(OURS_LOOKALIKE, size=10)],
        [ROWS],
        [replace(OURS_LOOKALIKE, size=10)],
        "",
    ),
    "names that we never gave": (ONE, [file("f", 10)], [file("f", 10)], [], ""),
    "such names, and a file beside": (
        ONE,
        [file("f", 10), INSERTED],
        [file("f", 10)],
        [INSERTED],
        "",
    ),
    "no file": (ONE, [], [], [], "0 files of 0 bytes"),
    "another size": (
        ONE,
        [file("rows.parquet", 9)],
        [file("rows.parquet", 9)],
        [],
        "1 file of 9 bytes",
    ),
    "overwritten by Hive": (ONE, [INSERTED], [], [INSERTED], "0 files of 0 bytes"),
    "facts": (
        TWO,
        [file("1-a.parquet", 10), file("2-b.parquet", 20)],
        [file("1-a.parquet", 10), file("2-b.parquet", 20)],
        [],
        "",
    ),
    "facts, one missing": (
        TWO,
        [file("1-a.parquet", 10)],
        [file("1-a.parquet", 10)],
        [],
        "1 file of 10 bytes",
    ),
    "ranges": (RANGES, [LOW, HIGH], [LOW, HIGH], [], ""),
    "ranges, one too many": (
        RANGES,
        [LOW, HIGH, OURS_LOOKALIKE],
        [LOW, HIGH],
        [OURS_LOOKALIKE],
        "",
    ),
    "ranges, one missing": (RANGES, [HIGH], [HIGH], [], "rows-0000.parquet is missing"),
    "ranges, one cut off": (
        RANGES,
        [LOW, replace(HIGH, size=3)],
        [LOW, replace(HIGH, size=3)],
        [],
        "rows-0001.parquet has 3 bytes instead of 20",
    ),
    "the archive": (DAY, [ARCHIVED, ROLLED], [ARCHIVED, ROLLED], [], ""),
    "the archive, a file beside": (
        DAY,
        [ARCHIVED, BESIDE, ROLLED],
        [ARCHIVED, ROLLED],
        [BESIDE],
        "",
    ),
    "the archive, one missing": (DAY, [ROLLED], [ROLLED], [], "1 file"),
    "an empty day of the archive": (EMPTY_DAY, [], [], [], ""),
}


@pytest.mark.parametrize(
    ("stated", "entries", "ours", "foreign", "damage"), CASES.values(), ids=CASES
)
def test_the_manifests_files_are_told_from_others(
    stated: StatedFiles,
    entries: list[Entry],
    ours: list[Entry],
    foreign: list[Entry],
    damage: str,
) -> None:
    match = match_folder(stated, entries)
    assert list(match.manifest_files) == ours
    assert list(match.foreign) == foreign
    assert match.damage == damage


@pytest.mark.parametrize(
    "name",
    [
        "rows.parquet",
        "rows-0001.parquet",
        "rows-0001-0002.parquet",
        "12-5f3a09c4.parquet",
        "12-0001.parquet",
        "rolled-3.parquet",
        "proof_parts-s12-5f3a09c4e1b2.parquet",
    ],
)
def test_names_that_the_compactor_gives_are_known(name: str) -> None:
    assert COMPACTOR_NAME.fullmatch(name)
    assert not COMPACTOR_NAME.fullmatch(f"x {name}")


def test_a_version_states_the_files_of_every_folder() -> None:
    ranges = (PartitionFile("a", 1, 3, 1, 1), PartitionFile("b", 1, 4, 2, 2))
    partition = HivePartition(location="/o/1", rows=2, size=7, files=2, ranges=ranges)
    table = PublishedTable(
        topic="cdc.shop.orders",
        kind="changes",
        columns=(),
        key=("id",),
        partition_column="day",
        schema_id=1,
        version=1,
        gtid="",
        partitions={"1": partition},
    )
    manifest = replace(
        EMPTY_MANIFEST,
        tables={"orders": table},
        archives={"orders": LakeTable("t", (), {"d": LakeDay("/l/d", 5)})},
    )
    assert stated_folders(manifest) == {
        "/o/1": StatedFiles(count=2, size=7, sizes={"a": 3, "b": 4}),
        "/l/d": StatedFiles(count=5, size=None),
    }
    texts = [stated.text() for stated in stated_folders(manifest).values()]
    assert texts == ["2 files of 7 bytes", "5 files"]
