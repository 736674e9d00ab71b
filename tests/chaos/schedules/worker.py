"""One worker process in the hands of the schedules: started, killed, stopped, woken; what was done
to it is seen to have happened.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.eventually import eventually


class Worker:
    """A process that does `command` (the arguments of our Python); its output is appended to
    `log`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.busy = False  # a fault has it in hand
        self.skew_seconds = 0.0
        self.started_at = self.asked_at = (
            # by the monotonic clock: its start, and when it was asked to leave (0 if it was not)
            0.0
        )
        self._log_start = 0

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether there is a process; it may be stopped."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None if it has not."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        assert not self.runs, f"{self.name} runs already"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "tests.chaos.schedules.program",
            str(self.skew_seconds),
            *self.command,
        ]
        with self._log.open("ab") as output:
            self._log_start = output.tell()
            self.started_at = time.monotonic()
            self.asked_at = 0.0
            self._process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> str:
        """`kill -9`; comes back when the process is gone, with what was seen."""
        assert self._process is not None and self.runs, (
            f"{self.name} does not run, so it cannot be killed"
        )
        self._process.kill()
        assert self._process.wait(10) == -signal.SIGKILL
        return f"{self.name} ({self.pid}) was killed"

    def ask_to_leave(self) -> None:
        assert self._process is not None and self.runs, (
            f"{self.name} does not run, so it cannot leave"
        )
        self.asked_at = time.monotonic()
        self._process.terminate()

    def stop(self) -> str:
        """SIGSTOP; comes back when the kernel says that the process is stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        eventually(
            lambda: psutil.Process(self.pid).status() == psutil.STATUS_STOPPED,
            within=10,
            because=f"{self.name} is stopped",
        )
        return f"{self.name} ({self.pid}) was stopped"

    def wake(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def tell(self) -> None:
        """Has it write what its threads are doing into its log."""
        if self.runs:
            os.kill(self.pid, signal.SIGUSR1)

    def end(self) -> None:
        """The process is gone afterwards, whatever it was doing."""
        if self._process is not None and self.runs:
            self.wake()
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        """What the last process has written so far."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")
