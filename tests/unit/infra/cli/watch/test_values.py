from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from infra.cli.watch.values import age, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 1, 14, tzinfo=UTC), "2026-01-01T14:00:00.000Z"),
        (datetime(2026, 1, 1, 14), "2026-01-01T14:00:00"),
        (date(2026, 1, 1), "2026-01-01"),
        (timedelta(hours=1), "1:00:00"),
        (Decimal("0.10"), "0.10"),
        (b"\x01", "01"),
    ],
)
def test_values_are_plain(value, expected):
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0ms"),
        (999, "999ms"),
        (4_200, "4.2s"),
        (720_000, "12m"),
        (10_800_000, "3h"),
        (172_800_000, "2d"),
    ],
)
def test_an_age_is_in_the_unit_that_says_something(ms, text):
    assert age(ms) == text
