"""What a long command says while it works: finished steps as lines, the present one as a moving line on a terminal. All on standard error."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from infra.progress import Line, terminal_width

TICK_SECONDS = 0.2
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Steps:
    """A voice for one command."""

    def __init__(self) -> None:
        self._moving = sys.stderr.isatty()
        self._lock = threading.Lock()

    def say(self, message: str) -> None:
        """One finished step, or a remark."""
        with self._lock:
            self._clear()
            print(message, file=sys.stderr, flush=True)

    def download(self) -> Line:
        """A line for downloads, as a context manager."""
        return Line()

    @contextlib.contextmanager
    def waiting(self, what: str | Callable[[], str]) -> Iterator[None]:
        """Shows what is being waited for, and for how long; on a terminal only, since a log has the finished steps."""
        if not self._moving:
            yield
            return
        done = threading.Event()
        spinner = threading.Thread(target=self._spin, args=(what, done), daemon=True)
        spinner.start()
        try:
            yield
        finally:
            done.set()
            spinner.join()

    def _spin(self, what: str | Callable[[], str], done: threading.Event) -> None:
        begin, turn = time.monotonic(), 0
        while not done.wait(TICK_SECONDS):
            turn += 1
            with self._lock:
                self._clear()
                text = f"{SPINNER[turn % len(SPINNER)]} {what if isinstance(what, str) else what()} ({time.monotonic() - begin:.0f} s)"
                print(text[: terminal_width() - 1], end="", file=sys.stderr, flush=True)
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        if self._moving:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
