"""The state of a long-running process: a small file that `kappa status` reads, and one log line per
change of state.
"""

import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from connectors.runtime.files import replace_file

State = Literal["running", "waiting", "failed"]


class ProcessState:
    """The state file `<home>/run/<process>.json`, which readers see as a whole."""

    def __init__(self, home: Path, process: str, every_seconds: float = 1.0) -> None:
        self._path = home / "run" / f"{process}.json"
        self._log = logging.getLogger(process)
        self._every_seconds = every_seconds
        self._state: State | None = None
        self._written_at = 0.0

    def report(self, state: State, detail: str, **figures: Any) -> None:
        """Write a state, a sentence about it, and figures.

        A change of state is logged, and written immediately; further reports of the same state are
        written at most every `every_seconds`.
        """
        is_change = state != self._state
        if not is_change and time.monotonic() - self._written_at < self._every_seconds:
            return
        if is_change:
            level = logging.INFO if state == "running" else logging.WARNING
            self._log.log(level, "%s: %s", state, detail)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = {"updated_at": now, "state": state, "detail": detail, "pid": os.getpid()}
        replace_file(self._path, json.dumps(content | figures))
        self._state = state
        self._written_at = time.monotonic()


def read_state(home: Path, process: str) -> dict[str, Any] | None:
    """Return the last state of a process, None if it never wrote one.

    One that a power failure has cut off is none: the process writes another.
    """
    try:
        state = json.loads((home / "run" / f"{process}.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return state if isinstance(state, dict) else None


def is_running(home: Path, process: str) -> bool:
    """Whether the process that wrote the state file still runs, under this user."""
    pid = (read_state(home, process) or {}).get("pid")
    # kill(2): 0 and negative numbers are groups of processes, -1 is all of them.
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
