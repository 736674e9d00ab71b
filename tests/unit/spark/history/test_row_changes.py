"""How the changes of a row are found, in files of any type and without reading those that cannot
hold one.
"""

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from spark.history.row_changes import RowQuery, key_of, text_of, value_of
from spark.storage.row_group_pruning import RowGroup

AT = datetime(2026, 3, 29, tzinfo=UTC)
ID = ("id",)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (5, pa.int64()),
        (2**64 - 1, pa.uint64()),
        ("ż,'", pa.string()),
        (b"\x00\xff", pa.binary()),
        (Decimal("18446744073709551615"), pa.decimal128(20, 0)),
        (AT, pa.timestamp("us", tz="UTC")),
        (date(2024, 2, 29), pa.date32()),
        (True, pa.bool_()),
    ],
)
def test_a_key_reads_the_same_from_its_text(value: Any, kind: pa.DataType) -> None:
    read = value_of(text_of(value), kind)
    assert read is not None
    assert read.as_py() == value


def test_a_text_that_is_no_value_of_a_column_is_found_nowhere() -> None:
    for text, kind in (
        ("x", pa.int64()),
        ("zz", pa.binary()),
        ("soon", pa.timestamp("us", tz="UTC")),
        ("1.x", pa.decimal128(5, 2)),
    ):
        assert value_of(text, kind) is None
    assert key_of({"id": None}, ID) is None


def archived(ids: list[int]) -> pa.Table:
    """Rows as the archive has them: what tells whether they are wanted."""
    count = len(ids)
    return pa.table(
        {
            "partition": [0] * count,
            "offset": range(count),
            "op": ["u"] * count,
            "binlog_file": ["b.000001"] * count,
            "binlog_pos": range(count),
            "binlog_row": [0] * count,
            "key": pa.nulls(count, pa.binary()),
            "error": pa.nulls(count, pa.string()),
            "before": [None if one % 3 == 0 else {"id": one} for one in ids],
            "after": [{"id": one + 1} for one in ids],
        }
    )


def test_just_the_wanted_rows_are_picked_and_no_row_group_that_holds_one_is_passed_over() -> (
    None
):
    chance = random.Random(7)
    for _ in range(200):
        ids = [chance.randrange(40) for _ in range(6)]
        rows = archived(ids)
        key = chance.randrange(42)
        wanted = RowQuery(ID, frozenset({(str(key),)}))
        picked = wanted.mask(rows).to_pylist()
        assert picked == [one + 1 == key or (one == key and one % 3 != 0) for one in ids]
        before = [one for one in ids if one % 3]
        spans = {"after.id": (min(ids) + 1, max(ids) + 1), "op": ("u", "u")} | (
            {"before.id": (min(before), max(before))} if before else {}
        )
        group = RowGroup(
            6, spans, frozenset({"error"} if before else {"error", "before.id"})
        )
        assert wanted.may_match(group) or not any(picked)


def test_a_row_group_may_match_by_truncate_undecodable_record_or_half_of_a_changed_key() -> (
    None
):
    spans = {
        "op": ("c", "u"),
        "after.id": (1, 9),
        "before.id": (1, 9),
        "binlog_file": ("b.000001", "b.000002"),
        "binlog_pos": (5, 90),
    }
    far = frozenset({("99",)})
    assert not RowQuery(ID, far).may_match(RowGroup(5, spans, frozenset({"error"})))
    assert RowQuery(ID, far).may_match(
        RowGroup(5, {**spans, "op": ("c", "t")}, frozenset({"error"}))
    )
    assert RowQuery(ID, far, frozenset({b"k"})).may_match(RowGroup(5, spans, frozenset()))
    assert RowQuery(ID, far, positions=frozenset({("b.000001", 50, 0)})).may_match(
        RowGroup(5, spans, frozenset({"error"}))
    )
    assert not RowQuery(ID, far, positions=frozenset({("b.000001", 95, 0)})).may_match(
        RowGroup(5, spans, frozenset({"error"}))
    )
    assert not RowQuery(ID, frozenset({("x",)})).may_match(
        RowGroup(5, spans, frozenset({"error"}))
    ), "no number"
