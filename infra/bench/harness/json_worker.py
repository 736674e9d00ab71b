"""A process that stays and answers questions, one JSON line each way: sessions are warm, and only the asked one works."""

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.bench.processes import END_SECONDS, last_words
from infra.errors import StackError

READY_SECONDS, ANSWER_SECONDS = 120.0, 600.0


class Contestant:
    """The process. Raises StackError with its last words when it has ended or does not answer."""

    def __init__(self, name: str, popen: "subprocess.Popen[str]", log: Path) -> None:
        self.name, self._popen, self._log = name, popen, log
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, name=f"output of {name}", daemon=True).start()
        self._next(READY_SECONDS)

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to a question."""
        assert self._popen.stdin is not None
        with contextlib.suppress(OSError):  # one that has ended says so by its silence
            self._popen.stdin.write(json.dumps(question) + "\n")
            self._popen.stdin.flush()
        return self._next(ANSWER_SECONDS)

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            said = self._said.get(timeout=seconds)
        except queue.Empty:
            raise StackError(f"{self.name} has said nothing for {seconds:.0f} s", f"see {self._log}") from None
        if said is None:
            raise StackError(f"{self.name} ended: {last_words(self._log)}", f"all that it said is in {self._log}")
        return said

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with contextlib.suppress(ValueError):
                self._said.put(json.loads(line))
        self._said.put(None)


@contextmanager
def answering(name: str, command: list[str], environment: Mapping[str, str], folder: Path, log: Path) -> Iterator[Contestant]:
    """A process in a folder that is ready for questions, its standard error in a file; ended with the block."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        popen = subprocess.Popen(command, env=dict(environment), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield Contestant(name, popen, log)
    finally:
        popen.terminate()
        try:
            popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
