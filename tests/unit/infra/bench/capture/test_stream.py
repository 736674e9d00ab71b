import threading
from typing import Any

from infra.bench.capture.arrivals import Curve
from infra.bench.capture.stream import SLICE_SECONDS, _ask, _times


class Worker:
    """A writer that commits 10 changes per second, and one that is told to stop."""

    def __init__(self, stop: threading.Event, most: int) -> None:
        self.questions: list[float] = []
        self._stop = stop
        self._most = most

    def ask(self, rate: float, seconds: float) -> dict[str, Any]:
        self.questions.append(seconds)
        if len(self.questions) == self._most:
            self._stop.set()
        at = sum(self.questions)
        return {"times": [at], "values": [rate * at]}


def test_a_writer_is_asked_in_parts_so_that_it_can_be_stopped() -> None:
    stop = threading.Event()
    curve = Curve()
    worker = Worker(stop, 100)
    _ask(worker, curve, 10, 2.5 * SLICE_SECONDS, stop)  # type: ignore[arg-type]
    assert worker.questions == [SLICE_SECONDS, SLICE_SECONDS, SLICE_SECONDS / 2]
    assert curve.values[-1] == 25 * SLICE_SECONDS
    stopped_worker = Worker(stop, 2)
    _ask(stopped_worker, Curve(), 10, 900, stop)  # type: ignore[arg-type]
    assert len(stopped_worker.questions) == 2


def test_the_backlog_is_looked_at_in_equal_steps() -> None:
    assert _times(10.0, 11.2) == [10.0, 10.5, 11.0]
