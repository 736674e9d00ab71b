import pytest

from infra.bench.harness import stall_timer
from infra.bench.harness.stall_timer import StallTimer


def test_the_timer_starts_again_whenever_the_number_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(stall_timer.time, "monotonic", lambda: clock[0])
    timer = StallTimer()
    clock[0] = 107.0
    assert timer.update(0) == 7.0
    assert timer.update(5) == 0.0
    clock[0] = 109.0
    assert timer.update(5) == 2.0
    assert timer.update(6) == 0.0
