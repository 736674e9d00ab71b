import random

import pyarrow as pa
import pytest

from infra.verify.warehouse.bucket_checksums import (
    BucketChecksums,
    bucket_count,
    bucket_numbers,
)


def filled(rows: dict[str, str], parts: int = 1, number: int = 64) -> BucketChecksums:
    found = BucketChecksums(number)
    items = list(rows.items())
    for part in range(parts):
        keys, values = zip(*items[part::parts], strict=True)
        found.add_rows(pa.array(keys), pa.array(values))
    return found


ROWS = {str(number): f"{number}|3:row" for number in range(1000)}


def test_the_order_and_the_parts_in_which_rows_come_do_not_matter() -> None:
    shuffled = dict(random.Random(7).sample(list(ROWS.items()), len(ROWS)))
    assert filled(ROWS).differing_buckets(filled(shuffled, parts=3)) == []


@pytest.mark.parametrize("change", ["lost", "doubled", "other", "swapped"])
def test_one_row_that_differs_shows_in_its_bucket(change: str) -> None:
    rows = dict(ROWS)
    if change == "lost":
        del rows["500"]
    elif change == "other":
        rows["500"] = "500|3:Row"
    elif change == "swapped":
        rows["500"], rows["501"] = rows["501"], rows["500"]
    found = filled(rows)
    if change == "doubled":
        found.add_rows(pa.array(["500"]), pa.array([ROWS["500"]]))
    numbers = set(
        bucket_numbers(
            pa.array(["500", "501"] if change == "swapped" else ["500"]), 64
        ).tolist()
    )
    assert set(filled(ROWS).differing_buckets(found)) == numbers


def test_two_doubled_rows_are_seen_though_an_exclusive_or_would_not() -> None:
    found = filled(ROWS)
    found.add_rows(pa.array(["500", "500"]), pa.array([ROWS["500"]] * 2))
    assert filled(ROWS).differing_buckets(found)


def test_what_mysql_counts_adds_up_to_the_same() -> None:
    ours = filled(ROWS, number=64)
    theirs = BucketChecksums(64)
    for number in range(64):
        row = {
            "bucket": number,
            "number": ours.counts[number],
            "xored": int(ours._xors[number]),
            "summed": int(ours._sums[number]) + 2**64,
            "zero_dates": 2,
        }
        theirs.add_bucket(row)
    assert ours.differing_buckets(theirs) == []
    assert theirs.zero_dates == 128


@pytest.mark.parametrize(("rows", "buckets"), [(0, 64), (5_000_000, 8192), (10**12, 65536)])
def test_a_bucket_holds_about_a_thousand_rows(rows: int, buckets: int) -> None:
    assert bucket_count(rows) == buckets
