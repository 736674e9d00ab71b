"""Which versions readers can ask for."""

from dataclasses import replace

import pytest

from schemas.errors import Refused
from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, Manifest
from spark.publish.retained_manifest import newest_whole_manifest, retained_manifest


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


@pytest.mark.parametrize(("numbers", "newest"), [((5, 6), 5), ((5, 6, 7), 7)])
def test_the_newest_version_for_readers_has_no_part_of_a_snapshot(
    numbers: tuple[int, ...], newest: int
) -> None:
    assert newest_whole_manifest(Versions(*numbers)).version == newest


@pytest.mark.parametrize("numbers", [(), (6,)])
def test_without_a_whole_version_there_is_nothing_to_read(numbers: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match="no version"):
        newest_whole_manifest(Versions(*numbers))
