import pytest

from infra.row_differences import MOST_NAMED, RowDifference, TableOutcome, shown


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (
            RowDifference("orders", "value", {"order_id": "4711"}, {"status": ("paid", None)}, "/v=3/rows.parquet"),
            "orders order_id=4711 differs in status: MySQL 'paid', warehouse NULL (/v=3/rows.parquet)",
        ),
        (RowDifference("orders", "lost", {"order_id": "4711"}), "orders order_id=4711 is in MySQL and not in the warehouse"),
        (RowDifference("orders", "doubled", {"order_id": "4"}, detail="2"), "orders order_id=4 is in the warehouse 2 times"),
        (RowDifference("orders", "partition", {"order_id": "4"}, detail="2026-01-01"), "orders order_id=4 lies in the partition 2026-01-01"),
    ],
)
def test_a_difference_says_the_row_and_what_each_side_has(difference: RowDifference, text: str) -> None:
    assert difference.text() == text


def test_numbers_and_times_are_shown_as_they_are_and_texts_in_quotes() -> None:
    assert (shown("abc"), shown("-12.50"), shown("12:00:00"), shown(""), shown(None)) == ("'abc'", "-12.50", "12:00:00", "''", "NULL")


def test_all_rows_that_differ_count_and_the_first_are_kept() -> None:
    outcome = TableOutcome("orders")
    for number in range(MOST_NAMED + 5):
        outcome.take(RowDifference("orders", "lost", {"order_id": str(number)}))
    assert (outcome.differing, len(outcome.differences), outcome.equal) == (MOST_NAMED + 5, MOST_NAMED, False)


def test_a_table_that_could_not_be_compared_is_not_equal() -> None:
    assert not TableOutcome("notes", unproven="it has no primary key").equal
