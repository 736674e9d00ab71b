import pytest

from producers.pace import Meter, Pace


@pytest.mark.parametrize("rate", [0.5, 4, 20, 333, 5000])
def test_a_visitor_acts_as_often_as_the_rate_says(rate):
    pace, now, done = Pace(rate, 0.0), 0.0, 0
    while now < 60:
        now += pace.wait_seconds(now)
        done += pace.due(now)
    assert done == pytest.approx(60 * rate, abs=max(1, rate * 0.02))


def test_nobody_rushes_after_a_pause():
    pace = Pace(4, 0.0)
    assert pace.due(3600.0) == 4


def test_a_slow_rate_is_kept_too():
    pace = Pace(0.1, 0.0)
    assert [pace.due(float(second)) for second in range(1, 21)].count(1) == 2


@pytest.mark.parametrize("rate", [0, -1])
def test_with_no_rate_nothing_happens(rate):
    pace = Pace(rate, 0.0)
    assert pace.due(1000.0) == 0
    assert pace.wait_seconds(1000.0) == 1.0


def test_the_rate_shown_is_that_of_the_last_seconds():
    meter = Meter(0.0)
    shown = [meter.per_second(50 * second, float(second)) for second in range(1, 61)]
    shown += [meter.per_second(3000, float(second)) for second in range(61, 81)]
    assert shown[59] == pytest.approx(50)
    assert shown[-1] == 0
