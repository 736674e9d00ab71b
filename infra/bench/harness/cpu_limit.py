"""A limit of a process to a share of one core, without any rights.

So a small machine shows what more processes would do on a larger one.
"""

import contextlib
import signal
import threading
import time

import psutil

POLL_SECONDS = 0.01
# CPU seconds that a process may use without a stop after a pause: about a time slice of the
# kernel's scheduler.
BURST_SECONDS = 0.02


class CpuAllowance:
    """The CPU seconds that may be used: they grow with time, up to a burst."""

    def __init__(self, share: float, now: float, used_seconds: float) -> None:
        self._share = share
        self._updated_at = now
        self._used_seconds = used_seconds
        self._allowance = BURST_SECONDS

    def may_run(self, now: float, used_seconds: float) -> bool:
        """Return whether any allowance is left.

        `now` is in seconds, `used_seconds` the CPU seconds of the process so far.
        """
        new_seconds = self._share * (now - self._updated_at)
        grown_allowance = min(BURST_SECONDS, self._allowance + new_seconds)
        self._allowance = grown_allowance - (used_seconds - self._used_seconds)
        self._updated_at = now
        self._used_seconds = used_seconds
        return self._allowance > 0


class CpuLimit(threading.Thread):
    """Stops a process (SIGSTOP) when it has used its share, and continues it (SIGCONT)."""

    def __init__(self, pid: int, share: float) -> None:
        super().__init__(name=f"cpu limit of {pid}", daemon=True)
        self._process = psutil.Process(pid)
        self._share = share
        self._release = threading.Event()

    def run(self) -> None:
        """Limit the process until `release`."""
        with contextlib.suppress(psutil.NoSuchProcess):
            allowance = CpuAllowance(self._share, time.monotonic(), self._used_seconds())
            is_running = True
            while not self._release.wait(POLL_SECONDS):
                may_run = allowance.may_run(time.monotonic(), self._used_seconds())
                if may_run != is_running:
                    self._process.send_signal(signal.SIGCONT if may_run else signal.SIGSTOP)
                is_running = may_run

    def release(self) -> None:
        """End the limit; a stopped process continues."""
        self._release.set()
        self.join()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(signal.SIGCONT)

    def _used_seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
