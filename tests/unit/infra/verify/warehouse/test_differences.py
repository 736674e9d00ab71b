import pytest

from infra.verify.warehouse.differences import (
    MAX_DIFFERENCES_PER_TABLE,
    RowDifference,
    TableOutcome,
    shown_value,
)


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (
            RowDifference(
                table="orders",
                wrong="value",
                key={"order_id": "4711"},
                columns={"status": ("paid", None)},
                file="/v=3/rows.parquet",
            ),
            "orders order_id=4711 differs in status: MySQL 'paid', warehouse NULL "
            "(/v=3/rows.parquet)",
        ),
        (
            RowDifference(table="orders", wrong="lost", key={"order_id": "4711"}),
            "orders order_id=4711 is in MySQL and not in the warehouse",
        ),
        (
            RowDifference(table="orders", wrong="ghost", key={"order_id": "4711"}),
            "orders order_id=4711 is in the warehouse and not in MySQL",
        ),
        (
            RowDifference(
                table="orders", wrong="doubled", key={"order_id": "4"}, detail="2"
            ),
            "orders order_id=4 is in the warehouse 2 times",
        ),
        (
            RowDifference(
                table="orders",
                wrong="partition",
                key={"order_id": "4"},
                detail="2026-01-01",
            ),
            "orders order_id=4 lies in the partition 2026-01-01",
        ),
        (
            RowDifference(
                table="orders", wrong="file", file="/rows.parquet", detail="is torn"
            ),
            "orders is torn (/rows.parquet)",
        ),
    ],
)
def test_a_difference_says_the_row_and_what_each_side_has(
    difference: RowDifference, text: str
) -> None:
    assert difference.text() == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "'abc'"),
        ("-12.50", "-12.50"),
        ("12:00:00", "12:00:00"),
        ("", "''"),
        (None, "NULL"),
    ],
)
def test_numbers_and_times_are_shown_as_they_are_and_texts_in_quotes(
    value: str | None, text: str
) -> None:
    assert shown_value(value) == text


def test_all_rows_that_differ_count_and_the_first_are_kept() -> None:
    outcome = TableOutcome("orders")
    for number in range(MAX_DIFFERENCES_PER_TABLE + 5):
        key = {"order_id": str(number)}
        outcome.add_difference(RowDifference(table="orders", wrong="lost", key=key))
    assert outcome.differing == MAX_DIFFERENCES_PER_TABLE + 5
    assert len(outcome.differences) == MAX_DIFFERENCES_PER_TABLE
    assert not outcome.equal


def test_a_table_that_could_not_be_compared_is_not_equal() -> None:
    assert not TableOutcome("notes", unproven="it has no primary key").equal
