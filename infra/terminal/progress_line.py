"""Progress of slow work: what a worker reports, and one moving line on a terminal (a line every few seconds elsewhere)."""

import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

# Called with what is being done, the fraction done (None if nobody can know) and a detail such as "312 MB"; from any thread.
Report = Callable[[str, float | None, str], None]


def terminal_width() -> int:
    """Columns of the terminal: a moving line that is longer would leave a trail of itself."""
    return shutil.get_terminal_size((150, 24)).columns


def silent(what: str, fraction: float | None, detail: str) -> None:
    """A report that goes nowhere."""


class Line:
    """A `Report` on standard error: one line that says how far each piece of work is. Use as a context manager, which ends the line."""

    def __init__(self, stream: TextIO | None = None, every_seconds: float = 5.0) -> None:
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()
        self._every_seconds = 0.1 if self._moving else every_seconds
        self._shown: dict[str, str] = {}
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

    def __call__(self, what: str, fraction: float | None, detail: str) -> None:
        """Note how far a piece of work is; shown at once on a terminal, at most every few seconds in a file."""
        percent = "" if fraction is None else f" {min(max(fraction, 0.0), 1.0):.0%}"
        with self._lock:
            self._shown[what] = f"{what}{percent} {detail}".strip()
            if time.monotonic() - self._last >= self._every_seconds:
                self._show()

    def _show(self) -> None:
        self._last = time.monotonic()
        text = f"[{self._last - self._started:3.0f} s] " + " · ".join(self._shown.values())
        self._stream.write(f"\r\x1b[K{text[: terminal_width() - 1]}" if self._moving else f"{text}\n")
        self._stream.flush()
