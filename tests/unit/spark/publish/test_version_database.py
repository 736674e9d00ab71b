"""Which versions can be read as a database. How Hive reads one is in tests/integration."""

import re
from dataclasses import replace

import pytest

from schemas.errors import Refused
from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, Manifest
from spark.publish.version_database import VERSION_OF_FILE, retained_manifest


class Versions:
    """Some retained versions. Version 6 has a part of a snapshot."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = list(numbers)

    def numbers(self) -> list[int]:
        return self._numbers

    def read(self, number: int) -> Manifest:
        snapshot = (
            DebeziumSnapshot(id="binlog.000002:4", version=6, transactions_end=0, tables=())
            if number == 6
            else None
        )
        return replace(EMPTY_MANIFEST, version=number, snapshot=snapshot)

    def newest(self) -> Manifest:
        return self.read(self._numbers[-1])


def test_a_retained_version_is_read() -> None:
    assert retained_manifest(Versions(5, 6, 7), 7).version == 7


@pytest.mark.parametrize(
    ("numbers", "number", "reason"),
    [
        ((), 1, "version 1 is not kept: there is no version yet"),
        ((5, 6, 7), 4, "version 4 is not kept: versions 5 to 7 can be read"),
        ((5, 6, 7), 8, "version 8 is not kept: versions 5 to 7 can be read"),
        ((5, 6, 7), 6, "version 6 has a part of a snapshot"),
    ],
)
def test_a_version_that_cannot_be_read_is_refused_with_the_reason(
    numbers: tuple[int, ...], number: int, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        retained_manifest(Versions(*numbers), number)


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("hdfs://h/w/productview/d=1/v=3-a/12-a1b2.parquet", "12"),
        ("hdfs://h/w/productview/d=1/v=3-a/3-0001.parquet", "3"),
        ("hdfs://h/w/productview/d=1/v=3-a/rows.parquet", None),
    ],
)
def test_a_file_of_facts_names_the_version_that_added_it(
    file: str, version: str | None
) -> None:
    pattern = re.search("'(/.*?)'", VERSION_OF_FILE)
    assert pattern
    match = re.search(pattern[1], file)
    assert (match[1] if match else None) == version
