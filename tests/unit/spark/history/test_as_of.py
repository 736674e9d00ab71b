"""Which kept version stands for a moment or a transaction."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.errors import Refused, UsageError
from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, Manifest
from spark.history.as_of import version_as_of

ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
PART = DebeziumSnapshot(id="b:4", version=13, transactions_end=0, tables=())


class Kept:
    """Versions 11 to 20, one a minute from 11:01 on, each with ten transactions more; 13 and 14
    hold a part of a snapshot.
    """

    def __init__(self, first: int = 11, count: int = 10) -> None:
        self._numbers = list(range(first, first + count))
        self.read_ones: list[int] = []

    def numbers(self) -> list[int]:
        return self._numbers

    def read(self, number: int) -> Manifest:
        self.read_ones.append(number)
        at = f"2026-03-29T11:{number - 10:02}:00.000+00:00"
        snapshot = PART if number in (13, 14) else None
        return replace(
            EMPTY_MANIFEST,
            version=number,
            previous=number - 1 if number else None,
            created_at=at,
            gtid=f"{ORIGIN}:1-{10 * number}",
            snapshot=snapshot,
        )

    def newest(self) -> Manifest:
        return self.read(self._numbers[-1])


def as_of(text: str, kept: Any = None) -> int:
    return version_as_of(kept or Kept(), text, NOW).version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2026-03-29T11:01:00", 11),
        ("2026-03-29T11:01:59.999", 11),
        ("2026-03-29T11:02:00+00:00", 12),
        ("2026-03-29T13:02:30+02:00", 12),
        ("2026-03-29T11:04:30", 12),
        ("2026-03-29T11:05:00", 15),
        ("50m", 20),
        ("51m", 19),
        ("3540s", 11),
        ("2027-01-01", 20),
    ],
)
def test_a_time_stands_for_the_newest_whole_version_that_was_committed_by_then(
    text: str, version: int
) -> None:
    assert as_of(text) == version


@pytest.mark.parametrize(
    ("number", "version"),
    [(110, 11), (111, 12), (120, 12), (121, 15), (131, 15), (151, 16), (200, 20)],
)
def test_a_transaction_stands_for_the_first_whole_version_that_holds_it(
    number: int, version: int
) -> None:
    assert as_of(f"{ORIGIN}:{number}") == version
    assert as_of(f"{ORIGIN.upper()}:1-{number}") == version


@pytest.mark.parametrize("text", ["2026-03-29T11:00:59", "2d", f"{ORIGIN}:109"])
def test_a_point_before_the_kept_versions_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(
        Refused,
        match=r"versions 11 to 20 are, of 2026-03-29T11:01:00.000\+00:00 to "
        r"2026-03-29T11:10:00.000",
    ) as refusal:
        as_of(text)
    assert "replay warehouse --to" in refusal.value.hint


def test_the_very_first_version_is_the_first_with_all_it_holds() -> None:
    class FromTheStart(Kept):
        def read(self, number: int) -> Manifest:
            found = super().read(number)
            return replace(found, previous=None) if number == 11 else found

    assert as_of(f"{ORIGIN}:5", FromTheStart()) == 11


def test_a_transaction_that_no_version_holds_yet_is_refused() -> None:
    with pytest.raises(Refused, match=f"{ORIGIN}:201 is in no version yet"):
        as_of(f"{ORIGIN}:201")
    with pytest.raises(Refused, match="is in no version yet"):
        as_of("3e11fa47-71ca-11e1-9e33-c80aa9429563:1")


@pytest.mark.parametrize("text", ["yesterday", "10", "a:5", ""])
def test_what_is_neither_time_nor_gtid_is_a_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="is neither a time nor a GTID"):
        as_of(text)


def test_a_search_among_many_versions_reads_few_of_them() -> None:
    kept = Kept(11, 49)
    as_of("2026-03-29T11:30:00", kept)
    assert len(kept.read_ones) < 10
