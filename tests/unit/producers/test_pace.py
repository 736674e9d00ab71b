import pytest

from producers.pace import Meter, Pace

MINUTE = 60


@pytest.mark.parametrize("rate", [0.5, 4, 20, 333, 5000])
def test_a_visitor_acts_as_often_as_the_rate_says(rate: float) -> None:
    pace = Pace(rate, 0.0)
    now = 0.0
    actions = 0
    while now < MINUTE:
        now += pace.wait_seconds(now)
        actions += pace.due(now)
    assert actions == pytest.approx(MINUTE * rate, abs=max(1, rate * 0.02))


def test_there_is_no_burst_after_a_pause() -> None:
    pace = Pace(4, 0.0)
    assert pace.due(3600.0) == 4


def test_a_slow_rate_is_kept_too() -> None:
    pace = Pace(0.1, 0.0)
    assert [pace.due(float(second)) for second in range(1, 21)].count(1) == 2


@pytest.mark.parametrize("rate", [0, -1])
def test_without_a_rate_nothing_is_due(rate: float) -> None:
    pace = Pace(rate, 0.0)
    assert pace.due(1000.0) == 0
    assert pace.wait_seconds(1000.0) == 1.0


def test_the_rate_shown_is_that_of_the_last_seconds() -> None:
    meter = Meter(0.0)
    for second in range(1, 61):
        rate = meter.per_second(50 * second, float(second))
    assert rate == pytest.approx(50)
    for second in range(61, 81):
        rate = meter.per_second(3000, float(second))
    assert rate == 0
