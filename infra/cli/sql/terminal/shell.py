"""The shell of `kappa sql`: lines edited, completed and kept; answers timed and paged."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from infra.cli.sql.listing import described, find_entries, listed
from infra.cli.sql.output import Output, run_statement
from infra.cli.sql.session import SqlSession
from infra.cli.sql.terminal.completion import SqlCompleter
from infra.cli.sql.terminal.pager import paged_output
from infra.terminal.error_line import print_error
from infra.terminal.result_table import ResultTable, show
from schemas.errors import KappaError, UsageError
from schemas.sql_tokens import DUCKDB, split_statements

PROMPT = "sql> "
END_WORDS = ("\\q", "exit", "quit")
HELP = (
    ("\\d", "list the tables"),
    ("\\d TABLE", "show a table's columns"),
    ("\\timing", "show or hide how long a statement took"),
    ("\\q", "leave, as Ctrl-D does"),
    ("\\?", "this list"),
    ("Ctrl-C", "cancel the statement, or empty the line"),
    ("Tab", "complete a name or a word"),
    ("Ctrl-R", "search the statements of this and earlier shells"),
)


def run_shell(session: SqlSession, output: Output, history: Path) -> None:
    """Run what is typed until Ctrl-D; an error or Ctrl-C ends a statement, not the shell."""
    session.use_version()
    shell = Shell(session, output, click.echo)
    prompt = _prompt_session(session, history)
    click.echo("End a statement with ; and the shell with \\q; \\? lists more")
    while True:
        try:
            text = prompt.prompt(PROMPT)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if not shell.handle(text):
            return


class Shell:
    """What the shell does with a text that was entered."""

    def __init__(
        self, session: SqlSession, output: Output, say: Callable[[str], None]
    ) -> None:
        self._session = session
        self._output = output
        self._say = say
        self._has_timing = True

    def handle(self, text: str) -> bool:
        """Run a text's statements, or a command that begins with a backslash.

        Returns False if it was the command to leave.
        """
        words = text.strip().rstrip(";").split()
        if not words:
            return True
        if words[0].lower() in END_WORDS and len(words) == 1:
            return False
        try:
            if words[0].startswith("\\"):
                self._run_command(words)
            else:
                statements, rest = split_statements(text, DUCKDB)
                for sql in [*statements, *([rest] if rest.strip() else [])]:
                    self._run_statement(sql)
        except KappaError as error:
            print_error(error)
        except KeyboardInterrupt:
            click.echo("cancelled", err=True)
        return True

    def _run_statement(self, sql: str) -> None:
        started_at = time.perf_counter()
        with paged_output(self._output.shape == "table"):
            run_statement(self._session, sql, self._output)
        if self._has_timing:
            self._say(f"{time.perf_counter() - started_at:.3f} s")

    def _run_command(self, words: Sequence[str]) -> None:
        command = words[0]
        if command == "\\d":
            self._describe(words[1:])
        elif command == "\\timing":
            self._has_timing = not self._has_timing
            self._say(f"timing is {'on' if self._has_timing else 'off'}")
        elif command == "\\?":
            show(ResultTable(("command", "does"), HELP), "table")
        else:
            raise UsageError(f"there is no command {command}", "\\? lists them")

    def _describe(self, names: Sequence[str]) -> None:
        self._session.use_version()
        entries = self._session.catalog.tables()
        if not names:
            show(listed(entries), "table")
            return
        matches = find_entries(names[0], entries)
        if not matches:
            similar = self._session.catalog.similar_names(names[0])
            hint = f"did you mean {' or '.join(similar)}?" if similar else "\\d lists them"
            raise UsageError(f"there is no table {names[0]}", hint)
        for entry in matches:
            self._say(self._session.catalog.full_name(entry))
            show(described(entry), "table")


def _prompt_session(session: SqlSession, history: Path) -> PromptSession[str]:
    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(mode=0o600)
    return PromptSession(
        history=FileHistory(str(history)),
        auto_suggest=AutoSuggestFromHistory(),
        completer=SqlCompleter(session.catalog.tables),
        complete_while_typing=False,
        multiline=True,
        prompt_continuation="-> ".rjust(len(PROMPT)),
        key_bindings=_key_bindings(),
        enable_history_search=True,
    )


def _key_bindings() -> KeyBindings:
    """Enter ends the input where a statement ends, and otherwise begins a new line."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return bindings


def is_complete(text: str) -> bool:
    """Whether Enter runs a text: a command, nothing, or statements that end with a semicolon."""
    stripped = text.strip()
    if not stripped or stripped.startswith("\\") or stripped.lower() in END_WORDS:
        return True
    statements, rest = split_statements(text, DUCKDB)
    return bool(statements) and not rest.strip()
