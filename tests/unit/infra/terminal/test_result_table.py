import json
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from infra.terminal.result_table import (
    ResultTable,
    as_aligned_text,
    as_csv,
    as_json,
    plain,
    show,
)

WINDOWS = ResultTable(
    ["created_at", "views"],
    [
        (datetime(2026, 3, 1, 12, 0, 10), 12),
        (datetime(2026, 3, 1, 12, 0, 0), 5),
        (None, None),
    ],
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 3, 1, 12), "2026-03-01T12:00:00Z"),
        (datetime(2026, 3, 1, 12, 0, 0, 250_000), "2026-03-01T12:00:00.250000Z"),
        (
            datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))),
            "2026-03-01T10:00:00Z",
        ),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00Z"),
        (date(2026, 3, 1), "2026-03-01"),
        (Decimal("0.10"), "0.10"),
        (Decimal("1E+2"), "100"),
        (b"\x00\xff", "0x00ff"),
        (float("nan"), None),
        (2**63, 2**63),
        (True, True),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"a": [Decimal("1.5"), None]}, {"a": ["1.5", None]}),
        (frozenset({1}), [1]),
    ],
)
def test_values_of_any_store_become_plain_json(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_json_is_a_list_of_objects() -> None:
    assert json.loads(as_json(WINDOWS))[1:] == [
        {"created_at": "2026-03-01T12:00:00Z", "views": 5},
        {"created_at": None, "views": None},
    ]
    assert json.loads(as_json(ResultTable([], []))) == []


def test_csv_has_a_header_and_quotes_what_needs_it() -> None:
    answer = ResultTable(["name", "views"], [('Kettle, "red"', 3), (None, 4)])
    assert as_csv(answer) == 'name,views\n"Kettle, ""red""",3\n,4\n'


def test_a_table_for_a_pipe_is_aligned_text() -> None:
    assert as_aligned_text(WINDOWS).splitlines() == [
        "created_at            views",
        "--------------------  -----",
        "2026-03-01T12:00:10Z     12",
        "2026-03-01T12:00:00Z      5",
        "NULL                   NULL",
    ]


def test_a_table_without_rows_still_names_its_columns() -> None:
    assert as_aligned_text(ResultTable(["views"], [])).splitlines() == ["views", "-----"]


def test_that_rows_were_left_out_is_said_beside_the_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(ResultTable(["views"], [(1,), (2,)], cut=True), "csv")
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "views\n1\n2\n",
        "only the first 2 rows; --max-rows gives more\n",
    )
