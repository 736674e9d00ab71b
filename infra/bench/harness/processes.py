"""The processes that are measured: started, watched from outside, ended. Their CPU time is sampled, so that it is known at any moment."""

import contextlib
import json
import subprocess
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from infra.errors import StackError

SAMPLE_SECONDS = 0.02
FAMILY_SECONDS = 2.0
END_SECONDS = 10.0


class CpuClock(threading.Thread):
    """The CPU time of a process and its descendants, sampled fifty times a second; Linux counts it in hundredths of a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(name=f"cpu of {pid}", daemon=True)
        self._process = psutil.Process(pid)
        self._family = [self._process]
        self._ended = threading.Event()
        self._times: list[float] = []
        self._seconds: list[float] = []

    def run(self) -> None:
        """Sample until the process has ended."""
        asked = time.monotonic()
        while not self._ended.wait(SAMPLE_SECONDS):
            try:
                if time.monotonic() - asked > FAMILY_SECONDS:
                    asked, self._family = time.monotonic(), [self._process, *self._process.children(recursive=True)]
                self._sample()
            except psutil.NoSuchProcess:
                return

    def _sample(self) -> None:
        total = 0.0
        for process in self._family:
            try:
                spent = process.cpu_times()
            except psutil.NoSuchProcess:
                if process is self._process:
                    raise
                continue  # a descendant ended: whoever waited for it has its time
            total += spent.user + spent.system + spent.children_user + spent.children_system
        self._times.append(time.time())
        self._seconds.append(total)

    def at(self, moment: float) -> float:
        """The CPU seconds spent up to a Unix time, between samples by proportion."""
        return interpolated(self._times[:], self._seconds[:], moment)

    def stop(self) -> None:
        """No more samples."""
        self._ended.set()


def interpolated(times: list[float], values: list[float], moment: float) -> float:
    """The value at a moment of a growing series; before its first sample the first one, after its last the last one, 0 of none."""
    place = bisect_left(times, moment)
    if not times:
        return 0.0
    if place == 0:
        return values[0]
    if place >= len(values):
        return values[-1]
    share = (moment - times[place - 1]) / (times[place] - times[place - 1])
    return values[place - 1] + share * (values[place] - values[place - 1])


class Measured:
    """A running process with its CPU clock; `facts` collects the JSON lines that it prints."""

    def __init__(self, name: str, popen: "subprocess.Popen[str]", log: Path) -> None:
        self.name, self.log = name, log
        self.facts: dict[str, Any] = {}
        self.heard = threading.Event()
        self._popen = popen
        self.cpu = CpuClock(popen.pid)
        self.cpu.start()
        self._reader = threading.Thread(target=self._listen, name=f"output of {name}", daemon=True)
        self._reader.start()

    def check(self) -> None:
        """Raises StackError with its last words if the process has ended."""
        code = self._popen.poll()
        if code is not None and "result" not in self.facts:
            self._reader.join(1)
            raise StackError(f"{self.name} ended with exit code {code}: {last_words(self.log)}", f"all that it said is in {self.log}")

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    def peak_mb(self) -> float:
        """The most resident memory that it ever had, in MB of 2^20 bytes, as the kernel says; 0 once it has ended."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        except OSError:
            return 0.0
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        self._popen.kill()
        self._popen.wait()

    def end(self) -> None:
        """Ends it, politely first."""
        self.cpu.stop()
        self._popen.terminate()
        try:
            self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with contextlib.suppress(ValueError):
                self.facts |= json.loads(line)
                self.heard.set()


def last_words(log: Path, lines: int = 2) -> str:
    """The last lines that are not empty, in one."""
    found = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    return " | ".join(found[-lines:])[-500:] or "it said nothing"


@contextmanager
def started(name: str, command: list[str], environment: Mapping[str, str], folder: Path, log: Path) -> Iterator[Measured]:
    """A process in a folder, its standard error in a file; ended with the block."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        popen = subprocess.Popen(
            command, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    measured = Measured(name, popen, log)
    try:
        yield measured
    finally:
        measured.end()
