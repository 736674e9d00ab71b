"""The report of the command line's start: its limits, its rows and its facts."""

import json
from dataclasses import replace

import pytest

from infra.bench.command_line.start_report import CommandStart, StartReport, cells, present
from infra.bench.report.presentation import markdown
from tests.unit.infra.bench.sample_reports import CIRCUMSTANCES

HELP = CommandStart(command="--help", cpu_seconds=0.09, seconds=0.1)
QUERY = CommandStart(command="query --help", cpu_seconds=0.11, seconds=0.12)
REPORT = StartReport(**CIRCUMSTANCES, runs_per_command=5, starts=[HELP, QUERY])


def test_a_row_has_the_cpu_seconds_and_the_seconds_of_a_command() -> None:
    assert "| `kappa query --help` | 0.11 | 0.12 |" in markdown(REPORT, present(REPORT))
    assert cells(HELP) == ["`kappa --help`", "0.09", "0.10"]


@pytest.mark.parametrize(
    ("start", "is_quick"),
    [
        (replace(HELP, cpu_seconds=0.3), True),
        (replace(HELP, cpu_seconds=0.31), False),
        (replace(QUERY, cpu_seconds=0.6), True),
        (replace(QUERY, cpu_seconds=0.61), False),
    ],
)
def test_help_and_commands_have_their_limits(start: CommandStart, is_quick: bool) -> None:
    assert replace(REPORT, starts=[start]).is_quick is is_quick


def test_a_report_for_scripts_has_every_start() -> None:
    facts = json.loads(json.dumps(REPORT.facts()))
    assert set(facts) == {"at", "machine", "versions", "runs_per_command", "starts"}
    assert facts["starts"] == [vars(HELP), vars(QUERY)]
