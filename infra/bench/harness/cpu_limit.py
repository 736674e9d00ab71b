"""Holds a process to a share of one core, so that a small machine shows what more processes would do on a larger one. Needs no rights."""

import contextlib
import signal
import threading
import time

import psutil

LOOK_SECONDS = 0.01
# What it may spend at once after a pause, and what makes it wait: about a slice of the kernel's own scheduling.
BURST_SECONDS = 0.02


class Allowance:
    """CPU seconds that may be spent: they grow with time up to a burst, and shrink with what is spent."""

    def __init__(self, share: float, now: float, spent: float) -> None:
        self._share, self._at, self._spent = share, now, spent
        self._left = BURST_SECONDS

    def may_run(self, now: float, spent: float) -> bool:
        """Whether anything is left; `now` in seconds, `spent` the CPU seconds of the process so far."""
        self._left = min(BURST_SECONDS, self._left + self._share * (now - self._at)) - (spent - self._spent)
        self._at, self._spent = now, spent
        return self._left > 0


class Brake(threading.Thread):
    """Stops a process (SIGSTOP) whenever it has had its share of one core, and lets it go on (SIGCONT) when it may again."""

    def __init__(self, pid: int, share: float) -> None:
        super().__init__(name=f"brake of {pid}", daemon=True)
        self._process, self._share = psutil.Process(pid), share
        self._released = threading.Event()

    def run(self) -> None:
        """Hold it until released."""
        with contextlib.suppress(psutil.NoSuchProcess):
            allowance, running = Allowance(self._share, time.monotonic(), self._spent()), True
            while not self._released.wait(LOOK_SECONDS):
                may = allowance.may_run(time.monotonic(), self._spent())
                if may != running:
                    self._process.send_signal(signal.SIGCONT if may else signal.SIGSTOP)
                running = may

    def release(self) -> None:
        """No more stops; a stopped process goes on."""
        self._released.set()
        self.join()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(signal.SIGCONT)

    def _spent(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
