"""Progress of a long command on standard error: finished steps as lines, the present one as a
moving line on a terminal.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from infra.terminal.progress_line import ProgressLine, terminal_width

TICK_SECONDS = 0.2
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class ProgressSteps:
    """The progress of one command. Safe to share between threads."""

    def __init__(self) -> None:
        self._moving = sys.stderr.isatty()
        self._lock = threading.Lock()

    def say(self, message: str) -> None:
        """Print a finished step, or a remark."""
        with self._lock:
            self._clear()
            print(message, file=sys.stderr, flush=True)

    def download(self) -> ProgressLine:
        """Return a line for downloads, as a context manager."""
        return ProgressLine()

    @contextlib.contextmanager
    def waiting(self, task: str | Callable[[], str]) -> Iterator[None]:
        """Show a task and its seconds for the block.

        Only on a terminal: in a log, the finished steps are enough.
        """
        if not self._moving:
            yield
            return
        end_event = threading.Event()
        spinner = threading.Thread(target=self._spin, args=(task, end_event), daemon=True)
        spinner.start()
        try:
            yield
        finally:
            end_event.set()
            spinner.join()

    def _spin(self, task: str | Callable[[], str], end_event: threading.Event) -> None:
        started_at = time.monotonic()
        turn = 0
        while not end_event.wait(TICK_SECONDS):
            turn += 1
            symbol = SPINNER[turn % len(SPINNER)]
            with self._lock:
                self._clear()
                text = task if isinstance(task, str) else task()
                line = f"{symbol} {text} ({time.monotonic() - started_at:.0f} s)"
                print(line[: terminal_width() - 1], end="", file=sys.stderr, flush=True)
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        if self._moving:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
