"""A process that stays and answers questions, one JSON line each way.

Sessions are warm, and only the process that is asked works.
"""

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.bench.harness.processes import last_lines, terminate
from schemas.errors import StackError

READY_SECONDS = 120.0
ANSWER_SECONDS = 600.0


class JsonWorker:
    """The process. Its methods raise StackError if it has ended or does not answer."""

    def __init__(self, name: str, popen: "subprocess.Popen[str]", log: Path) -> None:
        """Wait until the process says that it is ready."""
        self.name = name
        self._popen = popen
        self._log = log
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        reader = threading.Thread(
            target=self._read_answers, name=f"output of {name}", daemon=True
        )
        reader.start()
        self._next_answer(READY_SECONDS)

    def ask(self, **question: Any) -> dict[str, Any]:
        """Return the answer to a question."""
        assert self._popen.stdin is not None
        # If the process has ended, the missing answer says so.
        with contextlib.suppress(OSError):
            self._popen.stdin.write(json.dumps(question) + "\n")
            self._popen.stdin.flush()
        return self._next_answer(ANSWER_SECONDS)

    def _next_answer(self, timeout_seconds: float) -> dict[str, Any]:
        try:
            answer = self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            silence = f"{self.name} has printed nothing for {timeout_seconds:.0f} s"
            raise StackError(silence, f"see {self._log}") from None
        if answer is None:
            raise StackError(
                f"{self.name} ended: {last_lines(self._log)}",
                f"its whole output is in {self._log}",
            )
        return answer

    def _read_answers(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with contextlib.suppress(ValueError):
                self._answers.put(json.loads(line))
        self._answers.put(None)


@contextmanager
def json_worker(
    name: str, command: list[str], environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[JsonWorker]:
    """Run a process in a folder for the block, its standard error in a file.

    Raises StackError if it does not get ready.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as log_file:
        popen = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        )
    try:
        yield JsonWorker(name, popen, log)
    finally:
        terminate(popen)
