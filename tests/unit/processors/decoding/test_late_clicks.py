"""Which clicks are too late, or have an absurd time, to be counted."""

import pytest

from processors.decoding.late_clicks import TimeRule

LOGGED_MS = 1_800_000_000_000
RULE = TimeRule(horizon_ms=60_000, ahead_ms=1_000)


@pytest.mark.parametrize(
    ("viewed_ms", "reason"),
    [
        (LOGGED_MS, ""),
        (LOGGED_MS - 60_000, ""),
        (LOGGED_MS - 60_001, "late: "),
        (LOGGED_MS + 1_000, ""),
        (LOGGED_MS + 1_001, "absurd time: "),
        (10**18, "absurd time: "),
    ],
)
def test_a_time_counts_within_the_horizon(viewed_ms: int, reason: str) -> None:
    rejection = RULE.rejection(viewed_ms, LOGGED_MS)
    assert rejection.startswith(reason)
    assert bool(rejection) is bool(reason)
    assert RULE.is_late(viewed_ms, LOGGED_MS) is reason.startswith("late")
