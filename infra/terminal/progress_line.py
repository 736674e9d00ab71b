"""Progress of slow work: one moving line on a terminal, a line every few seconds elsewhere."""

import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

# Called with the name of a task, the fraction that is finished (None if it is unknown) and a detail
# such as "312 MB"; from any thread.
Report = Callable[[str, float | None, str], None]


def terminal_width() -> int:
    """Return the columns of the terminal: a longer moving line would leave parts of itself."""
    return shutil.get_terminal_size((150, 24)).columns


def silent(task: str, fraction: float | None, detail: str) -> None:
    """Report nothing."""


class ProgressLine:
    """A `Report` on standard error: one line with the progress of every task.

    Use it as a context manager, which ends the line.
    """

    def __init__(self, stream: TextIO | None = None, every_seconds: float = 5.0) -> None:
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()
        self._every_seconds = 0.1 if self._moving else every_seconds
        self._task_texts: dict[str, str] = {}
        self._last = 0.0
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._last:
                self._show()
                self._stream.write("\n" if self._moving else "")
                self._stream.flush()

    def __call__(self, task: str, fraction: float | None, detail: str) -> None:
        """Note the progress of a task, and show it unless the line was written a moment ago."""
        percent = ""
        if fraction is not None:
            percent = f" {min(max(fraction, 0.0), 1.0):.0%}"
        with self._lock:
            self._task_texts[task] = f"{task}{percent} {detail}".strip()
            if time.monotonic() - self._last >= self._every_seconds:
                self._show()

    def clear(self) -> None:
        """Erase the line, and forget the tasks: what was awaited is there."""
        with self._lock:
            if self._last and self._moving:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
            self._last = 0.0
            self._task_texts.clear()

    def _show(self) -> None:
        self._last = time.monotonic()
        tasks = " · ".join(self._task_texts.values())
        line = f"[{self._last - self._started:3.0f} s] {tasks}"
        if self._moving:
            self._stream.write(f"\r\x1b[K{line[: terminal_width() - 1]}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()
