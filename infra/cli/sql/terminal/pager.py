"""Answers that are longer or wider than the terminal, in a pager."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

# Ends at once where the text fits, keeps long lines whole, and leaves the text on the screen.
DEFAULT_PAGER = "less -SFRX"


@contextlib.contextmanager
def paged_output(is_wanted: bool) -> Iterator[None]:
    """Show what the block prints to standard output, in a pager if it does not fit a terminal.

    The pager is that of the variable PAGER, else `less`; without one, the text is just printed.
    """
    terminal = sys.stdout
    if not (is_wanted and terminal.isatty()):
        yield
        return
    text = _TerminalText()
    try:
        sys.stdout = text
        yield
    finally:
        sys.stdout = terminal
        show_text(text.getvalue())


class _TerminalText(io.StringIO):
    """Text for a terminal: what is printed has its form."""

    def isatty(self) -> bool:
        return True


def show_text(text: str) -> None:
    """Print a text, in a pager if it has more lines than the terminal."""
    size = shutil.get_terminal_size()
    command = os.environ.get("PAGER", DEFAULT_PAGER).split()
    fits = text.count("\n") < size.lines
    if fits or not command or shutil.which(command[0]) is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        subprocess.run(command, input=text, text=True, check=False)
