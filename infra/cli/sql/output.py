"""Answers on the terminal: printed as they come, with progress while they do not."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.terminal.progress_line import ProgressLine, Report
from infra.terminal.result_table import Shape, show_batches

if TYPE_CHECKING:
    from infra.cli.sql.session import Rows, SqlSession

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
    with ProgressLine() as line, session.answer(sql, _late(line, time.monotonic)) as answer:
        batches = _cleared_before(answer.batches, line)
        show_batches(answer.columns, batches, output.shape, output.max_rows)


def _late(line: ProgressLine, clock: Callable[[], float]) -> Report:
    """Return a report that shows nothing for QUIET_SECONDS."""
    started_at = clock()

    def report(task: str, fraction: float | None, detail: str) -> None:
        if clock() - started_at >= QUIET_SECONDS:
            line(task, fraction, detail)

    return report


def _cleared_before(batches: "Iterator[Rows]", line: ProgressLine) -> "Iterator[Rows]":
    """Yield batches of rows, each when the line makes room for it."""
    for batch in batches:
        line.clear()
        yield batch
    line.clear()
