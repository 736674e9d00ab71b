import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from connectors.runtime.settings import ROOT
from infra.cli.run_tests import test as run_tests


@pytest.mark.parametrize("exit_code", [0, 1])
def test_arguments_and_the_exit_code_are_those_of_pytest(
    monkeypatch: pytest.MonkeyPatch, exit_code: int
) -> None:
    commands: list[list[str]] = []

    def call(command: list[str], cwd: Path) -> int:
        assert cwd == ROOT
        commands.append(command)
        return exit_code

    monkeypatch.setattr(subprocess, "call", call)
    arguments = ["tests/unit", "-k", "a or b", "--running-stack"]
    result: Any = CliRunner().invoke(run_tests, arguments)
    assert result.exit_code == exit_code
    assert commands[0][:3] == [sys.executable, "-m", "pytest"]
    assert commands[0][-4:] == arguments
