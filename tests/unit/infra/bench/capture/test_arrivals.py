import pytest

from infra.bench.capture.arrivals import (
    Curve,
    Progress,
    arrival_rate,
    backlog,
    progress,
    slope,
    total,
)


def changes(time: float) -> float:
    """Return the changes of a MySQL that commits 100 per second from 10.0 to 20.0."""
    return 100 * (min(max(time, 10.0), 20.0) - 10.0)


def test_a_curve_is_zero_before_its_first_entry_and_stays_after_its_last() -> None:
    curve = Curve()
    assert curve.at(5) == 0
    curve.extend([1.0, 2.0], [10, 30])
    curve.extend([3.0], [30])
    assert [curve.at(time) for time in (0.5, 1.5, 2.5, 9)] == [0, 20, 30, 30]
    assert total([curve, Curve([1.0], [5])])(2.0) == 35


def test_probes_that_arrive_together_are_one_step() -> None:
    sent_at = {1: 10.0, 2: 10.1, 3: 10.2, 4: 10.3}
    steps = progress(sent_at, {1: 12.0, 2: 12.0, 3: 15.0})
    assert steps == Progress((12.0, 15.0), (10.1, 10.2))
    assert steps.committed_until(11.9) is None
    assert steps.committed_until(12.0) == 10.1
    assert steps.committed_until(99.0) == 10.2


def test_the_rate_is_that_of_the_changes_between_the_first_and_the_last_arrival() -> None:
    # What was committed from 11 to 20 arrives from 13 to 31: half as fast.
    steps = Progress((13.0, 20.0, 31.0), (11.0, 15.0, 20.0))
    assert arrival_rate(changes, steps) == pytest.approx(50)
    assert arrival_rate(changes, Progress((13.0,), (11.0,))) == 0.0


def test_the_backlog_is_what_is_committed_and_has_not_arrived() -> None:
    steps = Progress((13.0, 15.0), (11.0, 14.0))
    points = backlog(changes, steps, 10.0, [10.0, 12.0, 13.0, 14.0, 15.0])
    assert points == [(10.0, 0), (12.0, 200), (13.0, 200), (14.0, 300), (15.0, 100)]


def test_a_lag_of_versions_that_come_regularly_does_not_grow() -> None:
    # A version every 3 s shows what was committed up to 1 s before.
    arrivals = tuple(float(time) for time in range(0, 300, 3))
    steps = Progress(arrivals, tuple(time - 1 for time in arrivals))
    times = [60 + index / 2 for index in range(360)]
    points = backlog(lambda time: 1000 * time, steps, 0.0, times)
    assert abs(slope(points)) < 10
    late_steps = Progress(arrivals, tuple(0.95 * time - 1 for time in arrivals))
    late_points = backlog(lambda time: 1000 * time, late_steps, 0.0, times)
    assert slope(late_points) == pytest.approx(50, abs=10)


def test_the_slope_of_one_point_is_none() -> None:
    assert slope([]) == slope([(1.0, 5.0)]) == 0.0
    assert slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == pytest.approx(2)
