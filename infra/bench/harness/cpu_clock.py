"""The CPU time of a process, sampled from outside, so that it is known at any moment."""

import threading
import time
from bisect import bisect_left

import psutil

SAMPLE_SECONDS = 0.02
FAMILY_SECONDS = 2.0


class CpuClock(threading.Thread):
    """The CPU time of a process and its descendants, sampled fifty times a second.

    Linux counts it in hundredths of a second.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(name=f"cpu of {pid}", daemon=True)
        self._process = psutil.Process(pid)
        self._family = [self._process]
        self._stop = threading.Event()
        self._times: list[float] = []
        self._seconds: list[float] = []

    def run(self) -> None:
        """Sample until the process has ended, or until `stop`."""
        family_read_at = time.monotonic()
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                if time.monotonic() - family_read_at > FAMILY_SECONDS:
                    family_read_at = time.monotonic()
                    self._family = [self._process, *self._process.children(recursive=True)]
                self._sample()
            except psutil.NoSuchProcess:
                return

    def _sample(self) -> None:
        total = 0.0
        for process in self._family:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                if process is self._process:
                    raise
                continue  # a descendant has ended: its parent has its time
            total += times.user + times.system
            total += times.children_user + times.children_system
        self._times.append(time.time())
        self._seconds.append(total)

    def seconds_at(self, at: float) -> float:
        """Return the CPU seconds spent up to a Unix time, interpolated between samples."""
        return interpolate(self._times[:], self._seconds[:], at)

    def stop(self) -> None:
        """End the sampling."""
        self._stop.set()


def interpolate(times: list[float], values: list[float], at: float) -> float:
    """Return the value of a growing series at a time.

    Before its first sample that is the first value, after its last the last one, and 0 for none.
    """
    if not times:
        return 0.0
    index = bisect_left(times, at)
    if index == 0:
        return values[0]
    if index >= len(values):
        return values[-1]
    elapsed_share = (at - times[index - 1]) / (times[index] - times[index - 1])
    return values[index - 1] + elapsed_share * (values[index] - values[index - 1])
