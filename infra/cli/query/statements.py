"""Statements of `kappa query`: from the command line, from standard input, or typed in a shell."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from infra.terminal.error_line import print_error
from infra.terminal.result_table import ResultTable, Shape, show
from schemas.errors import KappaError, UsageError
from schemas.sql_tokens import Dialect, all_statements, split_statements

# Run a statement and return its answer, with at most so many rows (None: all of them).
Execute = Callable[[str, int | None], ResultTable]

HISTORY_LINES = 1000
END_WORDS = ("\\q", "exit", "quit")


@dataclass(frozen=True)
class Output:
    """The form in which answers are printed, and how many rows of each at most (None: all)."""

    shape: Shape
    max_rows: int | None


def run_statements(
    system: str,
    dialect: Dialect,
    execute: Execute,
    statement: str | None,
    output: Output,
    history: Path,
) -> None:
    """Run the given statements, or those of standard input; on a terminal without any, a shell.

    `statement` is `-` for standard input. Raises UsageError if there is no statement, and what
    `execute` raises.
    """
    if statement is None and sys.stdin.isatty():
        _shell(system, dialect, execute, output, history)
        return
    text = sys.stdin.read() if statement in (None, "-") else str(statement)
    statements = all_statements(text, dialect)
    if not statements:
        raise UsageError("there is no statement", f"./kappa query {system} 'SELECT …'")
    for complete_statement in statements:
        show(execute(complete_statement, output.max_rows), output.shape)


def _shell(
    system: str, dialect: Dialect, execute: Execute, output: Output, history: Path
) -> None:
    """Run statements as they are typed; an error or Ctrl-C ends the statement, not the shell."""
    click.echo("End a statement with ; and the shell with \\q")
    with _line_history(history):
        for statement in _typed_statements(system, dialect):
            try:
                show(execute(statement, output.max_rows), output.shape)
            except KappaError as error:
                print_error(error)
            except KeyboardInterrupt:
                click.echo("cancelled", err=True)


def _typed_statements(system: str, dialect: Dialect) -> Iterator[str]:
    prompt = f"{system}> "
    continuation = "-> ".rjust(len(prompt))
    rest = ""
    while True:
        try:
            line = input(continuation if rest else prompt)
        except KeyboardInterrupt:
            click.echo()
            rest = ""
            continue
        except EOFError:
            click.echo()
            return
        if line.strip() in END_WORDS:
            return
        statements, rest = split_statements(f"{rest}{line}\n", dialect)
        yield from statements


@contextmanager
def _line_history(history: Path) -> Iterator[None]:
    """Give the arrow keys the lines of earlier shells, and keep this one's for the next."""
    import readline

    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(mode=0o600)
    readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_history_length(HISTORY_LINES)
        readline.write_history_file(history)
