"""The results and the report of the benchmark of the command line's start."""

from dataclasses import asdict, dataclass, field
from typing import Any

from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Presentation

NAME = "start"
COLUMNS = ["command", "CPU s", "s"]
TITLE = "What a command costs before it does its work, through the launcher."
# Seconds of a processor: help, and every command.
HELP_LIMIT = 0.3
COMMAND_LIMIT = 0.6


@dataclass(frozen=True, kw_only=True)
class CommandStart:
    """The median CPU seconds and seconds of one command's start."""

    command: str
    cpu_seconds: float
    seconds: float

    @property
    def limit(self) -> float:
        """The CPU seconds that it may take."""
        return HELP_LIMIT if self.command == "--help" else COMMAND_LIMIT


@dataclass(frozen=True, kw_only=True)
class StartReport(Measurement):
    """The starts of all commands, each run `runs_per_command` times."""

    runs_per_command: int
    starts: list[CommandStart] = field(default_factory=list)

    @property
    def is_quick(self) -> bool:
        """Whether every start is within its limit."""
        return all(start.cpu_seconds <= start.limit for start in self.starts)

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            **super().facts(),
            "runs_per_command": self.runs_per_command,
            "starts": [asdict(start) for start in self.starts],
        }


def present(report: StartReport) -> Presentation:
    """Return the report for people."""
    method = (
        f"Medians of {report.runs_per_command} runs after one that warms up. "
        f"Limits: {HELP_LIMIT} CPU seconds for help, {COMMAND_LIMIT} for a command."
    )
    return Presentation(
        place=NAME,
        title=TITLE,
        columns=COLUMNS,
        rows=[cells(start) for start in report.starts],
        row_titles=True,
        notes=[method],
        introduction=[TITLE],
        closing=[method],
    )


def cells(start: CommandStart) -> list[str]:
    """Return one row of the table."""
    return [f"`kappa {start.command}`", f"{start.cpu_seconds:.2f}", f"{start.seconds:.2f}"]
