import sys
from pathlib import Path

import click
import pytest

from infra.cli.sql.terminal import pager


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard output be a terminal of ten lines."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")


def own_pager(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Set a pager that writes what it is given to a file."""
    program = folder / "pager"
    program.write_text(f"#!/bin/sh\ncat > {folder}/paged\n")
    program.chmod(0o700)
    monkeypatch.setenv("PAGER", str(program))
    return folder / "paged"


def test_a_text_longer_than_the_terminal_goes_to_the_pager(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use_terminal(monkeypatch)
    paged = own_pager(monkeypatch, tmp_path)
    with pager.paged_output(is_wanted=True):
        for number in range(20):
            click.echo(number)
    assert paged.read_text().split() == [str(number) for number in range(20)]
    assert capsys.readouterr().out == ""


def test_a_short_text_is_just_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use_terminal(monkeypatch)
    paged = own_pager(monkeypatch, tmp_path)
    with pager.paged_output(is_wanted=True):
        click.echo("one line")
    assert not paged.exists()
    assert capsys.readouterr().out == "one line\n"


def test_a_missing_pager_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_terminal(monkeypatch)
    monkeypatch.setenv("PAGER", "/nonexistent/pager")
    with pager.paged_output(is_wanted=True):
        click.echo("line\n" * 20)
    assert capsys.readouterr().out.count("line") == 20


def test_what_does_not_go_to_a_terminal_is_not_paged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paged = own_pager(monkeypatch, tmp_path)
    with pager.paged_output(is_wanted=True):
        click.echo("line\n" * 100)
    assert not paged.exists()
    assert capsys.readouterr().out.count("line") == 100
