"""What the shell does with what is typed. A real terminal is in tests/integration/test_sql.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from connectors.runtime import settings
from infra.cli.sql.output import Output
from infra.cli.sql.session import SqlSession
from infra.cli.sql.terminal.shell import Shell, is_complete, run_shell
from infra.cli.sql.versions import ReadVersion
from tests.unit.infra.cli.sql.sample_version import sample_warehouse

TABLE = Output("table", 10)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SqlSession]:
    sample = sample_warehouse()
    loaded_settings = settings.load({"KAPPA_HOME": str(tmp_path)})
    open_session = SqlSession(loaded_settings, sample.files, ReadVersion(sample))
    yield open_session
    open_session.close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def shell(session: SqlSession, said: list[str]) -> Shell:
    return Shell(session, TABLE, said.append)


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        ("\\d orders", True),
        ("quit", True),
        ("SELECT 1", False),
        ("SELECT 1;", True),
        ("SELECT 1; SELECT 2", False),
        ("SELECT ';", False),
        ("SELECT 1 -- ;", False),
        ("SELECT 1\n;\n", True),
    ],
)
def test_enter_ends_a_statement_at_its_semicolon(text: str, complete: bool) -> None:
    assert is_complete(text) == complete


def test_a_statement_is_answered_and_timed(
    shell: Shell, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.handle("SELECT count(*) AS n FROM orders; SELECT 2 AS b;")
    assert capsys.readouterr().out.split() == ["n", "-", "6", "b", "-", "2"]
    assert [line[-2:] for line in said] == [" s", " s"]


def test_timing_can_be_hidden(shell: Shell, said: list[str]) -> None:
    assert shell.handle("\\timing")
    assert shell.handle("SELECT 1;")
    assert said == ["timing is off"]


def test_an_error_does_not_end_the_shell(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.handle("SELECT * FROM ordrs;")
    assert shell.handle("\\nonsense")
    assert shell.handle("\\d ordrs")
    errors = capsys.readouterr().err
    assert errors.count("error: ") == 3
    assert errors.count("did you mean orders") == 2


def test_tables_are_listed_and_described(
    shell: Shell, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.handle("\\d")
    assert "product_view_total" in capsys.readouterr().out
    assert shell.handle("\\d user;")
    assert said == ["user", "archive.user"]
    assert "b_c" in capsys.readouterr().out
    assert shell.handle("\\?")
    assert "\\timing" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["\\q", "exit", " QUIT ; "])
def test_words_end_the_shell(shell: Shell, text: str) -> None:
    assert not shell.handle(text)


def test_typed_statements_run_and_are_kept_for_the_next_shell(
    session: SqlSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "sql.history"
    with (
        create_pipe_input() as typed,
        create_app_session(input=typed, output=DummyOutput()),
    ):
        typed.send_text("SELECT 40\r+ 2 AS a;\r\x03SELECT nonsense;\r\x04")
        run_shell(session, TABLE, history)
    captured = capsys.readouterr()
    assert "42" in captured.out
    assert "nonsense" in captured.err
    assert history.stat().st_mode & 0o777 == 0o600
    assert "+ 2 AS a" in history.read_text()
