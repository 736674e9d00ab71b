"""Answers on the terminal: printed as they come, with progress while they do not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.terminal.progress_line import ProgressLine
from infra.terminal.result_table import Shape, show_batches

if TYPE_CHECKING:
    from infra.cli.sql.session import SqlSession

# A statement that takes longer shows what it does.
QUIET_SECONDS = 2.0


@dataclass(frozen=True)
class Output:
    """The form in which answers are printed, and how many rows of each at most (None: all)."""

    shape: Shape
    max_rows: int | None


def run_statement(session: "SqlSession", sql: str, output: Output) -> None:
    """Run a statement and print its answer.

    Raises Refused, WarehouseError, Unavailable.
    """
    with (
        late_progress(time.monotonic) as on_progress,
        session.answer(sql, on_progress) as answer,
    ):
        show_batches(answer.columns, answer.batches, output.shape, output.max_rows)


@contextmanager
def late_progress(
    clock: Callable[[], float],
) -> Iterator[Callable[[str, float | None, str], None]]:
    """Yield a report that shows nothing for QUIET_SECONDS."""
    started_at = clock()
    with ProgressLine() as line:

        def report(task: str, fraction: float | None, detail: str) -> None:
            if clock() - started_at >= QUIET_SECONDS:
                # A terminal that is gone has no reader of progress.
                with suppress(BrokenPipeError):
                    line(task, fraction, detail)

        yield report
