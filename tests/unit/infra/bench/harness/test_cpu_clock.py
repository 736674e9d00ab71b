import pytest

from infra.bench.harness.cpu_clock import interpolate


@pytest.mark.parametrize(
    ("at", "seconds"),
    [(9.0, 1.0), (10.0, 1.0), (10.5, 1.5), (11.5, 2.25), (12.0, 2.5), (13.0, 2.5)],
)
def test_cpu_time_between_two_samples_is_interpolated(at: float, seconds: float) -> None:
    times = [10.0, 11.0, 12.0]
    cpu_seconds = [1.0, 2.0, 2.5]
    assert interpolate(times, cpu_seconds, at) == seconds


def test_without_samples_no_cpu_time_is_known() -> None:
    assert interpolate([], [], 1) == 0
