import builtins
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.cli.query.statements import Output, run_statements
from infra.terminal.result_table import ResultTable
from schemas.errors import Refused
from schemas.sql_tokens import CQL, HIVE, Dialect

TABLE = Output("table", 10)
Shell = Callable[..., list[str]]


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / "run" / "query.history"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, history: Path) -> Shell:
    """A function that types lines into a shell and returns the statements that are executed."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    def type_lines(*lines: str | type[BaseException], dialect: Dialect = HIVE) -> list[str]:
        typed: Iterator[str | type[BaseException]] = iter(lines)
        prompts: list[str] = []
        executed: list[str] = []

        def read_line(prompt: str) -> str:
            prompts.append(prompt)
            line = next(typed, EOFError)
            if isinstance(line, str):
                return line
            raise line

        def execute(statement: str, max_rows: int | None) -> ResultTable:
            assert max_rows == 10
            executed.append(statement)
            if "nonsense" in statement:
                raise Refused(
                    "Table not found 'nonsense'", "`show tables` lists what there is"
                )
            if "slow" in statement:
                raise KeyboardInterrupt
            return ResultTable(["a"], [[1]])

        monkeypatch.setattr(builtins, "input", read_line)
        run_statements("hive", dialect, execute, None, TABLE, history)
        assert next(typed, None) is None
        assert set(prompts) <= {"hive> ", "   -> "}
        return executed

    return type_lines


def test_a_statement_ends_with_a_semicolon_on_any_line(shell: Shell) -> None:
    assert shell("SELECT 1; SELECT", "2", ";") == ["SELECT 1", "SELECT\n2"]


@pytest.mark.parametrize("word", ["\\q", "exit", " quit "])
def test_a_word_ends_the_shell(shell: Shell, word: str) -> None:
    assert shell("SELECT 1;", word) == ["SELECT 1"]


def test_an_open_string_continues_on_the_next_line_by_the_rules_of_the_system(
    shell: Shell,
) -> None:
    assert shell(r"SELECT 'it\'s;", "fine';") == ["SELECT 'it\\'s;\nfine'"]
    assert shell(r"SELECT 'C:\';", "SELECT 2;", dialect=CQL) == [
        "SELECT 'C:\\'",
        "SELECT 2",
    ]


def test_an_interrupt_discards_what_is_typed(shell: Shell) -> None:
    assert shell("SELECT 1", KeyboardInterrupt, "SELECT 2;") == ["SELECT 2"]


def test_an_error_or_an_interrupt_of_a_statement_does_not_end_the_shell(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell("nonsense;", "slow;", "SELECT 1;") == ["nonsense", "slow", "SELECT 1"]
    assert capsys.readouterr().err.splitlines() == [
        "error: Table not found 'nonsense'",
        "  next: `show tables` lists what there is",
        "cancelled",
    ]


def test_the_history_is_kept_for_its_owner_only(shell: Shell, history: Path) -> None:
    shell("SELECT 1;")
    assert history.stat().st_mode & 0o077 == 0
