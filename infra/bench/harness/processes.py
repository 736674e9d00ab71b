"""The processes that are measured: started, observed from outside, and ended."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from connectors.retry import wait_until
from infra.bench.harness.cpu_clock import CpuClock
from schemas.errors import StackError

END_SECONDS = 10.0
POLL_SECONDS = 0.1
MAX_LINE_LENGTH = 500

T = TypeVar("T")


class MeasuredProcess:
    """A running process with its CPU clock.

    `facts` collects the JSON objects that the process prints, one per line; `has_facts` is set when
    one has come.
    """

    def __init__(self, name: str, popen: "subprocess.Popen[str]", log: Path) -> None:
        self.name = name
        self.log = log
        self.facts: dict[str, Any] = {}
        self.has_facts = threading.Event()
        self._popen = popen
        self.cpu = CpuClock(popen.pid)
        self.cpu.start()
        self._reader = threading.Thread(
            target=self._read_facts, name=f"output of {name}", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def check(self) -> None:
        """Raise StackError with its last lines if the process has ended without a result."""
        code = self._popen.poll()
        if code is not None and "result" not in self.facts:
            self._reader.join(1)
            raise StackError(
                f"{self.name} ended with exit code {code}: {last_lines(self.log)}",
                f"its whole output is in {self.log}",
            )

    def wait_until(
        self,
        condition: Callable[[], T | None],
        *,
        timeout_seconds: float,
        what: str,
        poll_seconds: float = POLL_SECONDS,
    ) -> T:
        """Return the first true value of a condition while the process runs.

        `what` says in errors what is waited for. Raises StackError if the process ends, or if
        nothing is true in time.
        """
        return wait_until(
            condition,
            timeout_seconds=timeout_seconds,
            poll_seconds=poll_seconds,
            what=what,
            hint=f"see {self.log}",
            error=StackError,
            on_poll=self.check,
        )

    def peak_mb(self) -> float:
        """Return the largest resident memory so far, in MB of 2^20 bytes, by the kernel.

        0 once the process has ended.
        """
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        except OSError:
            return 0.0
        for line in lines:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0.0

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self._popen.kill()
        self._popen.wait()

    def terminate(self) -> None:
        """End the process, with SIGTERM first."""
        self.cpu.stop()
        terminate(self._popen)

    def _read_facts(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with contextlib.suppress(ValueError):
                self.facts |= json.loads(line)
                self.has_facts.set()


def terminate(popen: "subprocess.Popen[str]") -> None:
    """End a process: SIGTERM, and SIGKILL if it does not end within END_SECONDS."""
    popen.terminate()
    try:
        popen.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def last_lines(log: Path, count: int = 2) -> str:
    """Return the last lines of a log that are not empty, in one line."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    joined_lines = " | ".join(lines[-count:])
    return joined_lines[-MAX_LINE_LENGTH:] or "it printed nothing"


@contextmanager
def measured_process(
    name: str, command: list[str], environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[MeasuredProcess]:
    """Run a process in a folder for the block, its standard error in a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as log_file:
        popen = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        )
    process = MeasuredProcess(name, popen, log)
    try:
        yield process
    finally:
        process.terminate()
