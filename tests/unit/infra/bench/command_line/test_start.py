"""The start of a command, measured on the real launcher."""

import pytest

from infra.bench.command_line.start import measure_start
from schemas.errors import StackError


def test_a_command_is_started_through_the_launcher() -> None:
    start = measure_start(("--help",), runs=1)
    assert start.command == "--help"
    assert start.cpu_seconds > 0
    assert start.seconds > 0


def test_a_command_that_fails_is_an_error_with_its_last_line() -> None:
    with pytest.raises(StackError, match=r"\./kappa stauts failed"):
        measure_start(("stauts",), runs=1)
