"""Measure what the start of each command costs before it does its work.

Every command is run as a user runs it, through the launcher. `--help` of a command loads its module
and ends.
"""

import resource
import statistics
import subprocess
import time
from collections.abc import Sequence

from connectors.runtime.settings import ROOT, Settings
from infra.bench.command_line.start_report import CommandStart, StartReport
from infra.bench.harness.machine import machine, versions
from infra.bench.report.measurement import now
from infra.cli.main import COMMANDS
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import StackError

LAUNCHER = ROOT / "kappa"
HELP = ("--help",)


def measure(settings: Settings, runs: int, steps: ProgressSteps) -> StartReport:
    """Run every command `runs` times after a warm-up; the figures are medians.

    Raises StackError if a command fails.
    """
    report = StartReport(
        at=now(), machine=machine(), versions=versions(settings), runs_per_command=runs
    )
    for arguments in (HELP, *((name, *HELP) for name in COMMANDS)):
        with steps.waiting(f"starting kappa {' '.join(arguments)}"):
            report.starts.append(measure_start(arguments, runs))
    return report


def measure_start(arguments: Sequence[str], runs: int) -> CommandStart:
    """Return the median CPU seconds and the median seconds of one command.

    Raises StackError if it fails.
    """
    _run(arguments)
    cpu_seconds = []
    seconds = []
    for _ in range(runs):
        usage = _run(arguments)
        cpu_seconds.append(usage[0])
        seconds.append(usage[1])
    return CommandStart(
        command=" ".join(arguments),
        cpu_seconds=round(statistics.median(cpu_seconds), 3),
        seconds=round(statistics.median(seconds), 3),
    )


def _run(arguments: Sequence[str]) -> tuple[float, float]:
    """Return the CPU seconds of a command with its children, and its seconds."""
    before = _cpu_seconds_of_children()
    begin = time.monotonic()
    result = subprocess.run([str(LAUNCHER), *arguments], capture_output=True, text=True)
    seconds = time.monotonic() - begin
    if result.returncode != 0:
        last_line = result.stderr.strip().splitlines()[-1:]
        command = f"./kappa {' '.join(arguments)}"
        raise StackError(f"{command} failed: {''.join(last_line)}", f"run {command}")
    return _cpu_seconds_of_children() - before, seconds


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
