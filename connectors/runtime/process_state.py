"""What a long-running process says about itself: a small file that `kappa status` reads, and one log line per change of state."""

import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

State = Literal["running", "waiting", "failed"]


class ProcessState:
    """The state file `<home>/run/<process>.json`; replaced as a whole, so that a reader never sees half of it."""

    def __init__(self, home: Path, process: str, every_seconds: float = 1.0) -> None:
        self._path = home / "run" / f"{process}.json"
        self._log = logging.getLogger(process)
        self._every_seconds = every_seconds
        self._state: State | None = None
        self._written = 0.0

    def report(self, state: State, detail: str, **figures: Any) -> None:
        """Say how the process is doing. A change of state is logged and written at once, news of the same state at most every second."""
        changed = state != self._state
        if not changed and time.monotonic() - self._written < self._every_seconds:
            return
        if changed:
            self._log.log(logging.INFO if state == "running" else logging.WARNING, "%s: %s", state, detail)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write({"updated_at": now, "state": state, "detail": detail, "pid": os.getpid(), **figures})
        self._state, self._written = state, time.monotonic()

    def _write(self, content: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_suffix(".new")
        scratch.write_text(json.dumps(content))
        scratch.replace(self._path)


def read_state(home: Path, process: str) -> dict[str, Any] | None:
    """What a process last said about itself, or None if it never did."""
    try:
        return dict(json.loads((home / "run" / f"{process}.json").read_text()))
    except FileNotFoundError:
        return None
