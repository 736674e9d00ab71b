"""Transactions by their identifiers, and sets of them."""

import random

import pytest

from schemas.errors import ContractError
from schemas.gtid import GtidSet, gtid_set, split_gtid

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "c9f35290-e862-11f1-b61e-02fc00000001"


@pytest.mark.parametrize(
    "text", ["", f"{A}:1-5", f"{A}:1-5:8", f"{A}:7,{B}:1-3:9-11", f"{A}:1-3,{A}:tag:1-2"]
)
def test_a_set_reads_as_mysql_writes_it(text: str) -> None:
    assert str(gtid_set(text)) == text


def test_a_server_has_numbers_without_and_with_tags() -> None:
    """MySQL 8.3 and later write a server once, with its numbers and then those of each tag."""
    text = f"{A}:1-5:8:tag:1-2:other:7,\n{B}:tag:3"
    assert str(gtid_set(text)) == f"{A}:1-5:8,{A}:other:7,{A}:tag:1-2,{B}:tag:3"


def test_white_space_and_disorder_are_taken_as_mysql_takes_them() -> None:
    assert str(gtid_set(f"{B}:5-9,\n {A}:4-5:1-3 ,{B}:1-4")) == f"{A}:1-5,{B}:1-9"


@pytest.mark.parametrize(
    "text", ["binlog.000001:4", f"{A}", f"{A}:x", "1-5", f"{A}:1-x", f"{A}:1:x"]
)
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        gtid_set(text)


def test_a_gtid_has_an_origin_and_a_number() -> None:
    assert split_gtid(f"{A}:77") == (A, 77)
    assert split_gtid(f"{A}:tag:77") == (f"{A}:tag", 77)
    with pytest.raises(ContractError, match="is no GTID"):
        split_gtid("file=binlog.000002,pos=4")


def test_a_set_holds_just_what_was_added() -> None:
    numbers = random.Random(5).sample(range(1, 200), 90)
    found = GtidSet()
    for start in range(0, 90, 9):
        found = found.with_gtids(f"{A}:{number}" for number in numbers[start : start + 9])
    assert {number for number in range(1, 210) if f"{A}:{number}" in found} == set(numbers)
    assert f"{B}:1" not in found
    assert gtid_set(str(found)) == found
    assert found.last_number(A) == max(numbers)
    assert str(found.without_gaps()) == f"{A}:1-{max(numbers)}"


@pytest.mark.parametrize(
    ("larger", "smaller", "covers"),
    [
        ("1-9", "1-9", True),
        ("1-9", "2-3:5-9", True),
        ("1-9", "1-10", False),
        ("1-4:6-9", "1-9", False),
        ("1-4:6-9", "4:6", True),
        ("5-9", "4-6", False),
        ("5-9", "9-10", False),
    ],
)
def test_a_set_covers_another_only_with_all_of_its_transactions(
    larger: str, smaller: str, covers: bool
) -> None:
    assert gtid_set(f"{A}:{larger}").covers(gtid_set(f"{A}:{smaller}")) is covers
    assert not gtid_set(f"{A}:{larger}").covers(gtid_set(f"{A}:{smaller},{B}:1"))
    assert gtid_set(f"{A}:{larger}").covers(GtidSet())
