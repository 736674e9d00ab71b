"""The tables of a generation as columns: read in token ranges, and put into the places of rows."""

from typing import Any

import numpy as np
import pytest

from infra.verify.counts.cassandra_columns import TOKEN_RANGES, Tables, rows_of
from schemas import count_tables

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def columns(*values: int) -> list[Any]:
    return [np.array([value], np.int64) for value in values]


@pytest.mark.parametrize(
    ("view", "stored", "row"),
    [
        (count_tables.VIEWERS, columns(7, NOON, 2, 41, 14), [7, NOON, 2, 41, 14]),
        (count_tables.PRODUCT_VIEWS_TOTAL, columns(7, 2, 41, 14), [7, 0, 2, 41, 14]),
        (count_tables.TOP_PRODUCTS, columns(NOON, 2, 41, 14), [0, NOON, 2, 41, 14]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_columns_from_cassandra_get_to_their_places(
    view: count_tables.View, stored: list[Any], row: list[int]
) -> None:
    found = rows_of(view, stored)
    assert [int(column[0]) for column in vars(found).values()] == row


class Answer:
    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows = rows


class Session:
    """Answers the first token range with rows and the others with none."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.ranges: list[list[int]] = []
        self.statements: set[str] = set()
        self._rows = rows

    def execute(self, statement: str, parameters: list[int]) -> Answer:
        self.statements.add(statement)
        self.ranges.append(parameters)
        return Answer(self._rows if len(self.ranges) == 1 else [])


def test_a_table_is_read_in_token_ranges_that_leave_no_row_out() -> None:
    session = Session([(NOON, 2, [(7, 3), (9, 1)], 14), (NOON, 3, None, 15)])
    tables = Tables(session, "ecommerce_1")  # type: ignore[arg-type]
    created_at, partitions, products, last_offsets = tables.columns(
        count_tables.TOP_PRODUCTS
    )
    assert created_at.tolist() == [NOON, NOON]
    assert partitions.tolist() == [2, 3]
    assert products.tolist() == [((7, 3), (9, 1)), ()]
    assert last_offsets.tolist() == [14, 15]
    assert tables.rows == 2
    assert len(session.ranges) == TOKEN_RANGES
    assert (session.ranges[0][0], session.ranges[-1][1]) == (-(2**63), 2**63 - 1)
    ends = [upto for _, upto in session.ranges[:-1]]
    assert ends == [after for after, _ in session.ranges[1:]]
    assert session.statements == {
        "SELECT toUnixTimestamp(created_at), kafka_partition, products, last_offset FROM "
        "ecommerce_1.top_products WHERE token(created_at) > %s AND token(created_at) <= %s"
    }


def test_a_null_number_is_minus_one_and_bytes_are_not_read() -> None:
    session = Session([(7, NOON, 2, None, 14)])
    tables = Tables(session, "ecommerce_1")  # type: ignore[arg-type]
    stored = tables.columns(count_tables.VIEWERS)
    assert [column.tolist() for column in stored] == [[7], [NOON], [2], [-1], [14]]
    assert "sketch" not in session.statements.pop()
